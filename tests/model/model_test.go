package model

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// operations are the requests, with weights. Draws prefer the first ones, so operations that create
// something are first.
var operations = []struct {
	name   string
	weight int
	do     func(*run)
}{
	{"create", 9, (*run).create},
	{"create many", 4, (*run).createMany},
	{"change workflow", 9, (*run).change},
	{"create data", 9, (*run).createData},
	{"apply changes", 9, (*run).applyChanges},
	{"download", 5, (*run).download},
	{"query", 6, (*run).query},
	{"replace data", 6, (*run).replaceData},
	{"confirm", 5, (*run).confirm},
	{"confirm many", 3, (*run).confirmMany},
	{"announce upload", 6, (*run).announce},
	{"commit upload", 6, (*run).commit},
	{"update", 6, (*run).update},
	{"get data", 4, (*run).getData},
	{"validate", 4, (*run).validate},
	{"delete", 4, (*run).remove},
	{"undelete", 4, (*run).undelete},
	{"put application", 4, (*run).putApplication},
	{"delete data", 4, (*run).deleteData},
	{"history", 4, (*run).history},
	{"feed", 3, (*run).feed},
	{"get", 4, (*run).get},
	{"get workflow", 3, (*run).getWorkflow},
	{"own instances", 3, (*run).ownInstances},
	{"get application", 2, (*run).getApplication},
	{"wrong query", 2, (*run).wrongQuery},
	{"look up a party", 3, (*run).lookUp},
	{"set legal hold", 3, (*run).setHold},
	{"set substatus", 3, (*run).setSubstatus},
	{"clear substatus", 2, (*run).clearSubstatus},
	{"set read status", 4, (*run).setReadStatus},
	{"lift legal hold", 2, (*run).liftHold},
	{agendaRuns, 2, (*run).agenda},
}

// TestModel sends random sequences until MODEL_REQUESTS requests (default 10,000) have got the
// model's responses. A failure prints the seed (-rapid.seed) and the shortest failing sequence that
// was found, one request per line.
func TestModel(t *testing.T) {
	target := 10_000
	if text := os.Getenv("MODEL_REQUESTS"); text != "" {
		var err error
		if target, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	var weighted []int
	for n, o := range operations {
		for range o.weight {
			weighted = append(weighted, n)
		}
	}
	t.Run("runs", func(t *testing.T) {
		for lane := range 4 { // in parallel, because each waits for responses and for dates
			t.Run(fmt.Sprint(lane), func(t *testing.T) {
				t.Parallel()
				var latest *run // after a failure, the shortest failing run
				defer func() {
					if t.Failed() && latest != nil {
						t.Logf("the requests of the failure:\n%s", strings.Join(latest.lines, "\n"))
					}
				}()
				for !t.Failed() && requests() < target {
					rapid.Check(t, func(t *rapid.T) {
						r := newRun(t)
						latest = r
						live.Lock()
						live.runs[r] = true
						live.Unlock()
						defer func() {
							live.Lock()
							delete(live.runs, r)
							live.Unlock()
						}()
						r.register(r.callers[0], r.apps[0], r.application(nil), "", "")
						r.register(r.callers[5], r.apps[2], r.application(nil), "", "")
						t.Repeat(map[string]func(*rapid.T){"": func(*rapid.T) {}, "operation": func(t *rapid.T) {
							r.T = t
							o := operations[rapid.SampledFrom(weighted).Draw(t, "operation")]
							r.operation(o.name, o.do)
						}})
					})
				}
			})
		}
	})
	if t.Failed() {
		return // the table of all requests would hide the failure
	}
	tally.Lock()
	defer tally.Unlock()
	t.Logf("%d requests in %d runs", tally.total, runs.Load())
	for _, o := range slices.Sorted(maps.Keys(tally.by)) {
		t.Logf("%-16s %v", o, tally.by[o])
	}
	for o, by := range tally.by {
		if by[200]+by[201] == 0 && o != "wrong query" {
			t.Errorf("%s has never succeeded, so the test proves nothing about it", o)
		}
	}
}

func requests() int {
	tally.Lock()
	defer tally.Unlock()
	return tally.total
}

// TestRecordedDownloadsAreLimited downloads one element more often than the API records, which no
// random sequence does.
func TestRecordedDownloadsAreLimited(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRun(t)
		owner, id := r.callers[0], r.apps[0]
		r.check(r.send("put application", owner, request{"PUT", "/storage/applications/" + id, "application/json", nil, []byte(`{}`)}), r.model.PutApplication(owner, id, Application{}, ""))
		d := Draft{Reportee: r.people[:1], Data: []Blob{{FormID: "default", ContentType: "text/plain", Bytes: []byte("tekst")}}}
		g := r.send("create", owner, request{"POST", "/" + id + "/instances", "application/json", nil, d.encode(true)})
		r.check(g, r.model.Create(owner, id, d, r.seen(g)))
		p := r.model.Instances[0].At()
		p.App = ""
		whole := p
		p.Data = r.model.Instances[0].Data[0].ID
		for n := range 105 {
			r.check(r.send("get data", owner, request{method: "GET", path: p.String()}), r.model.GetData(owner, p, Fetch{}))
			if n == 0 || n >= 98 {
				r.check(r.send("get", owner, request{method: "GET", path: whole.String()}), r.model.Get(owner, whole))
			}
		}
	})
}
