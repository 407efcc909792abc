package querycost

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"time"
	"uuid"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancetable"
)

// The applications of a volume, and each one's share of the instances.
const (
	alpha = "nav/alpha" // half
	beta  = "nav/beta"  // a fifth
	wide  = "skd/wide"  // the rest, on eight index shards
)

// The labels of a volume. The label rare has the same number of instances in every volume, evenly
// distributed: the larger the volume, the rarer the label.
const (
	often    = "gr"   // three fifths of the instances
	half     = "x2"   // half
	seldom   = "q4"   // a tenth
	rare     = "rare" // on rareRows instances
	rareRows = 400
	filler   = "fill" // on those that have rare in a smaller volume, so that the size of a row does not depend on the volume
	unused   = "none" // on none
)

// bigParty has bigRows instances in every volume; every other party has four.
const (
	bigParty = "500001"
	bigRows  = 300
)

// period is the number of instances after which the volume's pattern of applications, steps and
// labels repeats. Volumes differ only in the number of periods, so a query's cost differs only if
// it grows with the size.
const period = 1000

const wideShards = 8

// Apps returns the applications of every volume.
func Apps() []*application.Application {
	apps := []*application.Application{
		{ID: alpha, Org: "nav"}, {ID: beta, Org: "nav"}, {ID: wide, Org: "skd", IndexShards: wideShards},
	}
	for _, app := range apps {
		app.SetDefaults()
	}
	return apps
}

// begin is the creation time of the first instance of a volume; the others follow, two every two
// seconds.
var begin = time.Date(2026, 1, 5, 8, 0, 0, 123456000, time.UTC)

func createdAt(n int) time.Time { return begin.Add(time.Duration(n/2*2) * time.Second) }

// changeAfter is the time from an instance's creation to its last change.
const changeAfter = 26*time.Hour + 17*time.Millisecond

// volume generates the instances of a volume of size instances, a multiple of period. It is
// deterministic.
type volume struct {
	size int
	apps map[string]*application.Application
}

func newVolume(size int) (*volume, error) {
	if size < period || size%period != 0 {
		return nil, fmt.Errorf("querycost: the size %d of the volume must be a multiple of %d", size, period)
	}
	v := &volume{size: size, apps: map[string]*application.Application{}}
	for _, app := range Apps() {
		v.apps[app.ID] = app
	}
	return v, nil
}

// load writes the whole volume into a table.
func (v *volume) load(ctx context.Context, table *instancetable.Table) error {
	const chunk = 5000 // bounds the memory
	for from := 0; from < v.size; from += chunk {
		var instances []*instance.Instance
		for n := from; n < min(from+chunk, v.size); n++ {
			instances = append(instances, v.instance(n))
		}
		if err := table.Import(ctx, instances); err != nil {
			return err
		}
	}
	return nil
}

// among reports whether instance n is one of count instances that are distributed over the volume.
// position reports whether n has one of their positions in the period: first, first+step,
// first+2·step…
func (v *volume) among(n, count, first, step int) (is, position bool) {
	j := (n%period - first) / step
	position = j >= 0 && j < count && first+j*step == n%period
	return position && j*(v.size/period)/count == n/period, position
}

// instance returns instance n of the volume, after some use. It has the same size as the instance
// at the same position in the first period: a unit is charged for each 4 KB begun, so a few
// additional bytes could make a page more expensive.
func (v *volume) instance(n int) *instance.Instance {
	pattern := rand.New(rand.NewPCG(7, uint64(n%period)))
	own := rand.New(rand.NewPCG(8, uint64(n)))
	app := v.apps[weighted(pattern, alpha, 50, beta, 20, wide, 30)]
	stepName := weighted(pattern, "FormFilling", 70, "Submit", 20, "Archived", 10)
	step, _ := app.Workflow.Step(stepName)
	created := createdAt(n)
	changed := created.Add(changeAfter)
	i := &instance.Instance{
		ID: newID(created, own), AppID: app.ID, InstanceOwnerID: fmt.Sprint(600_000 + n/4), Labels: []string{},
		CreatedDateTime: created, CreatedBy: fmt.Sprint(1000 + n%700), LastChangedDateTime: changed, LastChangedBy: fmt.Sprint(1000 + n%700),
		PresentationField: fmt.Sprint("A-melding ", 1000+n%4000),
		Workflow:          instance.Workflow{CurrentStep: step.Name, IsCompleted: step.Completes},
		Status:            instance.Status{IsArchived: step.Archives},
		Version:           4, EventCount: 1, StepEntered: created, Submitted: step.Submits(),
	}
	if i.Submitted {
		i.Workflow.SubmittedDateTime = &created // before the confirmations
	}
	if i.Status.IsArchived {
		i.Status.ArchivedDateTime = &changed
	}
	for _, label := range []struct {
		name    string
		percent int
	}{{often, 60}, {half, 50}, {seldom, 10}} {
		if pattern.IntN(100) < label.percent {
			i.Labels = append(i.Labels, label.name)
		}
	}
	confirmed := pattern.IntN(100) < 60
	elements := []int{1, 2, 2, 2, 3}[pattern.IntN(5)]
	if is, position := v.among(n, rareRows, 0, 2); is {
		i.Labels = append(i.Labels, rare)
	} else if position {
		i.Labels = append(i.Labels, filler)
	}
	if is, _ := v.among(n, bigRows, 1, 3); is {
		i.InstanceOwnerID = bigParty
	}
	for e := range elements {
		i.Data = append(i.Data, element(e, i, step, confirmed, own))
	}
	i.Shard = instance.ShardOf(i.ID, app.IndexShards)
	return i
}

// element returns data element e of an instance: its form, or an attachment.
func element(e int, i *instance.Instance, step application.Step, confirmed bool, own *rand.Rand) instance.DataElement {
	at := i.CreatedDateTime.Add(time.Duration(e) * time.Minute)
	hash := make([]byte, 32)
	for n := range hash {
		hash[n] = byte(own.Uint32())
	}
	d := instance.DataElement{
		ID: newID(at, own), FormID: "default", ContentType: "application/xml", FileName: "default.xml", FileSize: 10_000 + own.Int64N(80_000),
		CreatedDateTime: at, CreatedBy: i.CreatedBy, LastChangedDateTime: at, LastChangedBy: i.CreatedBy,
		IsLocked: step.LocksData || step.Archives, SHA256: hex.EncodeToString(hash),
	}
	d.Revision = d.ID // like blob.FirstKey
	if e > 0 {
		d.FormID, d.ContentType, d.FileName = "attachment", "application/pdf", fmt.Sprintf("vedlegg %d.pdf", e)
	}
	if confirmed {
		d.ApplicationOwner = &instance.ApplicationOwner{
			Downloaded: []time.Time{at.Add(time.Hour)}, DownloadConfirmed: []time.Time{at.Add(time.Hour + 3*time.Second)},
		}
	}
	return d
}

// weighted returns one of the names. A percentage follows each name.
func weighted(r *rand.Rand, choices ...any) string {
	at := r.IntN(100)
	for n := 0; ; n += 2 {
		if at -= choices[n+1].(int); at < 0 {
			return choices[n].(string)
		}
	}
}

// newID returns a UUID version 7 with the time at.
func newID(at time.Time, own *rand.Rand) string {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:], uint64(at.UnixMilli())<<16|own.Uint64()&0xffff)
	binary.BigEndian.PutUint64(id[8:], own.Uint64())
	id[6], id[8] = id[6]&0x0f|0x70, id[8]&0x3f|0x80
	return id.String()
}
