package instance

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"uuid"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/filltest"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 123_456_789, time.FixedZone("CET", 3600))

func newApplication(types ...application.DataType) *application.Application {
	app := &application.Application{ID: "nav/app2018", Org: "nav", DataTypes: types}
	app.SetDefaults()
	return app
}

// stored returns a new instance with the version of a stored one.
func stored(t *testing.T, app *application.Application) *Instance {
	t.Helper()
	i, err := New(Draft{Application: app, InstanceOwnerID: "50012"}, "1001", noon)
	if err != nil {
		t.Fatal(err)
	}
	i.Version = 1
	return i
}

func TestNew(t *testing.T) {
	due := noon.Add(time.Hour)
	labels := []string{"gr", "x2"}
	i, err := New(Draft{Application: newApplication(), InstanceOwnerID: "50012", Labels: labels, DueDateTime: &due, PresentationField: "Melding"}, "1001", noon)
	if err != nil {
		t.Fatal(err)
	}
	stamp := time.Date(2026, 11, 23, 11, 0, 0, 123_456_000, time.UTC)
	want := &Instance{
		ID: i.ID, AppID: "nav/app2018", InstanceOwnerID: "50012", Labels: []string{"gr", "x2"}, CreatedDateTime: stamp, CreatedBy: "1001",
		LastChangedDateTime: stamp, LastChangedBy: "1001", PresentationField: "Melding", Workflow: Workflow{CurrentStep: "FormFilling"},
		Data: []DataElement{}, EventCount: 1, StepEntered: stamp, DueDateTime: i.DueDateTime,
		Status: Status{ReadStatus: Read}, Timeline: Timeline{DueDone: stamp},
	}
	if !reflect.DeepEqual(i, want) || !i.DueDateTime.Equal(stamp.Add(time.Hour)) {
		t.Errorf("got  %+v\nwant %+v", i, want)
	}
	if id, err := uuid.Parse(i.ID); err != nil || id[6]>>4 != 7 || !ValidGuid(i.ID) {
		t.Errorf("id %s: %v", i.ID, err)
	}
	due, labels[0] = noon.Add(-time.Hour), "changed"
	if i.Labels[0] != "gr" || !i.DueDateTime.Equal(stamp.Add(time.Hour)) {
		t.Error("the instance shares memory with its draft")
	}
	// Ids sort by creation, even within one millisecond.
	ids := make([]string, 1000)
	for n := range ids {
		ids[n] = stored(t, newApplication()).ID
	}
	if !slices.IsSorted(ids) {
		t.Error("ids do not sort by creation")
	}
}

func TestInvalidDrafts(t *testing.T) {
	at := func(year int) *time.Time { t := time.Date(year, 6, 1, 0, 0, 0, 0, time.UTC); return &t }
	in := func(year int, month time.Month, day, offset int) *time.Time {
		t := time.Date(year, month, day, 12, 0, 0, 0, time.FixedZone("", offset*60*60))
		return &t
	}
	for name, draft := range map[string]Draft{
		"labels":                {Labels: []string{""}},
		"long presentation":     {PresentationField: strings.Repeat("æ", MaxPresentationField+1)},
		"control characters":    {PresentationField: "a\nb"},
		"a next-line character": {PresentationField: "a\u0085b"},
		"a paragraph separator": {PresentationField: "a\u2029b"},
		"a direction override":  {PresentationField: "a\u202eb"},
		"a direction mark":      {PresentationField: "a\u200fb"},
		"due too early":         {DueDateTime: at(1899)},
		"due too late":          {DueDateTime: at(9999)},
		"visible in the year 1": {VisibleDateTime: at(1)},
		"visible too late":      {VisibleDateTime: at(20000)},
		"due too early in UTC":  {DueDateTime: in(1900, time.January, 1, 14)},
		"due too late in UTC":   {DueDateTime: in(9998, time.December, 31, -14)},
	} {
		draft.Application = newApplication()
		if _, err := New(draft, "1001", noon); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v, want Invalid", name, err)
		}
	}
	for name, draft := range map[string]Draft{
		"nothing":      {},
		"spaces":       {PresentationField: " 12\u00a0500\u2009kr\u202f \u3000"},
		"emoji":        {PresentationField: "👨\u200d👩\u200d👧"},
		"presentation": {PresentationField: strings.Repeat("æ", MaxPresentationField)},
		"dates":        {DueDateTime: at(1900), VisibleDateTime: at(9998)},
	} {
		draft.Application = newApplication()
		if _, err := New(draft, "1001", noon); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCheckLabels(t *testing.T) {
	numbered := func(n int) (labels []string) {
		for n := range n {
			labels = append(labels, fmt.Sprint("l", n))
		}
		return labels
	}
	for name, labels := range map[string][]string{
		"none": nil, "one letter": {"g"}, "case is significant": {"gr", "GR", "Gr"}, "20": numbered(MaxLabels), "64 letters": {strings.Repeat("æ", 64)},
		"others": {"sak #1", "2024/05", "a=b&c", "😀", `"`, "%41"}, "spaces inside are significant": {"ab", "a b", "a  b"},
		"a non-breaking space": {"12\u00a0500", "12\u202f500", "12\u3000500"}, "emoji": {"👩\u200d💻", "❤\ufe0f", "🏴\U000E0067\U000E0062\U000E007F", "می\u200cخواهم"},
	} {
		got, err := CheckLabels(labels)
		if err != nil || got == nil || !slices.Equal(got, labels) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	for name, labels := range map[string][]string{
		"empty": {""}, "21": numbered(MaxLabels + 1), "65 letters": {strings.Repeat("x", 65)}, "twice": {"gr", "x2", "gr"},
		"a comma": {"a,b"}, "a line break": {"a\nb"}, "a NUL": {"a\x00"}, "a tab": {"a\tb"}, "a mark of direction": {"a\u202eb"},
		"a space before": {" a"}, "a space after": {"a "}, "a non-breaking space after": {"a\u00a0"}, "only a space": {"\u3000"}, "a line separator": {"a\u2028b"},
		"a joiner after": {"gr\u200d"}, "a joiner before": {"\u200cgr"}, "a variation selector after": {"gr\ufe0f"}, "a variation selector before": {"\ufe0fgr"},
		"only joiners": {"\u200c\u200d"}, "only variation selectors": {"\ufe0f\ufe0f"}, "a joiner after an emoji": {"👩\u200d"}, "a tag after": {"gr\U000E0067"}, "only tags": {"\U000E0067"},
		"only a filler": {"\u3164"}, "a filler after": {"gr\u115f"}, "an empty Braille pattern": {"\u2800"},
		"a byte order mark": {"a\ufeffb"}, "an isolate": {"a\u2066b"}, "a zero-width space": {"a\u200bb"},
	} {
		if got, err := CheckLabels(labels); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v, %v, want Invalid", name, got, err)
		}
	}
}

func TestShardOf(t *testing.T) {
	count := map[int]int{}
	for range 8000 {
		id := uuid.NewV7().String()
		if ShardOf(id, 1) != 0 || ShardOf(id, 0) != 0 {
			t.Fatal("ShardOf with at most one shard is not 0")
		}
		for _, shards := range []int{2, 8, 64} {
			if s := ShardOf(id, shards); s < 0 || s >= shards || s != ShardOf(id, shards) {
				t.Fatalf("%s is in shard %d of %d", id, s, shards)
			}
		}
		count[ShardOf(id, 8)]++
	}
	for s := range 8 {
		if count[s] < 800 || count[s] > 1200 {
			t.Errorf("shard %d has %d of 8000 ids", s, count[s])
		}
	}
}

func TestValidIDs(t *testing.T) {
	guid := "0193511e-4a4c-7d5f-8a55-3f2f5a1f6f0e"
	for id, want := range map[string]bool{
		guid: true, uuid.Nil().String(): true, strings.ToUpper(guid): false, "{" + guid + "}": false, "urn:uuid:" + guid: false,
		strings.ReplaceAll(guid, "-", ""): false, guid + "\n": false, "": false, guid[:35]: false, guid[:35] + "g": false,
	} {
		if ValidGuid(id) != want {
			t.Errorf("ValidGuid(%q) is %v", id, !want)
		}
	}
	for id, want := range map[string]bool{
		"1": true, "50012": true, "999999999999999": true, "": false, "0": false, "050012": false, "-1": false, "+1": false, "1.0": false,
		"1000000000000000": false, "5001x": false, " 5": false, "٥": false, "1e3": false,
	} {
		if ValidInstanceOwnerID(id) != want {
			t.Errorf("ValidInstanceOwnerID(%q) is %v", id, !want)
		}
	}
}

// TestCloneSharesNothing: a clone has every field, and shares no memory with the original.
func TestCloneSharesNothing(t *testing.T) {
	i := &Instance{}
	filltest.Fill(t, i)
	if i.Clone().IdempotencyRecord != nil {
		t.Error("Clone copies the IdempotencyRecord, which belongs to one change")
	}
	i.IdempotencyRecord = nil
	c := i.Clone()
	if !reflect.DeepEqual(i, c) {
		t.Fatalf("got  %+v\nwant %+v", c, i)
	}
	checkNotShared(t, reflect.ValueOf(i).Elem(), reflect.ValueOf(c).Elem(), "Instance")
	if empty := (&Instance{}).Clone(); empty.Labels == nil || empty.Data == nil {
		t.Error("a list of the clone is nil")
	}
}

func checkNotShared(t *testing.T, a, b reflect.Value, path string) {
	switch a.Kind() {
	case reflect.Pointer:
		if a.IsNil() && b.IsNil() {
			return
		}
		if a.Pointer() == b.Pointer() {
			t.Errorf("%s is shared", path)
		}
		checkNotShared(t, a.Elem(), b.Elem(), path)
	case reflect.Slice:
		if a.Pointer() == b.Pointer() {
			t.Errorf("%s is shared", path)
		}
		for n := range a.Len() {
			checkNotShared(t, a.Index(n), b.Index(n), fmt.Sprint(path, "[", n, "]"))
		}
	case reflect.Struct:
		if a.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for n := range a.NumField() {
			checkNotShared(t, a.Field(n), b.Field(n), path+"."+a.Type().Field(n).Name)
		}
	}
}
