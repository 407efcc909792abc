package main

import (
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"uuid"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/eventtest"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
)

// newAPI returns an API and the feed and outbox in which it finds the first events of instances.
func newAPI(t *testing.T) (*apitest.API, *eventtest.Memory) {
	api, events := apitest.New(t), eventtest.NewMemory(time.Now)
	locator := instancehttp.Locator{Outbox: events, Feeds: events}
	api.Serve("GET /storage/instances/{instanceOwnerId}", handler(api.Authorizer, api.Instances, locator, api.View))
	return api, events
}

type page struct {
	Links struct {
		Self, Last   struct{ Href string }
		Next, Resume *struct{ Href string }
	} `json:"_links"`
	Embedded struct {
		Instances []instance.Instance `json:"instances"`
	} `json:"_embedded"`
}

func get(t *testing.T, api *apitest.API, caller, target string) page {
	t.Helper()
	var p page
	api.Do(t, caller, "GET", target).Want(200, "").JSON(&p)
	return p
}

const own = "/storage/instances/" + apitest.KariParty

func TestInstancesInOrderOfCreation(t *testing.T) {
	api, _ := newAPI(t)
	first := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}, Labels: []string{"gr"}, Path: []string{"Submit"}})
	second := api.Add(t, apitest.InstanceSpec{App: apitest.SkdApp})
	api.Add(t, apitest.InstanceSpec{Party: apitest.OlaParty})
	for _, caller := range []string{apitest.Kari, apitest.KariBySSN, apitest.KariReader} {
		got := get(t, api, caller, own).Embedded.Instances
		if len(got) != 2 || got[0].ID != first.ID || got[1].ID != second.ID {
			t.Errorf("got %+v, want the first and the second", got)
		}
	}
	for query, want := range map[string]int{
		"?label=gr": 1, "?label=zz": 0, "?workflow.currentStep=FormFilling": 1, "?appId=" + apitest.SkdApp: 1, "?org=nav&label=gr": 1,
		"?order=desc": 2, "?page=last": 2, "?page=0": 2, "?page=1": 0, "?size=1": 1,
	} {
		if got := get(t, api, apitest.Kari, own+query).Embedded.Instances; len(got) != want {
			t.Errorf("%s: %d instances, want %d", query, len(got), want)
		}
	}
}

func TestPages(t *testing.T) {
	api, _ := newAPI(t)
	for range 5 {
		api.Add(t, apitest.InstanceSpec{})
	}
	seen := map[string]bool{}
	target, pages := "https://platform.altinn.no"+own+"?size=2", 0
	for {
		p := get(t, api, apitest.Kari, target)
		pages++
		for _, i := range p.Embedded.Instances {
			seen[i.ID] = true
		}
		if (p.Links.Next == nil) != (p.Links.Resume != nil) {
			t.Errorf("page %d: next %v and resume %v", pages, p.Links.Next, p.Links.Resume)
		}
		if p.Links.Next == nil {
			break
		}
		target = p.Links.Next.Href
	}
	if len(seen) != 5 || pages != 3 {
		t.Errorf("%d instances on %d pages, want 5 on 3", len(seen), pages)
	}
}

func TestAnotherPartyIsEmpty(t *testing.T) {
	api, _ := newAPI(t)
	api.Add(t, apitest.InstanceSpec{})
	for _, caller := range []string{apitest.Ola, apitest.OlaBySSN, apitest.Newcomer} {
		if got := get(t, api, caller, own).Embedded.Instances; len(got) != 0 {
			t.Errorf("another party sees %d instances", len(got))
		}
	}
	if got := get(t, api, apitest.Kari, "/storage/instances/5000009999").Embedded.Instances; len(got) != 0 {
		t.Errorf("an unknown party has %d instances", len(got))
	}
}

func TestRejects(t *testing.T) {
	api, _ := newAPI(t)
	api.Do(t, apitest.Nobody, "GET", own).Want(401, "token-missing")
	api.Do(t, apitest.KariWriter, "GET", own).Want(403, "scope-missing")
	api.Do(t, apitest.Nav, "GET", own).Want(403, "user-only")
	for _, query := range []string{"?instanceOwnerId=5000000001", "?label=", "?size=0", "?page=-1", "?page=x", "?page=101"} {
		p := api.Do(t, apitest.Kari, "GET", own+query)
		if p.Code != 400 {
			t.Errorf("%s: %d, want 400", query, p.Code)
		}
	}
}

// TestHiddenInstances lists instances of which every second one does not exist for users yet, on
// pages of each size, from both ends.
func TestHiddenInstances(t *testing.T) {
	api, _ := newAPI(t)
	var visible []string
	for n := range 6 {
		at := time.Now().Add(time.Duration(2*(n%2)-1) * time.Hour)
		if i := api.Add(t, apitest.InstanceSpec{Visible: &at}); n%2 == 0 {
			visible = append(visible, i.ID)
		}
	}
	for query, want := range map[string][]string{
		"": visible, "?order=desc": {visible[2], visible[1], visible[0]}, "?page=last&size=2": visible[1:], "?page=1&size=2": visible[2:],
		"?visibleDateTime=gt:2019-01-01": visible, "?visibleDateTime=gt:" + time.Now().UTC().Format("2006-01-02T15:04:05Z"): {},
	} {
		var got []string
		for _, i := range get(t, api, apitest.Kari, own+query).Embedded.Instances {
			got = append(got, i.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", query, got, want)
		}
	}
	first := get(t, api, apitest.Kari, own+"?size=2")
	second := get(t, api, apitest.Kari, first.Links.Next.Href)
	if len(first.Embedded.Instances) != 2 || len(second.Embedded.Instances) != 1 || second.Embedded.Instances[0].ID != visible[2] || second.Links.Next != nil {
		t.Errorf("got %+v and %+v", first, second)
	}
}

func byID(i *instance.Instance) string { return "/storage/instances/" + i.ID }

// add adds an instance, and its events to the outbox or to the feed.
func add(t *testing.T, api *apitest.API, events *eventtest.Memory, spec apitest.InstanceSpec, recorded bool) *instance.Instance {
	t.Helper()
	i := api.Add(t, spec)
	for _, ev := range api.Instances.Outbox() {
		doc, err := event.Encode(ev)
		if err != nil {
			t.Fatal(err)
		}
		if doc.InstanceGuid != i.ID {
			continue
		}
		if err := events.Put(t.Context(), doc); err != nil {
			t.Fatal(err)
		}
		if recorded {
			events.Append(t.Context(), []event.Encoded{doc})
		}
	}
	return i
}

// TestByID reads an instance whose first event is in the outbox or in the feed. The response must
// be that of the path with the instance owner.
func TestByID(t *testing.T) {
	for _, recorded := range []bool{false, true} {
		api, events := newAPI(t)
		api.Serve("GET /storage/instances/{instanceOwnerId}/{instanceGuid}", instancehttp.GetHandler(api.Authorizer, api.Instances, api.View))
		i := add(t, api, events, apitest.InstanceSpec{Forms: []string{"default"}, Labels: []string{"gr"}, Path: []string{"Submit"}}, recorded)
		api.Do(t, apitest.Nav, "GET", "/storage/instances/"+strings.ToUpper(i.ID)).Instance(api, 200)
		api.Do(t, apitest.Nobody, "GET", byID(i)).Want(401, "token-missing")
		for _, caller := range []string{apitest.NavWriter, apitest.KariWriter} {
			api.Do(t, caller, "GET", byID(i)).Want(403, "scope-missing")
		}
		for _, caller := range []string{apitest.NavReader, apitest.KariReader, apitest.KariBySSN, apitest.KariByNumber} {
			api.AssertUnchanged(t, i, func() { api.CheckConditionalGet(t, caller, byID(i)) })
			for _, method := range []string{"GET", "HEAD"} {
				short, long := api.Do(t, caller, method, byID(i)).Want(200, ""), api.Do(t, caller, method, apitest.InStorage(i, "")).Want(200, "")
				if short.Body.String() != long.Body.String() || !maps.EqualFunc(short.Header(), long.Header(), slices.Equal[[]string]) {
					t.Errorf("%v\n%s\nwith the instance owner in the path\n%v\n%s", short.Header(), short.Body, long.Header(), long.Body)
				}
			}
		}
		api.CheckReadOfDeleted(t, i, byID(i))
	}
}

// TestByIDOfOthers checks that the responses for a foreign, a hidden and a missing instance are
// identical.
func TestByIDOfOthers(t *testing.T) {
	api, events := newAPI(t)
	later := time.Now().Add(time.Hour)
	missing := "/storage/instances/" + uuid.New().String()
	want := api.Do(t, apitest.Nav, "GET", missing).Want(404, "not-found").Body.String()
	for _, recorded := range []bool{false, true} {
		kari := add(t, api, events, apitest.InstanceSpec{}, recorded)
		ola := add(t, api, events, apitest.InstanceSpec{Party: apitest.OlaParty}, recorded)
		skd := add(t, api, events, apitest.InstanceSpec{App: apitest.SkdApp}, recorded)
		hidden := add(t, api, events, apitest.InstanceSpec{Visible: &later}, recorded)
		for target, callers := range map[string][]string{
			missing:      {apitest.Nav, apitest.Skd, apitest.Kari, apitest.Newcomer},
			byID(kari):   {apitest.Skd, apitest.Ola, apitest.OlaBySSN, apitest.Newcomer},
			byID(ola):    {apitest.Skd, apitest.Kari, apitest.KariByNumber},
			byID(skd):    {apitest.Nav, apitest.Ola},
			byID(hidden): {apitest.Kari, apitest.Skd},
		} {
			for _, caller := range callers {
				if got := api.Do(t, caller, "GET", target).Want(404, "not-found").Body.String(); got != want {
					t.Errorf("%s: got %s, want %s", target, got, want)
				}
			}
		}
		api.Do(t, apitest.Nav, "GET", byID(ola)).Instance(api, 200)
		api.Do(t, apitest.Nav, "GET", byID(hidden)).Instance(api, 200)
		api.Do(t, apitest.Skd, "GET", byID(skd)).Instance(api, 200)
	}
}

// TestNotQuiteAnID checks that every other value is that of a party's number.
func TestNotQuiteAnID(t *testing.T) {
	api, events := newAPI(t)
	id := add(t, api, events, apitest.InstanceSpec{}, true).ID
	for _, value := range []string{strings.ReplaceAll(id, "-", ""), "{" + id + "}", "urn:uuid:" + id, id[1:], id + "0", "x" + id[1:], "me"} {
		target := "/storage/instances/" + url.PathEscape(value)
		if got := get(t, api, apitest.Kari, target).Embedded.Instances; len(got) != 0 {
			t.Errorf("%s: %d instances", target, len(got))
		}
		api.Do(t, apitest.Nav, "GET", target).Want(403, "user-only")
	}
}

// TestByIDFails checks that an error of the outbox or the feed is no 404.
func TestByIDFails(t *testing.T) {
	api, events := newAPI(t)
	i := add(t, api, events, apitest.InstanceSpec{}, true)
	events.Fail(errors.New("down"))
	api.Do(t, apitest.Nav, "GET", byID(i)).Want(500, "internal")
	api.Do(t, apitest.Kari, "GET", byID(i)).Instance(api, 200) // needs neither
}
