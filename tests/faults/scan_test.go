package faults_test

import (
	"errors"
	"slices"
	"testing"
	"time"
	"uuid"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/instance/instancetable"
	"altinn.no/instanceapi/shared/instance/scan"
	"altinn.no/instanceapi/tests/faults"
)

// scanEnv is an instance with a data element whose scan has no result, and content of a second
// element that is stored but not committed.
type scanEnv struct {
	t     *testing.T
	in    *faults.Injector
	plain *dynamodb.Client
	store *instancetable.Table // without faults
	app   *application.Application
	i     *instance.Instance

	committed, early blob.Key // of the two contents
	writer           *instancetable.Table
	ours, rival      scan.Recorder // the calls of writer and ours go through the injector
}

func newScanEnv(t *testing.T, plain *dynamodb.Client, in *faults.Injector) *scanEnv {
	t.Helper()
	e := &scanEnv{t: t, in: in, plain: plain, store: instancetable.New(plain, "Instances", "Outbox")}
	e.app = &application.Application{Org: "nav", ID: "nav/app-" + uuid.New().String()[:13], Events: event.Types()}
	e.app.SetDefaults()
	var err error
	if e.i, err = instance.New(instance.Draft{Application: e.app, InstanceOwnerID: "50001"}, "nav", time.Now()); err != nil {
		t.Fatal(err)
	}
	e.committed, e.early = blob.NewKey(e.app.ID, e.i.InstanceOwnerID, e.i.ID), blob.NewKey(e.app.ID, e.i.InstanceOwnerID, e.i.ID)
	e.must(e.add(e.i, e.committed))
	e.must(e.store.Create(t.Context(), e.i, e.i.StepEvent("", "nav", instance.Links{})))
	faulty := dynamodb.New(plain.Options(), func(o *dynamodb.Options) { o.APIOptions = append(o.APIOptions, in.Install) })
	e.writer = instancetable.New(faulty, "Instances", "Outbox")
	e.ours = scan.Recorder{Store: e.writer, Applications: oneApplication{e.app}, Links: instancehttp.View{}.Links}
	e.rival = scan.Recorder{Store: e.store, Applications: oneApplication{e.app}, Links: instancehttp.View{}.Links}
	in.During = func() { e.rival.Record(t.Context(), e.results(instance.ScanInfected)) } // at the same time
	return e
}

func (e *scanEnv) must(err error) {
	e.t.Helper()
	if err != nil {
		e.t.Fatal(err)
	}
}

func (e *scanEnv) add(i *instance.Instance, key blob.Key) error {
	return i.AddData(e.app, key.Revision(), "default", instance.Content{Revision: key.Revision(), Scanning: application.ScanningStrict}, "1001", time.Now())
}

// results returns the results of both contents.
func (e *scanEnv) results(ofCommitted string) []scan.Result {
	at := instance.TruncateTime(time.Now())
	return []scan.Result{
		{Key: e.committed, ScanResult: instance.ScanResult{Status: ofCommitted, At: at}},
		{Key: e.early, ScanResult: instance.ScanResult{Status: instance.ScanUnscannable, At: at}},
	}
}

// record records results. The queue delivers them again until every message has succeeded.
func (e *scanEnv) record(results []scan.Result) {
	for range 3 {
		err := errors.Join(e.ours.Record(e.t.Context(), results)...)
		crashed := e.in.Crashed()
		e.in.Restart()
		if err == nil && !crashed {
			return
		}
	}
}

// commit adds the second element, as a writer does, and applies its result. The client repeats the
// request once. A writer that crashes between the two leaves the result to the agenda.
func (e *scanEnv) commit() {
	for range 2 {
		i, err := e.writer.Mutate(e.t.Context(), e.i.InstanceOwnerID, e.i.ID, func(i *instance.Instance) ([]event.Event, error) {
			return nil, e.add(i, e.early)
		})
		if err == nil {
			_, err = scan.Apply(e.t.Context(), e.writer, e.app, e.ours.Links, i, []string{e.early.Revision()})
		}
		crashed := e.in.Crashed()
		e.in.Restart()
		if err == nil && !crashed {
			return
		}
	}
}

// check checks the scans of both elements, and that each result has exactly one event.
func (e *scanEnv) check() {
	e.t.Helper()
	i, err := e.store.Get(e.t.Context(), e.i.InstanceOwnerID, e.i.ID)
	e.must(err)
	if len(i.Data) != 2 || i.Data[0].ScanStatus() != instance.ScanInfected || i.Data[1].ScanStatus() != instance.ScanUnscannable {
		e.t.Errorf("the elements are %+v", i.Data)
	}
	got := outboxOf(e.t, e.plain, e.i, func(ev event.Event) string { return ev.EventType + ev.ScanStatus })
	if want := []string{"DataScannedinfected", "DataScannedunscannable", "WorkflowStateChange"}; !slices.Equal(got, want) || i.EventCount != len(want) {
		e.t.Errorf("the events are %v, want %v", got, want)
	}
}

// TestScanFaultAtEveryCall records results of committed content and of content that is committed
// later, and then a less severe result of the first, with one fault: at every call of the recorder
// and of the writer, in every mode.
func TestScanFaultAtEveryCall(t *testing.T) {
	plain := database(t)
	in := faults.New()
	called := map[string]bool{}
	calls, runs := faults.Each(t, in, faults.Modes, func(t *testing.T) {
		e := newScanEnv(t, plain, in)
		e.record(e.results(instance.ScanInfected))
		e.commit()
		e.record(e.results(instance.ScanClean)[:1])
		for _, call := range in.Calls() {
			called[call] = true
		}
		in.Disarm()
		in.Restart()
		in.Release()
		e.record(e.results(instance.ScanInfected)) // the queue delivers a message at least once
		i, err := e.store.Get(t.Context(), e.i.InstanceOwnerID, e.i.ID)
		e.must(err)
		_, err = scan.Apply(t.Context(), e.store, e.app, e.rival.Links, i, i.OverdueScans(time.Now().Add(instance.ScanPatience))) // the agenda
		e.must(err)
		e.check()
	})
	t.Logf("%d calls, %d runs", calls, runs)
	for _, operation := range []string{"GetItem", "PutItem", "BatchGetItem", "TransactWriteItems"} {
		if !called[operation] {
			t.Errorf("no run has called %s", operation)
		}
	}
}
