package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/party"
)

const (
	path  = "/" + apitest.App + "/batch"
	kari  = `"instanceOwnerId":"` + apitest.KariParty + `"`
	xml   = `"contentType":"application/xml","content":"PG1lbGRpbmcvPg=="` // <melding/>
	form  = `"data":[{"formId":"default",` + xml + `}]`
	route = "POST /{org}/{app}/batch"
)

func newAPI(t *testing.T) *apitest.API { return newAPIWithQuota(t, instance.Quota{}) }

func newAPIWithQuota(t *testing.T, quota instance.Quota) *apitest.API {
	return newAPIWith(t, quota, instancehttp.MalwareScan{})
}

func newAPIWith(t *testing.T, quota instance.Quota, malware instancehttp.MalwareScan) *apitest.API {
	api := apitest.New(t)
	api.Malware = malware
	api.Serve(route, newHandler(&handler{
		authorizer: instancehttp.Authorizer{Authenticator: api.Authorizer.Authenticator}, applications: api.Applications, // no Parties, because users get 403
		creator: instancehttp.Creator{Parties: api.Parties, Instances: api.Instances, Blobs: api.Blobs, View: api.View, Quota: quota, Malware: malware},
	}))
	return api
}

func TestScan(t *testing.T) {
	newAPI := func(t *testing.T, malware instancehttp.MalwareScan) *apitest.API {
		return newAPIWith(t, instance.Quota{}, malware)
	}
	apitest.CheckNewContent(t, newAPI, 0, func(t *testing.T, api *apitest.API) *instance.Instance {
		created := createMany(t, api, apitest.Nav, path, itemOf("one", kari+","+form))[0]
		i, err := api.Instances.Get(t.Context(), created.InstanceOwnerID, created.ID)
		if err != nil || created.ETag != instancehttp.ETag(i) {
			t.Fatalf("%+v, %v", created, err)
		}
		return i
	})
}

// itemOf returns an item with a key and further members.
func itemOf(key, members string) string { return fmt.Sprintf(`{"key":%q,%s}`, key, members) }

func bodyOf(items ...string) apitest.Option {
	return apitest.JSON(`{"items":[` + strings.Join(items, ",") + `]}`)
}

// createMany sends a batch and returns its results.
func createMany(t *testing.T, api *apitest.API, caller, target string, items ...string) []result {
	t.Helper()
	var body struct{ Results []result }
	if err := json.Unmarshal(api.Do(t, caller, "POST", target, bodyOf(items...)).Want(200, "").Body.Bytes(), &body); err != nil {
		t.Fatal(err)
	}
	if len(body.Results) != len(items) {
		t.Fatalf("%d results of %d items", len(body.Results), len(items))
	}
	return body.Results
}

// outcome returns "201", or the status and the code of the problem.
func outcome(r result) string {
	if r.Problem == nil {
		return fmt.Sprint(r.Status)
	}
	return fmt.Sprint(r.Status, " ", r.Problem.Code)
}

// TestCreateMany sends a hundred items, of which one in each way fails. The others are created as
// the creation of one instance does it, the results are in order, and the same items again create
// nothing.
func TestCreateMany(t *testing.T) {
	api := newAPI(t)
	failing := []struct{ members, want string }{
		{`"reportee":{"ssn":"1"}`, "400 reportee-invalid"},
		{`"labels":["a"]`, "400 reportee-invalid"},
		{kari + `,"reportee":{"userName":"kari"}`, "400 reportee-invalid"},
		{`"instanceOwnerId":"5000009999"`, "404 not-found"},
		{`"instanceOwnerId":5000000001`, "400 body-invalid"},
		{kari + `,"labls":["a"]`, "400 body-invalid"},
		{kari + `,"Labels":["a"]`, "400 body-invalid"},
		{kari + `,"labels":"a"`, "400 body-invalid"},
		{kari + `,"data":{}`, "400 body-invalid"},
		{kari + `,"data":[{"formId":"default","contentType":"application/xml","content":[60]}]`, "400 body-invalid"},
		{kari + `,"data":[{"formId":"default","contentType":"application/xml","content":"=="}]`, "400 body-invalid"},
		{kari + `,"labels":[""]`, "400 labels-invalid"},
		{kari + `,"dueDateTime":"yesterday"`, "400 body-invalid"},
		{kari + `,"data":[{"formId":"skjema",` + xml + `}]`, "400 form-id-unknown"},
		{kari + `,"data":[{"formId":"default","contentType":"image/png","content":"YQ=="}]`, "415 content-type-not-allowed"},
		{kari + `,"data":[{"formId":"default","contentType":"application/xml","content":""}]`, "400 data-empty"},
		{kari + `,"data":[{"formId":"default",` + xml + `},{"formId":"default",` + xml + `}]`, "409 data-count"},
	}
	var items []string
	for n, each := range failing {
		items = append(items, itemOf(fmt.Sprint("bad ", n), each.members))
	}
	for n := len(items); n < maxItems; n++ {
		members := kari + `,"labels":["gr"],"presentationField":"Melding ` + fmt.Sprint(n) + `","visibleDateTime":"2099-01-01T00:00:00Z",` + form
		if n%2 == 0 {
			members = `"reportee":{"ssn":"` + apitest.KariSSN + `"}`
		}
		items = append(items, itemOf(fmt.Sprint("good ", n), members))
	}
	results := createMany(t, api, apitest.NavWriter, path, items...)
	ids := map[string]bool{}
	for n, got := range results {
		if n < len(failing) {
			if outcome(got) != failing[n].want || got.ID != "" || got.ETag != "" || got.Key != fmt.Sprint("bad ", n) {
				t.Errorf("%s: %+v, want %s", failing[n].members, got, failing[n].want)
			}
			continue
		}
		i := api.Stored(t, &instance.Instance{ID: got.ID, InstanceOwnerID: got.InstanceOwnerID})
		if outcome(got) != "201" || got.Key != fmt.Sprint("good ", n) || got.ETag != `"1"` || got.Location != api.View.Links(i).Apps || ids[got.ID] ||
			i.InstanceOwnerID != apitest.KariParty || i.AppID != apitest.App || i.CreatedBy != "nav" || i.Workflow.CurrentStep != "FormFilling" {
			t.Errorf("item %d: %+v, stored %+v", n, got, i)
		}
		if ids[got.ID] = true; n%2 == 1 && (i.PresentationField != fmt.Sprint("Melding ", n) || len(i.Labels) != 1 || len(i.Data) != 1 || i.VisibleDateTime == nil) {
			t.Errorf("item %d is stored as %+v", n, i)
		}
	}
	if events := api.Instances.Outbox(); len(events) != len(ids) {
		t.Errorf("%d events of %d instances", len(events), len(ids))
	}
	api.AssertUnchanged(t, nil, func() {
		for n, again := range createMany(t, api, apitest.Nav, path, items...) {
			if again.ID != results[n].ID || outcome(again) != outcome(results[n]) || again.Location != results[n].Location {
				t.Errorf("again: %+v, first %+v", again, results[n])
			}
		}
	})
}

// TestKeys checks that a key belongs to the application: its clients share it however they write
// the item, and another application and a single creation have keys of their own.
func TestKeys(t *testing.T) {
	api := newAPI(t)
	first := createMany(t, api, apitest.Nav, path, itemOf("a", kari+`,"labels":["Å"],"presentationField":"x"`))[0]
	if outcome(first) != "201" {
		t.Fatalf("got %+v", first)
	}
	api.AssertUnchanged(t, nil, func() {
		same := "{ \"presentationField\": \"\\u0078\",\n \"labels\": [\"\\u00c5\"], " + kari + `, "key":"a"}`
		if again := createMany(t, api, apitest.NavWriter, path, same)[0]; outcome(again) != "201" || again.ID != first.ID {
			t.Errorf("the same item of another client: %+v", again)
		}
		for _, other := range []string{kari, kari + `,"labels":["Å"]`, kari + `,"labels":["å"],"presentationField":"x"`} {
			if got := createMany(t, api, apitest.Nav, path, itemOf("a", other))[0]; outcome(got) != "422 idempotency-key-reused" || got.ID != "" {
				t.Errorf("%s: %+v", other, got)
			}
		}
	})
	other := createMany(t, api, apitest.Nav, "/"+apitest.Other+"/batch", itemOf("a", kari+`,"labels":["Å"],"presentationField":"x"`))[0]
	if outcome(other) != "201" || other.ID == first.ID {
		t.Errorf("in another application: %+v", other)
	}
	// The batch ignores the header.
	header := apitest.Header("Idempotency-Key", "a")
	for n := range 2 {
		api.Do(t, apitest.Nav, "POST", path, header, bodyOf(itemOf(fmt.Sprint("h", n), kari))).Want(200, "")
	}
	if events := len(api.Instances.Outbox()); events != 4 {
		t.Errorf("%d instances, want 4", events)
	}
}

// TestKeyLifetime repeats an item 89 days and 91 days after it.
func TestKeyLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newAPI(t)
		var ids []string
		for _, days := range []int{0, 89, 2} {
			time.Sleep(time.Duration(days) * 24 * time.Hour)
			ids = append(ids, createMany(t, api, apitest.Nav, path, itemOf("a", kari))[0].ID)
		}
		if ids[0] == "" || ids[1] != ids[0] || ids[2] == ids[0] {
			t.Errorf("the instances are %v", ids)
		}
	})
}

// TestRepeatReturnsTheCurrentVersion repeats items whose instances have changed.
func TestRepeatReturnsTheCurrentVersion(t *testing.T) {
	api := newAPI(t)
	items := []string{itemOf("changed", kari+","+form), itemOf("deleted", kari), itemOf("removed", kari)}
	var made []*instance.Instance
	for _, r := range createMany(t, api, apitest.Nav, path, items...) {
		made = append(made, api.Stored(t, &instance.Instance{ID: r.ID, InstanceOwnerID: r.InstanceOwnerID}))
	}
	api.Replace(t, made[0], made[0].Data[0].ID, "<b/>")
	api.SoftDelete(t, made[1])
	if err := api.Instances.Remove(t.Context(), api.HardDelete(t, made[2])); err != nil {
		t.Fatal(err)
	}
	results := createMany(t, api, apitest.Nav, path, items...)
	for n, want := range []string{`201 "2"`, `201 "2"`, `409 instance-gone `} {
		if got := outcome(results[n]) + " " + results[n].ETag; got != want {
			t.Errorf("%s: got %s, want %s", items[n], got, want)
		}
	}
}

// TestConcurrentBatches sends the same items at the same time. Each is created once.
func TestConcurrentBatches(t *testing.T) {
	api := newAPI(t)
	items := make([]string, 20)
	for n := range items {
		items[n] = itemOf(fmt.Sprint(n), `"reportee":{"ssn":"`+apitest.NewcomerSSN+`"}`)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for _, r := range createMany(t, api, apitest.Nav, path, items...) {
				if got := outcome(r); got != "201" {
					t.Errorf("%s: %s", r.Key, got)
				}
			}
		})
	}
	all.Wait()
	if created := len(api.Instances.Outbox()); created != len(items) {
		t.Errorf("%d instances of %d items", created, len(items))
	}
}

// TestPartiesAreLookedUpOnce checks that the items of one party share its look-up.
func TestPartiesAreLookedUpOnce(t *testing.T) {
	api := newAPI(t)
	var items []string
	for n := range 30 {
		items = append(items, itemOf(fmt.Sprint(n), `"reportee":`+[]string{`{"ssn":"` + apitest.NewcomerSSN + `"}`, `{"userName":"olav"}`, `{"userName":"OLAV"}`}[n%3]))
	}
	owners := map[string]int{}
	for _, r := range createMany(t, api, apitest.Nav, path, items...) {
		owners[r.InstanceOwnerID]++
	}
	if len(owners) != 2 || len(api.Parties.Lookups()) != 2 {
		t.Errorf("parties %v after the look-ups %v", owners, api.Parties.Lookups())
	}
}

// TestQuota checks that each new instance counts and a repeated item does not, and that an item
// over the quota assigns no party number.
func TestQuota(t *testing.T) {
	api := newAPIWithQuota(t, instance.Quota{Instances: 5})
	var items []string
	for n := range 4 {
		items = append(items, itemOf(fmt.Sprint(n), kari))
	}
	for range 3 {
		for _, r := range createMany(t, api, apitest.Nav, path, items...) {
			if outcome(r) != "201" {
				t.Errorf("got %+v", r)
			}
		}
	}
	created, over := 0, 0
	for _, r := range createMany(t, api, apitest.Nav, path, append(items, itemOf("x", kari+","+form), itemOf("y", kari+","+form))...) {
		switch outcome(r) {
		case "201":
			created++
		case "429 quota-exceeded":
			over++
		}
	}
	if created != 5 || over != 1 {
		t.Errorf("%d created, %d over the quota", created, over)
	}
	api.AssertUnchanged(t, nil, func() {
		if r := createMany(t, api, apitest.Nav, path, itemOf("z", `"reportee":{"ssn":"`+apitest.NewcomerSSN+`"}`))[0]; outcome(r) != "429 quota-exceeded" {
			t.Errorf("got %+v", r)
		}
	})
	for _, identity := range api.Parties.Lookups() {
		if identity == (party.Identity{Kind: party.SSN, Value: apitest.NewcomerSSN}) {
			t.Error("an item over the quota assigned a party number")
		}
	}
}

// TestFailingStore checks that the store's errors appear as problems of their items, without their
// text, and that the items sent again are created.
func TestFailingStore(t *testing.T) {
	api := newAPI(t)
	var calls atomic.Int32
	api.Instances.Fail = func() error {
		if calls.Add(1)%3 == 0 {
			return errors.New("table down")
		}
		return nil
	}
	var items []string
	for n := range 20 {
		items = append(items, itemOf(fmt.Sprint(n), kari))
	}
	failed := 0
	for _, r := range createMany(t, api, apitest.Nav, path, items...) {
		if outcome(r) == "500 internal" && !strings.Contains(r.Problem.Detail, "table") {
			failed++
		} else if outcome(r) != "201" {
			t.Errorf("got %+v", r)
		}
	}
	api.Instances.Fail = nil
	if failed == 0 || len(api.Instances.Outbox()) != len(items)-failed {
		t.Errorf("%d failed, %d created", failed, len(api.Instances.Outbox()))
	}
	createMany(t, api, apitest.Nav, path, items...)
	if created := len(api.Instances.Outbox()); created != len(items) {
		t.Errorf("%d instances of %d items", created, len(items))
	}
}

// TestNoteBeforeInstance checks that each instance with a date has its note of the agenda.
func TestNoteBeforeInstance(t *testing.T) {
	api := newAPI(t)
	api.Register(t, apitest.App, `{"retention":{"drafts":{"after":"P1D"}}}`)
	r := createMany(t, api, apitest.Nav, path, itemOf("a", kari))[0]
	i := api.Stored(t, &instance.Instance{ID: r.ID, InstanceOwnerID: r.InstanceOwnerID})
	notes, err := api.Instances.AgendaNotes(t.Context(), i.NotesFor(time.Now(), time.Now())[0].Shard(), nil, time.Now().AddDate(1, 0, 0), 10)
	if err != nil || len(notes) != 1 || notes[0].InstanceID != i.ID {
		t.Errorf("notes %+v, %v", notes, err)
	}
}

func TestRejectedBatches(t *testing.T) {
	api := newAPI(t)
	one := itemOf("a", kari)
	element := `{"formId":"attachment","contentType":"text/plain","content":"YQ=="}`
	elements := `"data":[` + strings.Repeat(element+",", maxElements/4) + element + `]`
	many := make([]string, maxItems+1)
	for n := range many {
		many[n] = itemOf(fmt.Sprint(n), kari)
	}
	for name, test := range map[string]struct {
		caller, target, body string
		status               int
		code, detail         string
	}{
		"a user":                {apitest.Kari, path, `{"items":[` + one + `]}`, 403, "owner-only", ""},
		"no scope":              {apitest.NavReader, path, `{"items":[` + one + `]}`, 403, "scope-missing", ""},
		"no token":              {apitest.Nobody, path, `{"items":[` + one + `]}`, 401, "token-missing", ""},
		"another owner":         {apitest.Nav, "/" + apitest.SkdApp + "/batch", `{"items":[` + one + `]}`, 404, "not-found", ""},
		"no such application":   {apitest.Nav, "/nav/none/batch", `{"items":[` + one + `]}`, 404, "not-found", ""},
		"a parameter":           {apitest.Nav, path + "?size=1", `{"items":[` + one + `]}`, 400, "parameter-unknown", ""},
		"no items":              {apitest.Nav, path, `{"items":[]}`, 400, "body-invalid", "1 to 100"},
		"null":                  {apitest.Nav, path, `{"items":null}`, 400, "body-invalid", "1 to 100"},
		"nothing":               {apitest.Nav, path, `{}`, 400, "body-invalid", "1 to 100"},
		"no list":               {apitest.Nav, path, `{"items":{}}`, 400, "body-invalid", "/items"},
		"another member":        {apitest.Nav, path, `{"items":[` + one + `],"app":""}`, 400, "body-invalid", "/app"},
		"a single creation":     {apitest.Nav, path, `{` + kari + `}`, 400, "body-invalid", "/instanceOwnerId"},
		"too many":              {apitest.Nav, path, `{"items":[` + strings.Join(many, ",") + `]}`, 400, "body-invalid", "1 to 100"},
		"no key":                {apitest.Nav, path, `{"items":[` + one + `,{` + kari + `}]}`, 400, "body-invalid", "/items/1 "},
		"an empty key":          {apitest.Nav, path, `{"items":[` + itemOf("", kari) + `]}`, 400, "body-invalid", "/items/0 "},
		"a key of letters":      {apitest.Nav, path, `{"items":[` + itemOf("æ", kari) + `]}`, 400, "body-invalid", "/items/0 "},
		"a long key":            {apitest.Nav, path, `{"items":[` + itemOf(strings.Repeat("k", 256), kari) + `]}`, 400, "body-invalid", "/items/0 "},
		"a key of digits":       {apitest.Nav, path, `{"items":[{"key":1}]}`, 400, "body-invalid", "/items/0 "},
		"no object":             {apitest.Nav, path, `{"items":[` + one + `,[]]}`, 400, "body-invalid", "/items/1 "},
		"null as an item":       {apitest.Nav, path, `{"items":[null]}`, 400, "body-invalid", "/items/0 "},
		"a key twice":           {apitest.Nav, path, `{"items":[` + itemOf("b", kari) + `,` + one + `,` + itemOf("a", form) + `]}`, 400, "body-invalid", "/items/2/key is also the key of /items/1"},
		"a member twice":        {apitest.Nav, path, `{"items":[` + itemOf("a", kari+","+kari) + `]}`, 400, "body-invalid", "given twice"},
		"too many elements":     {apitest.Nav, path, `{"items":[` + itemOf("a", elements) + `,` + itemOf("b", elements) + `,` + itemOf("c", elements) + `,` + itemOf("d", elements) + `]}`, 400, "body-invalid", "400 data elements"},
		"over the inline limit": {apitest.Nav, path, `{"items":[` + one + strings.Repeat(" ", blob.InlineLimit) + `]}`, 413, "body-too-large", ""},
		"deep":                  {apitest.Nav, path, `{"items":[` + itemOf("a", `"labels":`+strings.Repeat("[", 100)+strings.Repeat("]", 100)) + `]}`, 400, "body-invalid", "64 levels"},
		"no end":                {apitest.Nav, path, `{"items":[` + one, 400, "body-invalid", ""},
	} {
		t.Run(name, func(t *testing.T) {
			api.AssertUnchanged(t, nil, func() {
				response := api.Do(t, test.caller, "POST", test.target, apitest.JSON(test.body)).Want(test.status, test.code)
				if !strings.Contains(response.Problem().Detail, test.detail) {
					t.Errorf("%q does not contain %s", response.Problem().Detail, test.detail)
				}
			})
		})
	}
	api.AssertUnchanged(t, nil, func() {
		api.Do(t, apitest.Nav, "POST", path, apitest.Body("multipart/form-data; boundary=b", "--b--")).Want(415, "body-not-json")
	})
	if keyed := createMany(t, api, apitest.Nav, path, itemOf(strings.Repeat("k", 255), kari), itemOf(" ~", kari)); outcome(keyed[0]) != "201" || outcome(keyed[1]) != "201" {
		t.Errorf("got %+v", keyed)
	}
}
