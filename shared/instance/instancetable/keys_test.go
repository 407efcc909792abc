package instancetable

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/instance"
)

func TestIndexKeys(t *testing.T) {
	now := time.Now()
	i := &instance.Instance{ID: "i", AppID: "nav/app2018", Labels: []string{"gr", "#x#2#"}, Workflow: instance.Workflow{CurrentStep: "Submit"}, Shard: 3}
	step, unconfirmed, labels := IndexKeys(i)
	if step != "nav/app2018#Submit#3" || unconfirmed != "" || !slices.Equal(labels, []string{"nav/app2018#gr#Submit#3", "nav/app2018##x#2##Submit#3"}) {
		t.Errorf("%q, %q, %q", step, unconfirmed, labels)
	}
	i.Submitted, i.Workflow.SubmittedDateTime = true, &now
	if _, unconfirmed, _ := IndexKeys(i); unconfirmed != step {
		t.Errorf("submitted and unconfirmed: %q", unconfirmed)
	}
	if err := i.HardDelete(nil, application.Owner, i.CreatedDateTime); err != nil {
		t.Fatal(err)
	}
	if step, unconfirmed, labels := IndexKeys(i); step != "" || unconfirmed != "" || len(labels) > 0 {
		t.Errorf("marked for hard delete: %q, %q, %q", step, unconfirmed, labels)
	}
}

// TestLabelIndexIsStable: if a label moved to another index, queries would no longer find its
// instances.
func TestLabelIndexIsStable(t *testing.T) {
	for label, index := range map[string]string{"gr": "byLabel4", "x2": "byLabel7", "q4": "byLabel0", "dagpenger": "byLabel0", "æ #1": "byLabel4", "": "byLabel5"} {
		if got := LabelIndex(label); got != index {
			t.Errorf("%q is in %s, want %s", label, got, index)
		}
	}
	for _, test := range [][2][]string{
		{{}, nil}, {{"gr", "x2"}, nil}, {{"gr", "x3"}, {"x3"}}, {{"x3", "gr"}, {"gr"}}, {{"gr", "a", "x2", "x3"}, {"a", "x3"}},
	} {
		if got := collidingLabels(test[0]); !slices.Equal(got, test[1]) {
			t.Errorf("collidingLabels(%q) = %q, want %q", test[0], got, test[1])
		}
	}
}

// TestLabelKeysAreUnambiguous: two different labels never share a partition.
func TestLabelKeysAreUnambiguous(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type labelEntry struct {
			app, label, step string
			shard            int
		}
		draw := func(name string) labelEntry {
			return labelEntry{
				rapid.SampledFrom([]string{"nav/a", "nav/a-1", "skd/a"}).Draw(t, name+" app"),
				rapid.StringOfN(rapid.SampledFrom([]rune{'#', 'S', 'u', '1'}), 1, 8, -1).Draw(t, name+" label"),
				rapid.SampledFrom([]string{"S", "u", "Su"}).Draw(t, name+" step"), rapid.IntRange(0, 11).Draw(t, name+" shard"),
			}
		}
		key := func(e labelEntry) string { return LabelKey(e.app, e.label, e.step, e.shard) }
		if a, b := draw("a"), draw("b"); (key(a) == key(b)) != (a == b) {
			t.Fatalf("%v and %v: %q and %q", a, b, key(a), key(b))
		}
	})
}

// TestKeysFitDynamoDB: a sort key has at most 1024 bytes, the partition key of an index 2048.
func TestKeysFitDynamoDB(t *testing.T) {
	long := strings.Repeat("\U0001F600", instance.MaxLabelLength)
	if _, err := instance.CheckLabels([]string{long}); err != nil {
		t.Fatal(err)
	}
	if n := len(labelSortKey("0193511e-4a4c-7d5f-8a55-3f2f5a1f6f0e", long)); n > 1024 {
		t.Errorf("a label's sort key has %d bytes", n)
	}
	if n := len(LabelKey(strings.Repeat("a", 92), long, strings.Repeat("s", 64), 63)); n > 2048 {
		t.Errorf("a label's index key has %d bytes", n)
	}
}
