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

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/auth/authtest"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/blob/blobtest"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/party"
)

const (
	route      = "POST /{org}/{app}/instances"
	path       = "/nav/app2018/instances"
	unknownSSN = "02013299997"
	kari       = `"reportee":{"ssn":"` + apitest.KariSSN + `"}`
	xml        = `"contentType":"application/xml","content":"PG1lbGRpbmcvPg=="` // <melding/>
	oneForm    = `"data":[{"formId":"default",` + xml + `}]`
)

func newAPI(t *testing.T) *apitest.API {
	return newScanningAPI(t, instancehttp.MalwareScan{})
}

func newScanningAPI(t *testing.T, malware instancehttp.MalwareScan) *apitest.API {
	api := apitest.New(t)
	api.Malware = malware
	api.Serve(route, newHandler(&handler{
		authenticator: api.Authorizer.Authenticator, applications: api.Applications,
		creator: instancehttp.Creator{Parties: api.Parties, Instances: api.Instances, Blobs: api.Blobs, View: api.View, Malware: malware},
	}))
	return api
}

func TestScan(t *testing.T) {
	apitest.CheckNewContent(t, newScanningAPI, 0, func(t *testing.T, api *apitest.API) *instance.Instance {
		return api.Do(t, apitest.Nav, "POST", path, apitest.JSON(`{`+kari+`,`+oneForm+`}`)).Instance(api, 201)
	})
}

// linked returns a token with an SSN and a user name.
func linked(ssn, userName string) string {
	return authtest.Person(party.Identity{Kind: party.SSN, Value: ssn}, party.Identity{Kind: party.UserName, Value: userName})
}

func TestInstanceOwner(t *testing.T) {
	for _, test := range []struct {
		name, caller, body         string
		instanceOwnerID, createdBy string // "": a new number
	}{
		{"a person", apitest.Nav, `{` + kari + `}`, "5000000001", "nav"},
		{"a person not seen before", apitest.Nav, `{"reportee":{"ssn":"` + apitest.NewcomerSSN + `"}}`, "", "nav"},
		{"an organisation", apitest.Nav, `{"reportee":{"organizationNumber":"974760673"}}`, "", "nav"},
		{"a user name", apitest.Nav, `{"reportee":{"userName":"olav"}}`, "", "nav"},
		{"a number", apitest.Nav, `{"instanceOwnerId":"5000000002"}`, "5000000002", "nav"},
		{"a number, and null for the other", apitest.NavWriter, `{"instanceOwnerId":"5000000002","reportee":null}`, "5000000002", "nav"},
		{"the user", apitest.KariWriter, `{` + kari + `}`, "5000000001", "1001"},
		{"the user's number", apitest.Kari, `{"instanceOwnerId":"5000000001"}`, "5000000001", "1001"},
		{"the user, known by SSN alone", apitest.KariBySSN, `{` + kari + `}`, "5000000001", "5000000001"},
		{"the number of a user known by SSN alone", apitest.KariBySSN, `{"instanceOwnerId":"5000000001"}`, "5000000001", "5000000001"},
		{"the number in the user's token", apitest.KariByNumber, `{"instanceOwnerId":"5000000001"}`, "5000000001", "1001"},
		{"a user with a known and a new identity", linked(apitest.KariSSN, "kari"), `{` + kari + `}`, "5000000001", "5000000001"},
		{"a user's new identity", linked(apitest.KariSSN, "kari"), `{"reportee":{"userName":"KARI"}}`, "5000000001", "5000000001"},
		{"a user with two new identities", linked(apitest.NewcomerSSN, "newcomer"), `{"reportee":{"userName":"newcomer"}}`, "", ""},
		{"a user not seen before", apitest.Newcomer, `{"reportee":{"ssn":"` + apitest.NewcomerSSN + `"}}`, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			api := newAPI(t)
			owner, createdBy := test.instanceOwnerID, test.createdBy
			for number := 1; number <= 2; number++ { // the party keeps its number
				response := api.Do(t, test.caller, "POST", path, apitest.JSON(test.body))
				i := response.Instance(api, 201)
				if owner == "" {
					owner = i.InstanceOwnerID
				}
				if createdBy == "" {
					createdBy = owner
				}
				if len(owner) != 10 || i.InstanceOwnerID != owner || i.CreatedBy != createdBy || i.LastChangedBy != createdBy {
					t.Errorf("for %s, created by %s, changed by %s", i.InstanceOwnerID, i.CreatedBy, i.LastChangedBy)
				}
				if i.AppID != apitest.App || i.Workflow.CurrentStep != "FormFilling" || i.Workflow.IsCompleted || len(i.Data) != 0 {
					t.Errorf("got %s", response.Body)
				}
				if want := api.View.Links(i).Apps; response.Header().Get("Location") != want || response.ETag() != `"1"` {
					t.Errorf("Location %s, want %s; ETag %s", response.Header().Get("Location"), want, response.ETag())
				}
				events := api.Instances.Outbox()
				if len(events) != number || events[number-1].UserID != createdBy {
					t.Errorf("events %+v", events)
				}
			}
		})
	}
}

func TestEmptyDatesAreNone(t *testing.T) {
	api := newAPI(t)
	for _, none := range []string{`""`, `null`} {
		i := api.Do(t, apitest.Kari, "POST", path, apitest.JSON(`{`+kari+`,"dueDateTime":`+none+`,"visibleDateTime":`+none+`}`)).Instance(api, 201)
		if i.DueDateTime != nil || i.VisibleDateTime != nil {
			t.Errorf("%s: got %v and %v, want no dates", none, i.DueDateTime, i.VisibleDateTime)
		}
	}
}

func TestAllMembers(t *testing.T) {
	api := newAPI(t)
	image := base64.StdEncoding.EncodeToString([]byte("\x89PNG\r\n\x00\xff"))
	i := api.Do(t, apitest.Kari, "POST", path, apitest.JSON(`{`+kari+`,"labels":["gr","x2"],"presentationField":"Årsmelding",
		"dueDateTime":"2026-06-01T12:00:00+02:00","visibleDateTime":"2026-05-20T00:00:00.1234567Z",
		"data":[{"formId":"default",`+xml+`},
		        {"formId":"attachment","contentType":"image/png; a=b","fileName":"C:\\bilder\\100%25 hus.png","content":"`+image+`"}]}`)).Instance(api, 201)
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
		key := blob.KeyOf(i.AppID, i.InstanceOwnerID, i.ID, d.Revision)
		keys = append(keys, key.String())
		object, err := api.Blobs.Get(t.Context(), key, nil)
		if err != nil {
			t.Fatal(err)
		}
		content := make([]byte, object.Size)
		if _, err := object.Body.Read(content); err != nil || string(content) != want.content || api.Blobs.ContentType(key) != want.contentType {
			t.Errorf("the content of element %d is %q as %s (%v)", n, content, api.Blobs.ContentType(key), err)
		}
	}
	if slices.Sort(keys); !slices.Equal(api.Blobs.Keys(), keys) {
		t.Errorf("stored are %v, want %v", api.Blobs.Keys(), keys)
	}
	ev := api.Instances.Outbox()[0]
	if ev.ID != i.ID+".1" || ev.WorkflowStep != "FormFilling" || ev.PreviousStep != "" || ev.InstanceVersion != 1 || len(ev.DataLinks) != 2 || ev.InstanceOwnerID != "5000000001" {
		t.Errorf("event %+v", ev)
	}
	if text, err := json.Marshal(ev); err != nil || strings.Contains(string(text), apitest.KariSSN) {
		t.Errorf("event %s (%v)", text, err)
	}
}

// TestRejects checks that a rejected request stores no instance, event or content, and assigns no
// party number.
func TestRejects(t *testing.T) {
	newcomer := `"reportee":{"ssn":"` + apitest.NewcomerSSN + `"}`
	labels := `"` + strings.Join(strings.Split("abcdefghijklmnopqrstu", ""), `","`) + `"`
	large := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("a", 1_000_001)))
	for name, test := range map[string]struct {
		caller, path, body string
		status             int
		code               string
	}{
		"no token":            {apitest.Nobody, path, `{` + newcomer + `}`, 401, "token-missing"},
		"a forged token":      {apitest.Forged, path, `{` + newcomer + `}`, 401, "token-invalid"},
		"owner without scope": {apitest.NavReader, path, `{` + newcomer + `}`, 403, "scope-missing"},
		"user without scope":  {apitest.KariReader, path, `{` + kari + `}`, 403, "scope-missing"},
		"another owner":       {apitest.Skd, path, `{` + newcomer + `}`, 404, "not-found"},
		"no such application": {apitest.Nav, "/nav/app2099/instances", `{` + newcomer + `}`, 404, "not-found"},
		"no application":      {apitest.Kari, "/Nav/App/instances", `{` + kari + `}`, 404, "not-found"},
		"no such number":      {apitest.Nav, path, `{"instanceOwnerId":"5000000003"}`, 404, "not-found"},
		"no number":           {apitest.Nav, path, `{"instanceOwnerId":"kari"}`, 404, "not-found"},

		"another party":                                          {apitest.Ola, path, `{` + kari + `}`, 404, "not-found"},
		"another party's number":                                 {apitest.Ola, path, `{"instanceOwnerId":"5000000001"}`, 404, "not-found"},
		"another party, by SSN":                                  {apitest.OlaBySSN, path, `{` + kari + `}`, 404, "not-found"},
		"a number, by a newcomer":                                {apitest.Newcomer, path, `{"instanceOwnerId":"5000000001"}`, 404, "not-found"},
		"another party, by a newcomer":                           {apitest.Newcomer, path, `{` + kari + `}`, 404, "not-found"},
		"an unknown party, by a user":                            {apitest.Ola, path, `{` + newcomer + `}`, 404, "not-found"},
		"an identity, by a user whose token has only the number": {apitest.KariByNumber, path, `{` + kari + `}`, 404, "not-found"},

		"both, one of them empty":             {apitest.Nav, path, `{` + newcomer + `,"instanceOwnerId":""}`, 400, "reportee-invalid"},
		"an empty identity":                   {apitest.Nav, path, `{"reportee":{"ssn":"` + apitest.NewcomerSSN + `","userName":""}}`, 400, "reportee-invalid"},
		"an empty number":                     {apitest.Nav, path, `{"instanceOwnerId":""}`, 400, "reportee-invalid"},
		"both":                                {apitest.Nav, path, `{` + newcomer + `,"instanceOwnerId":"5000000001"}`, 400, "reportee-invalid"},
		"neither":                             {apitest.Nav, path, `{}`, 400, "reportee-invalid"},
		"an empty reportee":                   {apitest.Nav, path, `{"reportee":{}}`, 400, "reportee-invalid"},
		"two identities":                      {apitest.Nav, path, `{"reportee":{"ssn":"` + apitest.NewcomerSSN + `","userName":"kari"}}`, 400, "reportee-invalid"},
		"a short SSN":                         {apitest.Nav, path, `{"reportee":{"ssn":"1224791830"}}`, 400, "reportee-invalid"},
		"a long org number":                   {apitest.Nav, path, `{"reportee":{"organizationNumber":"9747606731"}}`, 400, "reportee-invalid"},
		"a user name with a dotted capital I": {apitest.Nav, path, `{"reportee":{"userName":"KARİ"}}`, 400, "reportee-invalid"},
		"a strange user name":                 {apitest.Nav, path, `{"reportee":{"userName":"kari nordmann"}}`, 400, "reportee-invalid"},
		"wrong check digits":                  {apitest.Nav, "/nav/strict/instances", `{"reportee":{"ssn":"12247918308"}}`, 400, "reportee-invalid"},

		"a parameter":               {apitest.Nav, path + "?labels=gr", `{` + newcomer + `}`, 400, "parameter-unknown"},
		"half a surrogate pair":     {apitest.Nav, path, `{` + newcomer + `,"presentationField":"\ud800"}`, 400, "body-invalid"},
		"a comma in a time":         {apitest.Nav, path, `{` + newcomer + `,"dueDateTime":"2026-06-01T12:00:00,5Z"}`, 400, "body-invalid"},
		"no body":                   {apitest.Nav, path, ``, 400, "body-invalid"},
		"an unknown member":         {apitest.Nav, path, `{` + newcomer + `,"dueDate":null}`, 400, "body-invalid"},
		"a member in capitals":      {apitest.Nav, path, `{` + newcomer + `,"Labels":[]}`, 400, "body-invalid"},
		"an unknown kind":           {apitest.Nav, path, `{"reportee":{"pid":"1"}}`, 400, "body-invalid"},
		"an unknown data member":    {apitest.Nav, path, `{` + newcomer + `,"data":[{"formId":"default",` + xml + `,"isLocked":true}]}`, 400, "body-invalid"},
		"content that is no base64": {apitest.Nav, path, `{` + newcomer + `,"data":[{"formId":"default","contentType":"application/xml","content":"<a/>"}]}`, 400, "body-invalid"},
		"a time without an offset":  {apitest.Nav, path, `{` + newcomer + `,"dueDateTime":"2026-06-01T12:00:00"}`, 400, "body-invalid"},
		"a body too large":          {apitest.Nav, path, `{"presentationField":"` + strings.Repeat("a", blob.InlineLimit) + `"}`, 413, "body-too-large"},

		"too many labels":   {apitest.Nav, path, `{` + newcomer + `,"labels":[` + labels + `]}`, 400, "labels-invalid"},
		"a label twice":     {apitest.Nav, path, `{` + newcomer + `,"labels":["a","a"]}`, 400, "labels-invalid"},
		"an empty label":    {apitest.Nav, path, `{` + newcomer + `,"labels":[""]}`, 400, "labels-invalid"},
		"a long label":      {apitest.Nav, path, `{` + newcomer + `,"labels":["` + strings.Repeat("å", 65) + `"]}`, 400, "text-invalid"},
		"hidden, by a user": {apitest.Kari, path, `{` + kari + `,"visibleDateTime":"2099-01-01T00:00:00Z"}`, 400, "date-invalid"},
		"the year 10000":    {apitest.Nav, path, `{` + newcomer + `,"dueDateTime":"9999-12-31T23:59:59Z"}`, 400, "date-invalid"},
		"an unknown formId": {apitest.Nav, path, `{` + newcomer + `,"data":[{"formId":"skjema",` + xml + `}]}`, 400, "form-id-unknown"},
		"no content":        {apitest.Nav, path, `{` + newcomer + `,"data":[{"formId":"default","contentType":"application/xml"}]}`, 400, "data-empty"},
		"too much content": {apitest.Nav, path, `{` + newcomer + `,"data":[{"formId":"default","contentType":"application/xml","content":"` + large + `"}]}`,
			413, "data-too-large"},
		"a type not allowed": {apitest.Nav, path, `{` + newcomer + `,"data":[{"formId":"default","contentType":"text/plain","content":"aGVp"}]}`,
			415, "content-type-not-allowed"},
		"no type":                      {apitest.Nav, path, `{` + newcomer + `,"data":[{"formId":"default","content":"aGVp"}]}`, 415, "content-type-invalid"},
		"a form too many":              {apitest.Nav, path, `{` + newcomer + `,"data":[{"formId":"default",` + xml + `},{"formId":"default",` + xml + `}]}`, 409, "data-count"},
		"the second of two is invalid": {apitest.Nav, path, `{` + newcomer + `,"data":[{"formId":"default",` + xml + `},{"formId":"skjema",` + xml + `}]}`, 400, "form-id-unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			api := newAPI(t)
			api.Register(t, "nav/strict", `{"checkIdentityNumbers":true}`)
			api.AssertUnchanged(t, nil, func() {
				api.Do(t, test.caller, "POST", test.path, apitest.JSON(test.body)).Want(test.status, test.code)
			})
			if number, found, _ := api.Parties.Find(t.Context(), party.Identity{Kind: party.SSN, Value: apitest.NewcomerSSN}); found {
				t.Errorf("the newcomer has the number %s", number)
			}
		})
	}
	api := newAPI(t)
	api.Do(t, apitest.Nav, "POST", path, apitest.Body("text/plain", `{`+kari+`}`)).Want(415, "body-not-json")
}

// TestIdentitiesOfTwoParties creates with a token whose identities already have different parties.
// The SSN decides, and no request changes the party of the user name.
func TestIdentitiesOfTwoParties(t *testing.T) {
	api := newAPI(t)
	ola := party.Identity{Kind: party.UserName, Value: "ola"}
	if err := api.Parties.Assign("5000000008", ola); err != nil {
		t.Fatal(err)
	}
	both := linked(apitest.KariSSN, "ola")
	for range 2 {
		if i := api.Do(t, both, "POST", path, apitest.JSON(`{`+kari+`}`)).Instance(api, 201); i.InstanceOwnerID != apitest.KariParty {
			t.Errorf("the party is %s, want %s", i.InstanceOwnerID, apitest.KariParty)
		}
		for _, body := range []string{`{"reportee":{"userName":"ola"}}`, `{"instanceOwnerId":"5000000008"}`} {
			api.Do(t, both, "POST", path, apitest.JSON(body)).Want(404, "not-found")
		}
	}
	if i := api.Do(t, authtest.Person(ola), "POST", path, apitest.JSON(`{"reportee":{"userName":"ola"}}`)).Instance(api, 201); i.InstanceOwnerID != "5000000008" {
		t.Errorf("the party of the name is %s, want 5000000008", i.InstanceOwnerID)
	}
}

// TestUsersLookUpNoOtherParty sends a user's requests for known and unknown parties. The register
// must see only the user's own identities, so the response time reveals no other party.
func TestUsersLookUpNoOtherParty(t *testing.T) {
	api := newAPI(t)
	for _, caller := range []string{apitest.Ola, apitest.OlaBySSN, apitest.Newcomer, linked(apitest.OlaSSN, "ola"), apitest.KariByNumber} {
		for _, body := range []string{
			`{` + kari + `}`, `{"reportee":{"ssn":"` + unknownSSN + `"}}`, `{"reportee":{"userName":"kari"}}`,
			`{"reportee":{"organizationNumber":"974760673"}}`, `{"instanceOwnerId":"5000000009"}`,
		} {
			api.Do(t, caller, "POST", path, apitest.JSON(body)).Want(404, "not-found")
		}
	}
	for _, identity := range api.Parties.Lookups() {
		if identity.Value == apitest.KariSSN || identity.Value == unknownSSN || identity.Value == "kari" || identity.Kind == party.OrganizationNumber {
			t.Errorf("a user's request looked up the %s of another", identity.Kind)
		}
	}
}

// TestFailingStore checks that the content stays after a failure of the table, because the table
// may have stored the instance. The response must hide the cause.
func TestFailingStore(t *testing.T) {
	api := newAPI(t)
	api.Instances.Fail = func() error { return errors.New("table down") }
	response := api.Do(t, apitest.Nav, "POST", path, apitest.JSON(`{`+kari+`,`+oneForm+`}`)).Want(500, "internal")
	if len(api.Blobs.Keys()) != 1 || strings.Contains(fmt.Sprint(response.Body), "table down") {
		t.Errorf("blobs %v, response %s", api.Blobs.Keys(), response.Body)
	}
	api = newAPI(t)
	api.Blobs.Hook = func(blobtest.Call) error { return errors.New("bucket down") }
	api.AssertUnchanged(t, nil, func() {
		api.Do(t, apitest.Nav, "POST", path, apitest.JSON(`{`+kari+`,`+oneForm+`}`)).Want(500, "internal")
	})
}

// TestIdempotencyKeyOfNewcomer repeats a request of a caller without a party number. The first
// request assigns a number, and the repeat must still count as the same caller's.
func TestIdempotencyKeyOfNewcomer(t *testing.T) {
	api := newAPI(t)
	body := apitest.JSON(`{"reportee":{"ssn":"` + apitest.NewcomerSSN + `"}}`)
	first := api.Do(t, apitest.Newcomer, "POST", path, body, key("a"))
	api.AssertUnchanged(t, first.Instance(api, 201), func() {
		if again := api.Do(t, apitest.Newcomer, "POST", path, body, key("a")).Want(201, ""); again.Body.String() != first.Body.String() {
			t.Errorf("the repeat is %s", again.Body)
		}
	})
}

// A user without a party number creates an instance for itself in any spelling of its name, and the
// spellings are one party.
func TestUserNameInCapitals(t *testing.T) {
	api := newAPI(t)
	user := func(name string) string { return authtest.Person(party.Identity{Kind: party.UserName, Value: name}) }
	reportee := func(name string) apitest.Option { return apitest.JSON(`{"reportee":{"userName":"` + name + `"}}`) }
	owner := api.Do(t, user("Ola.Nordmann"), "POST", path, reportee("ola.nordmann")).Instance(api, 201).InstanceOwnerID
	for _, caller := range []string{apitest.Nav, user("ola.nordmann"), user("OLA.NORDMANN")} {
		if i := api.Do(t, caller, "POST", path, reportee("OLA.nordmann")).Instance(api, 201); i.InstanceOwnerID != owner {
			t.Errorf("the party is %s, want %s", i.InstanceOwnerID, owner)
		}
	}
	api.Do(t, user("ola"), "POST", path, reportee("ola.nordmann")).Want(404, "not-found")
}

// Keys of different callers are different: the same key and body creates another instance.
func TestIdempotencyKeyOfAnotherCaller(t *testing.T) {
	api := newAPI(t)
	stranger := authtest.Person(party.Identity{Kind: party.UserName, Value: "stranger"})
	body := apitest.JSON(`{"reportee":{"ssn":"` + apitest.NewcomerSSN + `"}}`)
	api.Do(t, apitest.Newcomer, "POST", path, body, key("a")).Instance(api, 201)
	api.Do(t, stranger, "POST", path, body, key("a")).Want(404, "not-found")
	api.Do(t, apitest.Skd, "POST", path, body, key("a")).Want(404, "not-found")
	api.Do(t, apitest.Nav, "POST", path, body, key("a")).Instance(api, 201)
}

func TestConcurrentRequestsWithOneKey(t *testing.T) {
	api := newAPI(t)
	var locations [8]string
	var all sync.WaitGroup
	for n := range locations {
		all.Go(func() {
			locations[n] = api.Do(t, apitest.Kari, "POST", path, apitest.JSON(`{`+kari+`,`+oneForm+`}`), key("a")).Want(201, "").Header().Get("Location")
		})
	}
	all.Wait()
	if len(slices.Compact(locations[:])) != 1 || len(api.Instances.Outbox()) != 1 || len(api.Blobs.Keys()) != 1 {
		t.Errorf("%v, %d events, blobs %v", locations, len(api.Instances.Outbox()), api.Blobs.Keys())
	}
}

// TestNoteBeforeInstance creates an instance in an application that deletes drafts. The note must
// be stored before the instance. An application without rules stores no note.
func TestNoteBeforeInstance(t *testing.T) {
	api := newAPI(t)
	api.Register(t, apitest.App, `{"retention":{"drafts":{"after":"P10D"}}}`)
	body := apitest.JSON(`{` + kari + `}`)
	for completed := range 2 { // writes before a crash
		writes := 0
		api.Instances.Fail = func() error {
			if writes++; writes > completed {
				return errors.New("no response")
			}
			return nil
		}
		api.Do(t, apitest.Kari, "POST", path, body).Want(500, "internal")
		if notes := len(api.Instances.AllAgendaNotes()); notes != completed || len(api.Instances.Outbox()) != 0 {
			t.Errorf("after %d writes: %d notes and %d events", completed, notes, len(api.Instances.Outbox()))
		}
	}
	api.Instances.Fail = nil
	i := api.Do(t, apitest.Kari, "POST", path, body).Instance(api, 201)
	if notes := api.Instances.AllAgendaNotes(); len(notes) != 2 || !slices.Contains(notes, i.AgendaNote(i.CreatedDateTime.AddDate(0, 0, 10))) {
		t.Errorf("got the notes %+v", notes)
	}
	api = newAPI(t)
	api.Do(t, apitest.Kari, "POST", path, body).Instance(api, 201)
	if notes := api.Instances.AllAgendaNotes(); len(notes) != 0 {
		t.Errorf("notes without rules: %+v", notes)
	}
}
