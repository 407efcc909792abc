package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/agenda"
	"altinn.no/instanceapi/shared/logging"
	"altinn.no/instanceapi/shared/metric/metrictest"
)

// overdue returns an API with an instance whose deadline passed ten seconds ago, and its note.
func overdue(t *testing.T) (*apitest.API, *instance.Instance) {
	api := apitest.New(t)
	api.Register(t, apitest.App, `{"events":["DeadlinePassed"],"deadline":{"label":"overdue"}}`)
	due := time.Now().Add(-10 * time.Second)
	i := api.Add(t, apitest.InstanceSpec{At: due.Add(-time.Hour), Due: &due})
	if err := api.Instances.ScheduleAgenda(t.Context(), i.AgendaNote(due)); err != nil {
		t.Fatal(err)
	}
	return api, i
}

func runner(api *apitest.API) agenda.Runner {
	return agenda.Runner{Store: api.Instances, Applications: api.Applications, Links: api.View.Links, Scans: true}
}

// TestRun makes an effect that is due. The log line has the metric with the lag.
func TestRun(t *testing.T) {
	api, i := overdue(t)
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(logging.New(&log, slog.LevelInfo))
	defer slog.SetDefault(before)
	for range 2 { // the second run finds nothing to do
		if err := handler(runner(api), "instance-api")(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	stored := api.Stored(t, i)
	outbox := api.Instances.Outbox()
	if len(stored.Labels) != 1 || len(outbox) != 2 || outbox[1].EventType != event.DeadlinePassed || outbox[1].UserID != instance.Platform {
		t.Errorf("got the labels %v and the events %+v", stored.Labels, outbox)
	}
	lines := bytes.SplitAfter(log.Bytes(), []byte("\n"))
	for n, largest := range []float64{60_000, 0} {
		metrics := metrictest.Read(t, lines[n])
		if len(metrics) != 1 || metrics[0].Name != "agendaLagMs" || metrics[0].Values[0] > largest || n == 0 && metrics[0].Values[0] < 10_000 {
			t.Errorf("run %d has the metrics %+v", n, metrics)
		}
	}
}

// TestOverdueScan counts content whose scan has had no result for an hour, in each hour, and
// applies a result that the writer of the content did not apply.
func TestOverdueScan(t *testing.T) {
	api := apitest.New(t)
	pending := time.Now().Add(-instance.ScanPatience)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default", "attachment"}})
	i = api.Change(t, i, func(i *instance.Instance) error {
		for n := range i.Data {
			i.Data[n].Scan = &instance.Scan{Status: instance.ScanPending, At: pending}
		}
		return nil
	})
	if _, err := api.Instances.PutScanResult(t.Context(), i.Data[1].Revision, instance.ScanResult{Status: instance.ScanClean, At: pending}); err != nil {
		t.Fatal(err)
	}
	if err := api.Instances.ScheduleAgenda(t.Context(), i.AgendaNote(pending.Add(instance.ScanPatience))); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(logging.New(&log, slog.LevelInfo))
	defer slog.SetDefault(before)
	if err := handler(runner(api), "instance-api")(t.Context()); err != nil {
		t.Fatal(err)
	}
	if metrics := metrictest.Read(t, log.Bytes()); len(metrics) != 2 || metrics[1].Name != "scansOverdue" || metrics[1].Values[0] != 1 {
		t.Errorf("the run has the metrics %+v, want one overdue scan", metrics)
	}
	stored := api.Stored(t, i)
	if stored.Data[0].ScanStatus() != instance.ScanPending || stored.Data[1].ScanStatus() != instance.ScanClean {
		t.Errorf("the scans are %+v and %+v", stored.Data[0].Scan, stored.Data[1].Scan)
	}
	notes := api.Instances.AllAgendaNotes()
	if next := instance.TruncateTime(pending.Add(2 * instance.ScanPatience)); len(notes) != 1 || !notes[0].At.Equal(next) {
		t.Errorf("the notes are %v, want one at %v", notes, next)
	}
}

// TestNoOverdueScan counts no overdue scan of a permanently deleted instance, nor on a system that
// no longer scans.
func TestNoOverdueScan(t *testing.T) {
	for name, change := range map[string]func(api *apitest.API, i *instance.Instance, r *agenda.Runner){
		"deleted":   func(api *apitest.API, i *instance.Instance, _ *agenda.Runner) { api.HardDelete(t, i) },
		"scans off": func(_ *apitest.API, _ *instance.Instance, r *agenda.Runner) { r.Scans = false },
	} {
		api := apitest.New(t)
		now := time.Now()
		i := api.SetScan(t, api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}}), 0, instance.ScanPending, false)
		if err := api.Instances.ScheduleAgenda(t.Context(), i.AgendaNote(now)); err != nil {
			t.Fatal(err)
		}
		r := runner(api)
		change(api, i, &r)
		if report, err := r.Run(t.Context(), now.Add(time.Minute)); err != nil || report.Overdue != 0 || report.Notes != 1 {
			t.Errorf("%s: %+v, %v", name, report, err)
		}
	}
}

func TestFailedRunIsAnError(t *testing.T) {
	api, i := overdue(t)
	broken := errors.New("no response")
	api.Instances.Fail = func() error { return broken }
	if err := handler(runner(api), "")(t.Context()); !errors.Is(err, broken) {
		t.Errorf("the run returned %v: the log would not show the failure", err)
	}
	if stored, notes := api.Stored(t, i), api.Instances.AllAgendaNotes(); stored.Version != i.Version || len(notes) != 1 {
		t.Errorf("version %d and the notes %v, want the note for the next run", stored.Version, notes)
	}
}

func TestRunEndsBeforeTheTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api, _ := overdue(t)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		stuck := runner(api)
		stuck.Store = stuckStore{api.Instances}
		if err := handler(stuck, "")(ctx); err != nil {
			t.Errorf("the end of the time is an error: %v", err)
		}
		if duration := time.Since(start); duration != 10*time.Second-margin {
			t.Errorf("the run ended after %v of 10s", duration)
		}
	})
}

// stuckStore does not return instances.
type stuckStore struct{ agenda.Store }

func (stuckStore) Get(ctx context.Context, _, _ string) (*instance.Instance, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestSample checks that the sample is an event of the schedule. The handler ignores its payload.
func TestSample(t *testing.T) {
	text, err := os.ReadFile("../../events/agenda-run/every-minute.json")
	if err != nil {
		t.Fatal(err)
	}
	var e events.CloudWatchEvent
	if err := json.Unmarshal(text, &e); err != nil || e.DetailType != "Scheduled Event" {
		t.Errorf("%v, %v", e.DetailType, err)
	}
}
