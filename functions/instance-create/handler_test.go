package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/auth/authtest"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/blob/blobtest"
	"altinn.no/instanceapi/shared/instance/instancehttp/doortest"
	"altinn.no/instanceapi/shared/party"
)

const (
	route   = "POST /{org}/{app}/instances"
	path    = "/nav/app2018/instances"
	kari    = `"reportee":{"ssn":"` + doortest.KariSSN + `"}`
	xml     = `"contentType":"application/xml","content":"PG1lbGRpbmcvPg=="` // <melding/>
	oneForm = `"data":[{"formId":"default",` + xml + `}]`
)

func newSite(t *testing.T) *doortest.Site {
	s := doortest.New(t)
	s.Serve(route, handler(&creator{
		tokens: s.Gate.Tokens, applications: s.Applications, parties: s.Parties, instances: s.Instances, blobs: s.Blobs, view: s.View,
	}))
	return s
}

func TestWhoItIsFor(t *testing.T) {
	for _, test := range []struct {
		name, caller, body, instanceOwnerID, createdBy string
	}{
		{"a person", doortest.Nav, `{` + kari + `}`, "50001", "nav"},
		{"a person not seen before", doortest.Nav, `{"reportee":{"ssn":"` + doortest.NewcomerSSN + `"}}`, "50003", "nav"},
		{"an organisation", doortest.Nav, `{"reportee":{"organizationNumber":"974760673"}}`, "50003", "nav"},
		{"a user name", doortest.Nav, `{"reportee":{"userName":"olav"}}`, "50003", "nav"},
		{"a number", doortest.Nav, `{"instanceOwnerId":"50002"}`, "50002", "nav"},
		{"a number, and null for the other", doortest.NavWriter, `{"instanceOwnerId":"50002","reportee":null}`, "50002", "nav"},
		{"the user", doortest.KariWriter, `{` + kari + `}`, "50001", "1001"},
		{"the user's number", doortest.Kari, `{"instanceOwnerId":"50001"}`, "50001", "1001"},
		{"the user, known by SSN alone", doortest.KariBySSN, `{` + kari + `}`, "50001", "50001"},
		{"the number of a user known by SSN alone", doortest.KariBySSN, `{"instanceOwnerId":"50001"}`, "50001", "50001"},
		{"a user not seen before", doortest.Newcomer, `{"reportee":{"ssn":"` + doortest.NewcomerSSN + `"}}`, "50003", "50003"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSite(t)
			for number := 1; number <= 2; number++ { // the same party has the same number again
				answer := s.Do(t, test.caller, "POST", path, doortest.JSON(test.body))
				i := answer.Instance(s, 201)
				if i.InstanceOwnerID != test.instanceOwnerID || i.CreatedBy != test.createdBy || i.LastChangedBy != test.createdBy {
					t.Errorf("for %s, created by %s, changed by %s", i.InstanceOwnerID, i.CreatedBy, i.LastChangedBy)
				}
				if i.AppID != doortest.App || i.Workflow.CurrentStep != "FormFilling" || i.Workflow.IsCompleted || len(i.Data) != 0 {
					t.Errorf("got %s", answer.Body)
				}
				if want := s.View.Render(i).SelfLinks.Apps; answer.Header().Get("Location") != want || answer.ETag() != `"1"` {
					t.Errorf("Location %s, want %s; ETag %s", answer.Header().Get("Location"), want, answer.ETag())
				}
				events := s.Instances.Outbox()
				if len(events) != number || events[number-1].UserID != test.createdBy {
					t.Errorf("events %+v", events)
				}
			}
		})
	}
}

func TestEverythingAtOnce(t *testing.T) {
	s := newSite(t)
	image := base64.StdEncoding.EncodeToString([]byte("\x89PNG\r\n\x00\xff"))
	i := s.Do(t, doortest.Kari, "POST", path, doortest.JSON(`{`+kari+`,"labels":["gr","x2"],"presentationField":"Årsmelding",
		"dueDateTime":"2026-06-01T12:00:00+02:00","visibleDateTime":"2026-05-20T00:00:00.1234567Z",
		"data":[{"formId":"default",`+xml+`},
		        {"formId":"attachment","contentType":"image/png; a=b","fileName":"C:\\bilder\\100%25 hus.png","content":"`+image+`"}]}`)).Instance(s, 201)
	if !slices.Equal(i.Labels, []string{"gr", "x2"}) || i.PresentationField != "Årsmelding" ||
		i.DueDateTime.Format(time.RFC3339) != "2026-06-01T10:00:00Z" || i.VisibleDateTime.Format(time.RFC3339Nano) != "2026-05-20T00:00:00.123456Z" {
		t.Errorf("got %+v", i)
	}
	if len(i.Data) != 2 {
		t.Fatalf("%d data elements", len(i.Data))
	}
	var keys []string
	for n, want := range []struct{ formID, contentType, fileName, content string }{
		{"default", "application/xml", "default.xml", "<melding/>"},
		{"attachment", "image/png; a=b", "100%25 hus.png", "\x89PNG\r\n\x00\xff"},
	} {
		d := i.Data[n]
		if d.FormID != want.formID || d.ContentType != want.contentType || d.FileName != want.fileName || d.FileSize != int64(len(want.content)) || d.IsLocked || d.CreatedBy != "1001" {
			t.Errorf("element %d: %+v", n, d)
		}
		key := blob.KeyOf(i.AppID, i.ID, d.ID, d.Revision)
		keys = append(keys, key.String())
		object, err := s.Blobs.Get(t.Context(), key, nil)
		if err != nil {
			t.Fatal(err)
		}
		content := make([]byte, object.Size)
		if _, err := object.Body.Read(content); err != nil || string(content) != want.content || s.Blobs.ContentType(key) != want.contentType {
			t.Errorf("element %d has the bytes %q as %s (%v)", n, content, s.Blobs.ContentType(key), err)
		}
	}
	if slices.Sort(keys); !slices.Equal(s.Blobs.Keys(), keys) {
		t.Errorf("stored are %v, want %v", s.Blobs.Keys(), keys)
	}
	ev := s.Instances.Outbox()[0]
	if ev.ID != i.ID+".1" || ev.WorkflowStep != "FormFilling" || ev.PreviousStep != "" || ev.InstanceVersion != 1 || len(ev.DataLinks) != 2 || ev.InstanceOwnerID != "50001" {
		t.Errorf("event %+v", ev)
	}
	if text, err := json.Marshal(ev); err != nil || strings.Contains(string(text), doortest.KariSSN) {
		t.Errorf("event %s (%v)", text, err)
	}
}

// Whatever is refused leaves nothing behind: no instance, no event, no bytes, and no number for the party.
func TestRefusals(t *testing.T) {
	newcomer := `"reportee":{"ssn":"` + doortest.NewcomerSSN + `"}`
	labels := `"` + strings.Join(strings.Split("abcdefghijklmnopqrstu", ""), `","`) + `"`
	large := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("a", 1_000_001)))
	for name, test := range map[string]struct {
		caller, path, body string
		status             int
		code               string
	}{
		"no token":            {doortest.Nobody, path, `{` + newcomer + `}`, 401, "token-missing"},
		"a forged token":      {doortest.Forged, path, `{` + newcomer + `}`, 401, "token-invalid"},
		"owner without scope": {doortest.NavReader, path, `{` + newcomer + `}`, 403, "scope-missing"},
		"user without scope":  {doortest.KariReader, path, `{` + kari + `}`, 403, "scope-missing"},
		"another owner":       {doortest.Skd, path, `{` + newcomer + `}`, 404, "not-found"},
		"no such application": {doortest.Nav, "/nav/app2099/instances", `{` + newcomer + `}`, 404, "not-found"},
		"no application":      {doortest.Kari, "/Nav/App/instances", `{` + kari + `}`, 404, "not-found"},
		"no such number":      {doortest.Nav, path, `{"instanceOwnerId":"50003"}`, 404, "not-found"},
		"no number":           {doortest.Nav, path, `{"instanceOwnerId":"kari"}`, 404, "not-found"},

		"another party":                {doortest.Ola, path, `{` + kari + `}`, 404, "not-found"},
		"another party's number":       {doortest.Ola, path, `{"instanceOwnerId":"50001"}`, 404, "not-found"},
		"another party, by SSN":        {doortest.OlaBySSN, path, `{` + kari + `}`, 404, "not-found"},
		"a number, by a newcomer":      {doortest.Newcomer, path, `{"instanceOwnerId":"50001"}`, 404, "not-found"},
		"another party, by a newcomer": {doortest.Newcomer, path, `{` + kari + `}`, 404, "not-found"},
		"an unknown party, by a user":  {doortest.Ola, path, `{` + newcomer + `}`, 404, "not-found"},

		"both":                {doortest.Nav, path, `{` + newcomer + `,"instanceOwnerId":"50001"}`, 400, "reportee-invalid"},
		"neither":             {doortest.Nav, path, `{}`, 400, "reportee-invalid"},
		"an empty reportee":   {doortest.Nav, path, `{"reportee":{}}`, 400, "reportee-invalid"},
		"two identities":      {doortest.Nav, path, `{"reportee":{"ssn":"` + doortest.NewcomerSSN + `","userName":"kari"}}`, 400, "reportee-invalid"},
		"a short SSN":         {doortest.Nav, path, `{"reportee":{"ssn":"1224791830"}}`, 400, "reportee-invalid"},
		"a long org number":   {doortest.Nav, path, `{"reportee":{"organizationNumber":"9747606731"}}`, 400, "reportee-invalid"},
		"a strange user name": {doortest.Nav, path, `{"reportee":{"userName":"kari nordmann"}}`, 400, "reportee-invalid"},
		"wrong check digits":  {doortest.Nav, "/nav/strict/instances", `{"reportee":{"ssn":"12247918308"}}`, 400, "reportee-invalid"},

		"a parameter":               {doortest.Nav, path + "?labels=gr", `{` + newcomer + `}`, 400, "parameter-unknown"},
		"half a surrogate pair":     {doortest.Nav, path, `{` + newcomer + `,"presentationField":"\ud800"}`, 400, "body-invalid"},
		"a comma in a time":         {doortest.Nav, path, `{` + newcomer + `,"dueDateTime":"2026-06-01T12:00:00,5Z"}`, 400, "body-invalid"},
		"no body":                   {doortest.Nav, path, ``, 400, "body-invalid"},
		"an unknown member":         {doortest.Nav, path, `{` + newcomer + `,"dueDate":null}`, 400, "body-invalid"},
		"a member in capitals":      {doortest.Nav, path, `{` + newcomer + `,"Labels":[]}`, 400, "body-invalid"},
		"an unknown kind":           {doortest.Nav, path, `{"reportee":{"pid":"1"}}`, 400, "body-invalid"},
		"an unknown data member":    {doortest.Nav, path, `{` + newcomer + `,"data":[{"formId":"default",` + xml + `,"isLocked":true}]}`, 400, "body-invalid"},
		"content that is no base64": {doortest.Nav, path, `{` + newcomer + `,"data":[{"formId":"default","contentType":"application/xml","content":"<a/>"}]}`, 400, "body-invalid"},
		"a time without an offset":  {doortest.Nav, path, `{` + newcomer + `,"dueDateTime":"2026-06-01T12:00:00"}`, 400, "body-invalid"},
		"a body too large":          {doortest.Nav, path, `{"presentationField":"` + strings.Repeat("a", blob.InlineLimit) + `"}`, 413, "body-too-large"},

		"too many labels":   {doortest.Nav, path, `{` + newcomer + `,"labels":[` + labels + `]}`, 400, "labels-invalid"},
		"a label twice":     {doortest.Nav, path, `{` + newcomer + `,"labels":["a","a"]}`, 400, "labels-invalid"},
		"an empty label":    {doortest.Nav, path, `{` + newcomer + `,"labels":[""]}`, 400, "labels-invalid"},
		"a long label":      {doortest.Nav, path, `{` + newcomer + `,"labels":["` + strings.Repeat("å", 65) + `"]}`, 400, "text-invalid"},
		"the year 10000":    {doortest.Nav, path, `{` + newcomer + `,"dueDateTime":"9999-12-31T23:59:59Z"}`, 400, "date-invalid"},
		"an unknown formId": {doortest.Nav, path, `{` + newcomer + `,"data":[{"formId":"skjema",` + xml + `}]}`, 400, "form-id-unknown"},
		"no content":        {doortest.Nav, path, `{` + newcomer + `,"data":[{"formId":"default","contentType":"application/xml"}]}`, 400, "data-empty"},
		"too much content": {doortest.Nav, path, `{` + newcomer + `,"data":[{"formId":"default","contentType":"application/xml","content":"` + large + `"}]}`,
			413, "data-too-large"},
		"a type not allowed": {doortest.Nav, path, `{` + newcomer + `,"data":[{"formId":"default","contentType":"text/plain","content":"aGVp"}]}`,
			415, "content-type-not-allowed"},
		"no type":                      {doortest.Nav, path, `{` + newcomer + `,"data":[{"formId":"default","content":"aGVp"}]}`, 415, "content-type-invalid"},
		"a form too many":              {doortest.Nav, path, `{` + newcomer + `,"data":[{"formId":"default",` + xml + `},{"formId":"default",` + xml + `}]}`, 409, "data-count"},
		"the second of two is invalid": {doortest.Nav, path, `{` + newcomer + `,"data":[{"formId":"default",` + xml + `},{"formId":"skjema",` + xml + `}]}`, 400, "form-id-unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.Register(t, "nav/strict", `{"checkIdentityNumbers":true}`)
			s.Unchanged(t, nil, func() { s.Do(t, test.caller, "POST", test.path, doortest.JSON(test.body)).Want(test.status, test.code) })
			if number, found, _ := s.Parties.Find(t.Context(), party.Identity{Kind: party.SSN, Value: doortest.NewcomerSSN}); found {
				t.Errorf("the newcomer has the number %s", number)
			}
		})
	}
	s := newSite(t)
	s.Do(t, doortest.Nav, "POST", path, doortest.Bytes("text/plain", `{`+kari+`}`)).Want(415, "body-not-json")
}

// A table that does not answer may have stored the instance, so the bytes stay; the caller is told nothing of the inside.
func TestAStoreThatFails(t *testing.T) {
	s := newSite(t)
	s.Instances.Fail = func() error { return errors.New("table down") }
	answer := s.Do(t, doortest.Nav, "POST", path, doortest.JSON(`{`+kari+`,`+oneForm+`}`)).Want(500, "internal")
	if len(s.Blobs.Keys()) != 1 || strings.Contains(fmt.Sprint(answer.Body), "table down") {
		t.Errorf("blobs %v, answer %s", s.Blobs.Keys(), answer.Body)
	}
	s = newSite(t)
	s.Blobs.Hook = func(blobtest.Call) error { return errors.New("bucket down") }
	s.Unchanged(t, nil, func() {
		s.Do(t, doortest.Nav, "POST", path, doortest.JSON(`{`+kari+`,`+oneForm+`}`)).Want(500, "internal")
	})
}

// Who has no number yet is no less one caller: the number that the first request brings must not make it another.
func TestANewcomersIdempotencyKey(t *testing.T) {
	s := newSite(t)
	body := doortest.JSON(`{"reportee":{"ssn":"` + doortest.NewcomerSSN + `"}}`)
	first := s.Do(t, doortest.Newcomer, "POST", path, body, key("a"))
	s.Unchanged(t, first.Instance(s, 201), func() {
		if again := s.Do(t, doortest.Newcomer, "POST", path, body, key("a")).Want(201, ""); again.Body.String() != first.Body.String() {
			t.Errorf("the repeat is %s", again.Body)
		}
	})
}

// A key is its sender's own: who sends the same, body and all, is not answered with another's instance.
func TestAnothersIdempotencyKey(t *testing.T) {
	s := newSite(t)
	stranger := authtest.Person(party.Identity{Kind: party.UserName, Value: "stranger"})
	body := doortest.JSON(`{"reportee":{"ssn":"` + doortest.NewcomerSSN + `"}}`)
	s.Do(t, doortest.Newcomer, "POST", path, body, key("a")).Instance(s, 201)
	s.Do(t, stranger, "POST", path, body, key("a")).Want(404, "not-found")
	s.Do(t, doortest.Skd, "POST", path, body, key("a")).Want(404, "not-found")
	s.Do(t, doortest.Nav, "POST", path, body, key("a")).Instance(s, 201)
}

func TestOneIdempotencyKeyAtOnce(t *testing.T) {
	s := newSite(t)
	var locations [8]string
	var all sync.WaitGroup
	for n := range locations {
		all.Go(func() {
			locations[n] = s.Do(t, doortest.Kari, "POST", path, doortest.JSON(`{`+kari+`,`+oneForm+`}`), key("a")).Want(201, "").Header().Get("Location")
		})
	}
	all.Wait()
	if len(slices.Compact(locations[:])) != 1 || len(s.Instances.Outbox()) != 1 || len(s.Blobs.Keys()) != 1 {
		t.Errorf("%v, %d events, blobs %v", locations, len(s.Instances.Outbox()), s.Blobs.Keys())
	}
}
