package main

import (
	"slices"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/instance"
)

func newAPI(t *testing.T) *apitest.API {
	api := apitest.New(t)
	api.Serve("GET /storage/instances/{instanceOwnerId}", handler(api.Authorizer, api.Instances, api.View))
	return api
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
	api := newAPI(t)
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
	api := newAPI(t)
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
	api := newAPI(t)
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
	api := newAPI(t)
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
	api := newAPI(t)
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
