package main

import (
	"testing"

	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp/doortest"
)

func newSite(t *testing.T) *doortest.Site {
	s := doortest.New(t)
	s.Serve("GET /storage/instances/{instanceOwnerId}", handler(s.Gate, s.Instances, s.View))
	return s
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

func get(t *testing.T, s *doortest.Site, caller, target string) page {
	t.Helper()
	var p page
	s.Do(t, caller, "GET", target).Want(200, "").JSON(&p)
	return p
}

const own = "/storage/instances/" + doortest.KariParty

func TestAPartySeesItsOwnInOrderOfCreation(t *testing.T) {
	s := newSite(t)
	first := s.Add(t, doortest.Report{Forms: []string{"default"}, Labels: []string{"gr"}, Path: []string{"Submit"}})
	second := s.Add(t, doortest.Report{App: doortest.SkdApp})
	s.Add(t, doortest.Report{Party: doortest.OlaParty})
	for _, caller := range []string{doortest.Kari, doortest.KariBySSN, doortest.KariReader} {
		got := get(t, s, caller, own).Embedded.Instances
		if len(got) != 2 || got[0].ID != first.ID || got[1].ID != second.ID {
			t.Errorf("got %+v, want the first and the second", got)
		}
	}
	for query, want := range map[string]int{
		"?label=gr": 1, "?label=zz": 0, "?workflow.currentStep=FormFilling": 1, "?appId=" + doortest.SkdApp: 1, "?org=nav&label=gr": 1,
		"?order=desc": 2, "?page=last": 2, "?page=0": 2, "?page=1": 0, "?size=1": 1,
	} {
		if got := get(t, s, doortest.Kari, own+query).Embedded.Instances; len(got) != want {
			t.Errorf("%s: %d instances, want %d", query, len(got), want)
		}
	}
}

func TestItsPagesFollowEachOther(t *testing.T) {
	s := newSite(t)
	for range 5 {
		s.Add(t, doortest.Report{})
	}
	seen := map[string]bool{}
	target, pages := "https://platform.altinn.no"+own+"?size=2", 0
	for {
		p := get(t, s, doortest.Kari, target)
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

func TestWhatIsAnothersIsEmpty(t *testing.T) {
	s := newSite(t)
	s.Add(t, doortest.Report{})
	for _, caller := range []string{doortest.Ola, doortest.OlaBySSN, doortest.Newcomer} {
		if got := get(t, s, caller, own).Embedded.Instances; len(got) != 0 {
			t.Errorf("another party sees %d", len(got))
		}
	}
	if got := get(t, s, doortest.Kari, "/storage/instances/59999").Embedded.Instances; len(got) != 0 {
		t.Errorf("under a number nobody has: %d", len(got))
	}
}

func TestRefusals(t *testing.T) {
	s := newSite(t)
	s.Do(t, doortest.Nobody, "GET", own).Want(401, "token-missing")
	s.Do(t, doortest.KariWriter, "GET", own).Want(403, "scope-missing")
	s.Do(t, doortest.Nav, "GET", own).Want(403, "user-only")
	for _, query := range []string{"?instanceOwnerId=50001", "?label=", "?size=0", "?page=-1", "?page=x", "?page=101"} {
		p := s.Do(t, doortest.Kari, "GET", own+query)
		if p.Code != 400 {
			t.Errorf("%s: %d, want 400", query, p.Code)
		}
	}
}
