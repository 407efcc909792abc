package event

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/filltest"
	"altinn.no/instanceapi/shared/rfc3339"
)

const guid = "41e57962-dfb7-4502-a4dd-8da28b0885fc"

func sample() Event {
	return Event{
		ID: ID(guid, 2), At: rfc3339.Time{Time: time.Date(2019, 6, 1, 11, 12, 22, 123456000, time.UTC)}, AppID: "nav/app2018",
		InstanceOwnerID: "347829", InstanceLink: "https://platform.altinn.no/storage/instances/347829/" + guid,
		EventType: WorkflowStateChange, WorkflowStep: "Submit", UserID: "userX",
		Org: "nav", App: "app2018", PreviousStep: "FormFilling", InstanceVersion: 4, SchemaVersion: SchemaVersion,
	}
}

func TestParseID(t *testing.T) {
	if g, n, err := ParseID(ID(guid, 17)); g != guid || n != 17 || err != nil {
		t.Errorf("got %q, %d, %v", g, n, err)
	}
	for _, id := range []string{"", "112453234523423344", guid, guid + ".", guid + ".0", guid + ".-1", guid + ".+1", guid + ".01",
		guid + ".1x", "x." + guid, guid + "0.1", guid + ".99999999999999999999"} {
		if _, _, err := ParseID(id); err == nil {
			t.Errorf("ParseID accepts %q", id)
		}
	}
}

// TestEncode compares the exact JSON: its members and their names are the contract with owners.
func TestEncode(t *testing.T) {
	doc, err := Encode(sample())
	if err != nil {
		t.Fatal(err)
	}
	want := `{"id":"` + guid + `.2","at":"2019-06-01T11:12:22.123456Z","appId":"nav/app2018","instanceOwnerId":"347829",` +
		`"instanceLink":"https://platform.altinn.no/storage/instances/347829/` + guid + `","dataLinks":[],` +
		`"eventType":"WorkflowStateChange","workflowStep":"Submit","userId":"userX","org":"nav","app":"app2018",` +
		`"previousStep":"FormFilling","instanceVersion":4,"schemaVersion":1}`
	if string(doc.JSON) != want {
		t.Errorf("got\n%s\nwant\n%s", doc.JSON, want)
	}
	if doc.InstanceGuid != guid || doc.Number != 2 {
		t.Errorf("instance %q, number %d", doc.InstanceGuid, doc.Number)
	}
}

// TestCloudEvent compares the exact JSON, which is the contract with owners.
func TestCloudEvent(t *testing.T) {
	doc, err := Encode(sample())
	if err != nil {
		t.Fatal(err)
	}
	got, err := doc.CloudEvent("https://nav.apps.altinn.no", "https://platform.altinn.no/schema")
	want := `{"specversion":"1.0","id":"` + guid + `.2","source":"https://nav.apps.altinn.no/nav/app2018","type":"no.altinn.instance.WorkflowStateChange.v1",` +
		`"subject":"347829/` + guid + `","time":"2019-06-01T11:12:22.123456Z","datacontenttype":"application/json","dataschema":"https://platform.altinn.no/schema",` +
		`"dataref":"https://platform.altinn.no/storage/instances/347829/` + guid + `","sequence":"0000000002","data":` + string(doc.JSON) + `}`
	if err != nil || string(got) != want {
		t.Errorf("got\n%s\nwant\n%s, %v", got, want, err)
	}
}

func TestDecode(t *testing.T) {
	doc, err := Encode(sample())
	if err != nil {
		t.Fatal(err)
	}
	// A later version may add members, and a transport may add white space.
	later := strings.Replace(string(doc.JSON), `{"id"`, `{ "added": [1, {"x":  null}], "id"`, 1)
	read, err := Decode([]byte(later))
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Replace(string(doc.JSON), `{"id"`, `{"added":[1,{"x":null}],"id"`, 1); string(read.JSON) != want {
		t.Errorf("got\n%s\nwant\n%s", read.JSON, want)
	}
	if read.Event.ID != doc.Event.ID || !read.Event.At.Equal(doc.Event.At.Time) || read.Number != 2 {
		t.Errorf("got %+v", read.Event)
	}
}

// TestDocumentKeepsEveryField fails if the JSON of an event lacks a field.
func TestDocumentKeepsEveryField(t *testing.T) {
	var want Event
	filltest.Fill(t, &want)
	want.ID, want.AppID, want.Org, want.App = ID(guid, 2), "nav/app2018", "nav", "app2018"
	doc, err := Encode(want)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Decode(doc.JSON); err != nil || !reflect.DeepEqual(got.Event, want) {
		t.Errorf("got  %+v, %v\nwant %+v", got.Event, err, want)
	}
}

func TestRejectsInvalidEvents(t *testing.T) {
	for _, raw := range []string{"", "x", "[]", "null", "{}", `{"id": 3}`, `{"id":"` + guid + `.1"} {}`} {
		if _, err := Decode([]byte(raw)); err == nil {
			t.Errorf("Decode accepts %q", raw)
		}
	}
	for name, damage := range map[string]func(*Event){
		"id":        func(e *Event) { e.ID = guid },
		"app":       func(e *Event) { e.App = "other" },
		"org":       func(e *Event) { e.Org = "skd" },
		"appId":     func(e *Event) { e.AppID, e.Org, e.App = "Nav/app", "Nav", "app" },
		"reserved":  func(e *Event) { e.AppID, e.Org, e.App = "storage/app", "storage", "app" },
		"at":        func(e *Event) { e.At = rfc3339.Time{} },
		"eventType": func(e *Event) { e.EventType = "" },
		"step":      func(e *Event) { e.WorkflowStep = "" },
	} {
		ev := sample()
		damage(&ev)
		if _, err := Encode(ev); err == nil {
			t.Errorf("%s: Encode accepts the event", name)
		}
		raw, err := json.Marshal(ev)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Decode(raw); err == nil {
			t.Errorf("%s: Decode accepts the event", name)
		} else if strings.Contains(err.Error(), guid) {
			t.Errorf("%s: the error repeats the content: %v", name, err)
		}
	}
}

func TestSort(t *testing.T) {
	at := time.Date(2019, 6, 1, 0, 0, 0, 0, time.UTC)
	newDoc := func(instance string, number int, second int) Encoded {
		return Encoded{
			Event:        Event{ID: instance + string(rune('0'+number)), At: rfc3339.Time{Time: at.Add(time.Duration(second) * time.Second)}},
			InstanceGuid: instance, Number: number,
		}
	}
	docs := []Encoded{
		newDoc("a", 3, 9),
		newDoc("b", 1, 1),
		newDoc("a", 2, 0), // from a clock that is behind: still after a1
		newDoc("a", 10, 9),
		newDoc("c", 1, 6),
		newDoc("a", 1, 5),
	}
	Sort(docs)
	var got []string
	for _, doc := range docs {
		got = append(got, doc.Event.ID)
	}
	if want := "b1 a1 a2 c1 a3 a:"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
	Sort(nil)
}
