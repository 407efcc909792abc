package crash

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"altinn.no/instanceapi/shared/application/applicationtable"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/blob/blobbucket"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancetable"
	"altinn.no/instanceapi/shared/instance/instancetest"
	"altinn.no/instanceapi/shared/instance/sweep"
	"altinn.no/instanceapi/tests/stored"
)

// allDue is the time after which the content of today is listed and every orphan check is due.
const allDue = 24*time.Hour + sweep.SettleTime

// sweepAndCheck runs the sweep as if days had passed, and checks everything that is stored.
func (e *env) sweepAndCheck() {
	e.t.Helper()
	tableName, bucket := e.stack.Outputs["InstancesTable"], e.stack.Outputs["BlobsBucket"]
	if tableName == "" || bucket == "" {
		e.t.Fatalf("the outputs of the stack name no table or no bucket: %v", e.stack.Outputs)
	}
	table := instancetable.New(e.db, tableName, "")
	report, err := sweep.Run(e.t.Context(), table, blobbucket.New(e.s3, bucket), time.Now().Add(allDue))
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Logf("swept: %+v", report)
	if report.Blobs == 0 || report.Instances == 0 {
		e.t.Error("the sweep found nothing to do, so the test proves nothing")
	}

	instances, labels := e.stored(table, tableName)
	e.checkNotes(table, instances)
	wanted := map[string]string{} // SHA-256 by object
	wantedLabels := map[entry]int64{}
	for _, i := range instances {
		if i.Status.IsMarkedForHardDelete {
			e.t.Errorf("instance %s is permanently deleted, but stored", i.ID)
		}
		for _, d := range i.Data {
			wanted[blob.KeyOf(i.AppID, i.InstanceOwnerID, i.ID, d.Revision).String()] = d.SHA256
		}
		_, _, keys := instancetable.IndexKeys(i)
		for n, label := range i.Labels {
			wantedLabels[entry{i.ID, instancetable.LabelIndex(label), keys[n]}] = i.Version
		}
	}
	if !maps.Equal(labels, wantedLabels) {
		e.t.Errorf("the indexes contain the labels (with versions)\n%v\nwant\n%v", labels, wantedLabels)
	}
	objects := e.objects(bucket)
	for key, sum := range wanted {
		if objects[key] != sum {
			e.t.Errorf("the object of a data element has the SHA-256 %q at %s, want %q", objects[key], key, sum)
		}
	}
	for key := range objects {
		if _, ok := wanted[key]; !ok {
			e.t.Errorf("no data element refers to the object %s", key)
		}
	}
	if len(instances) < 20 || len(wanted) < 20 {
		e.t.Errorf("only %d instances with %d data elements", len(instances), len(wanted))
	}
	if checks, err := instancetest.AllOrphanChecks(e.t.Context(), table, time.Now().Add(allDue)); err != nil || len(checks) != 0 {
		e.t.Errorf("orphan checks remain: %v, %v", checks, err)
	}
}

// checkNotes checks that every instance has a note of the agenda for the time at which it must be
// checked next, or an earlier one.
func (e *env) checkNotes(table *instancetable.Table, instances []*instance.Instance) {
	e.t.Helper()
	name := e.stack.Outputs["ApplicationsTable"]
	app, err := applicationtable.New(e.db, name).Get(e.t.Context(), e.org+"/melding")
	if err != nil || app == nil || !app.Rechecks() {
		e.t.Fatalf("the application in %q is %v: %v", name, app, err)
	}
	first := map[string]time.Time{}
	for shard := range instance.AgendaShards {
		var after *instance.AgendaNote
		for {
			notes, err := table.AgendaNotes(e.t.Context(), shard, after, time.Now().AddDate(200, 0, 0), 1000)
			if err != nil {
				e.t.Fatal(err)
			}
			if len(notes) == 0 {
				break
			}
			for _, n := range notes {
				if at, known := first[n.InstanceID]; !known || n.At.Before(at) {
					first[n.InstanceID] = n.At
				}
			}
			after = &notes[len(notes)-1]
		}
	}
	for _, i := range instances {
		next := i.NextCheck(app, time.Now())
		if at, known := first[i.ID]; i.AppID == app.ID && (!known || at.After(next)) {
			e.t.Errorf("instance %s must be checked at %v, but its first note is at %v", i.ID, next, at)
		}
	}
}

// entry is an entry of an instance in a label index.
type entry struct{ guid, index, key string }

// stored returns every instance, and the version of the item behind each entry of the label
// indexes.
func (e *env) stored(table *instancetable.Table, name string) (instances []*instance.Instance, labels map[entry]int64) {
	e.t.Helper()
	labels = map[entry]int64{}
	items, err := stored.Items(e.t.Context(), e.db, name)
	if err != nil {
		e.t.Fatal(err)
	}
	for _, item := range items {
		owner, key := item.Text("PK"), item.Text("SK")
		for index := range item {
			if strings.HasPrefix(index, "byLabel") {
				version, err := strconv.ParseInt(item.Text("v"), 10, 64)
				if err != nil {
					e.t.Fatal(err)
				}
				labels[entry{strings.Split(key, "#")[1], index, item.Text(index)}] = version
			}
		}
		if id, ok := strings.CutPrefix(key, "INSTANCE#"); ok {
			i, err := table.Get(e.t.Context(), owner, id)
			if err != nil {
				e.t.Fatal(err)
			}
			instances = append(instances, i)
		}
	}
	return instances, labels
}

// objects returns the SHA-256 of every object's content.
func (e *env) objects(bucket string) map[string]string {
	e.t.Helper()
	sums := map[string]string{}
	objects, err := stored.Objects(e.t.Context(), e.s3, bucket)
	if err != nil {
		e.t.Fatal(err)
	}
	for key := range objects {
		out, err := e.s3.GetObject(e.t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
		if err != nil {
			e.t.Fatal(err)
		}
		body, err := io.ReadAll(out.Body)
		if err != nil {
			e.t.Fatal(err)
		}
		sum := sha256.Sum256(body)
		sums[key] = hex.EncodeToString(sum[:])
	}
	return sums
}
