package main

import (
	"testing"
	"time"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/sweep"
)

func newAPI(t *testing.T) *apitest.API {
	api := apitest.New(t)
	api.Serve("DELETE /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}", handler(api.Authorizer, api.Applications, api.Instances, api.View))
	return api
}

func TestSoftDelete(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}, Labels: []string{"gr"}})
	for _, target := range []string{apitest.InApp(i, ""), apitest.InApp(i, "?hard=false"), apitest.InApp(i, "")} {
		got := api.Do(t, apitest.Kari, "DELETE", target).Instance(api, 200)
		if !got.Status.IsSoftDeleted || got.Status.IsMarkedForHardDelete || got.Version != 2 || len(got.Labels) != 1 {
			t.Errorf("got %+v at version %d, want one deletion", got.Status, got.Version)
		}
		if !got.LastChangedDateTime.Equal(i.LastChangedDateTime) {
			t.Error("the deletion changed lastChangedDateTime")
		}
	}
	if _, err := sweep.Run(t.Context(), api.Instances, api.Blobs, time.Now().Add(2*sweep.GracePeriod)); err != nil || len(api.Blobs.Keys()) != 1 {
		t.Errorf("after the sweep: %d revisions (%v), want 1", len(api.Blobs.Keys()), err)
	}
}

func TestHardDelete(t *testing.T) {
	for _, first := range []string{"", "soft"} {
		api := newAPI(t)
		i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default", "attachment"}, Labels: []string{"gr"}, Path: []string{"Submit"}})
		other := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
		events := len(api.Instances.Outbox())
		if first == "soft" {
			api.Do(t, apitest.Kari, "DELETE", apitest.InApp(i, "")).Instance(api, 200)
		}
		var got instance.Instance // the complete instance; later reads return 404
		api.Do(t, apitest.Nav, "DELETE", apitest.InApp(i, "?hard=true")).Want(200, "").JSON(&got)
		if !got.Status.IsMarkedForHardDelete || len(got.Labels) != 1 || len(got.Data) != 2 {
			t.Errorf("got %+v with the labels %v and %d data elements", got.Status, got.Labels, len(got.Data))
		}
		if stored, err := api.Instances.Get(t.Context(), i.InstanceOwnerID, i.ID); err != nil || len(stored.Labels) != 0 {
			t.Errorf("the stored labels are %v (%v)", stored.Labels, err)
		}
		api.Do(t, apitest.Nav, "DELETE", apitest.InApp(i, "?hard=true")).Want(404, "not-found")
		api.Do(t, apitest.Kari, "DELETE", apitest.InApp(i, "")).Want(404, "not-found")
		for range 2 {
			if _, err := sweep.Run(t.Context(), api.Instances, api.Blobs, time.Now().Add(2*sweep.GracePeriod)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := api.Instances.Get(t.Context(), i.InstanceOwnerID, i.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("the document still exists after the sweep: %v", err)
		}
		if n := len(api.Blobs.Keys()); n != 1 {
			t.Errorf("after the sweep %d revisions, want the other instance's", n)
		}
		api.Stored(t, other)
		if n := len(api.Instances.Outbox()); n != events+1 { // that of the first permanent deletion
			t.Errorf("%d events, want %d", n, events+1)
		}
	}
}

func TestRejects(t *testing.T) {
	api := newAPI(t)
	i := api.Add(t, apitest.InstanceSpec{})
	api.AssertUnchanged(t, i, func() {
		api.Do(t, apitest.Kari, "DELETE", apitest.InApp(i, "?hard=yes")).Want(400, "parameter-invalid")
		api.Do(t, apitest.Kari, "DELETE", apitest.InApp(i, "?force=true")).Want(400, "parameter-unknown")
		api.Do(t, apitest.Kari, "DELETE", apitest.InApp(i, "?hard=true"), apitest.Header("If-Match", `"7"`)).Want(412, "version-stale")
	})
	api.CheckAccess(t, i, false, "DELETE", apitest.InApp(i, ""))
}

// TestWhoMayDeleteSubmissions deletes a submission permanently, by each value of userMayDelete,
// before and after its owner has confirmed it. The owner always may. The user may delete drafts,
// also those that the owner sent back.
func TestWhoMayDeleteSubmissions(t *testing.T) {
	draft, submitted := []string(nil), []string{"Submit"}
	sentBack, archived := []string{"Submit", "FormFilling"}, []string{"Submit", "Archived"}
	for rule, allowed := range map[string]struct{ unconfirmed, confirmed bool }{
		"": {false, true}, `"userMayDelete":"confirmed"`: {false, true}, `"userMayDelete":"drafts"`: {false, false}, `"userMayDelete":"always"`: {true, true},
	} {
		for _, test := range []struct {
			path      []string
			confirmed bool
			user      bool
		}{
			{draft, false, true}, {sentBack, false, true}, {submitted, false, allowed.unconfirmed}, {archived, false, allowed.unconfirmed},
			{submitted, true, allowed.confirmed}, {archived, true, allowed.confirmed},
		} {
			for _, softly := range []bool{false, true} {
				api := newAPI(t)
				api.Register(t, apitest.App, `{"retention":{`+rule+`}}`)
				add := func() *instance.Instance {
					i := api.Add(t, apitest.InstanceSpec{Path: test.path})
					if test.confirmed {
						i = api.Change(t, i, func(i *instance.Instance) error { return i.ConfirmAll(time.Now(), true) })
					}
					if softly {
						i = api.SoftDelete(t, i)
					}
					return i
				}
				byUser, byOwner := add(), add()
				api.Do(t, apitest.Nav, "DELETE", apitest.InApp(byOwner, "?hard=true")).Want(200, "")
				if test.user {
					api.Do(t, apitest.Kari, "DELETE", apitest.InApp(byUser, "?hard=true")).Want(200, "")
					continue
				}
				api.AssertUnchanged(t, byUser, func() {
					api.Do(t, apitest.Kari, "DELETE", apitest.InApp(byUser, "?hard=true")).Want(409, "deletion-too-early")
				})
				if deleted := api.Do(t, apitest.Kari, "DELETE", apitest.InApp(byUser, "")).Instance(api, 200); !deleted.Status.IsSoftDeleted || deleted.InQueue() == test.confirmed {
					t.Errorf("%s: %+v, in the queue: %v", rule, deleted.Status, deleted.InQueue())
				}
			}
		}
	}
}

// TestLegalHold deletes a held instance. Neither user nor owner can delete it permanently, and both
// can softly.
func TestLegalHold(t *testing.T) {
	for _, caller := range []string{apitest.Kari, apitest.Nav} {
		api := newAPI(t)
		i := api.Change(t, api.Add(t, apitest.InstanceSpec{}), func(i *instance.Instance) error { return i.Hold("x", nil, "nav", time.Now()) })
		api.AssertUnchanged(t, i, func() {
			api.Do(t, caller, "DELETE", apitest.InApp(i, "?hard=true")).Want(409, "legal-hold")
		})
		api.Do(t, caller, "DELETE", apitest.InApp(i, "")).Want(200, "")
		if !api.Stored(t, i).Status.IsSoftDeleted {
			t.Error("a hold prevents the soft delete")
		}
	}
}

// TestEvents deletes softly and then permanently. Each deletion that changes the instance makes an
// event in an application that registers the type. In another application only the permanent
// deletion makes one, which is internal.
func TestEvents(t *testing.T) {
	for caller, by := range map[string][2]string{apitest.Kari: {"1001", event.CauseUser}, apitest.Nav: {"nav", event.CauseOwner}} {
		for registration, events := range map[string]int{`{}`: 1, `{"events":["InstanceDeleted"]}`: 2} {
			api := newAPI(t)
			api.Register(t, apitest.App, registration)
			i := api.Add(t, apitest.InstanceSpec{Forms: []string{"default"}})
			for _, query := range []string{"", "", "?hard=true"} {
				api.Do(t, caller, "DELETE", apitest.InApp(i, query)).Want(200, "")
			}
			outbox := api.Instances.Outbox()[1:]
			if len(outbox) != events {
				t.Fatalf("%s: %d events, want %d", registration, len(outbox), events)
			}
			if ev := outbox[0]; events == 1 {
				if !event.Internal(ev.EventType) || ev.ID != event.ID(i.ID, 2) || ev.WorkflowStep != "FormFilling" || ev.Hard != nil || len(ev.DataLinks) != 0 {
					t.Errorf("internal event %+v", ev)
				}
				continue
			}
			for n, ev := range outbox {
				if ev.EventType != event.InstanceDeleted || ev.ID != event.ID(i.ID, n+2) || *ev.Hard != (n == 1) || ev.Cause != by[1] || ev.UserID != by[0] || len(ev.DataLinks) != 1 {
					t.Errorf("event %+v", ev)
				}
			}
		}
	}
}

// TestPermanentDeletionIsScheduled deletes softly in an application that deletes permanently
// after a day.
func TestPermanentDeletionIsScheduled(t *testing.T) {
	api := newAPI(t)
	api.Register(t, apitest.App, `{"retention":{"deleted":{"after":"P1D"}}}`)
	i := api.Add(t, apitest.InstanceSpec{})
	api.CheckNoteFirst(t, i, time.Now().AddDate(0, 0, 1), func() apitest.Response { return api.Do(t, apitest.Kari, "DELETE", apitest.InApp(i, "")) })
}
