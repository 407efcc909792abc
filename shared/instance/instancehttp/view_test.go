package instancehttp

import (
	"slices"
	"testing"

	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/filltest"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
)

// TestRenderKeepsEveryField fails if a rendered instance lacks a field that the caller may see.
// Only the application's owner sees the reason of a legal hold, labels that are hidden from users,
// and data elements and changes that users may not see.
func TestRenderKeepsEveryField(t *testing.T) {
	i := &instance.Instance{}
	filltest.Fill(t, i)
	i.AppID = "nav/app2018"
	i.Data[0].OwnerOnly = false
	view := View{Base: httpapi.BaseURLs{Apps: "https://{org}.apps.altinn.no", Platform: "https://platform.altinn.no"}}
	hidden := []string{"Instance.LegalHold.Reason", "Instance.Data[0].OwnerOnly", "Instance.IdempotencyRecord"} // the record belongs to one change, not to the document
	for name, test := range map[string]struct {
		view CallerView
		want []string
	}{
		"user":  {view.For(auth.Caller{UserID: "1001"}), hidden},
		"owner": {view.For(auth.Caller{Org: "nav"}), hidden[1:]},
	} {
		if missing := filltest.Zero(*test.view.Render(i)); !slices.Equal(missing, test.want) {
			t.Errorf("%s: the instance lacks %q, want %q", name, missing, test.want)
		}
	}
	if labels := view.For(auth.Caller{UserID: "1001"}).Render(i).Labels; labels == nil || len(labels) > 0 {
		t.Errorf("a user sees the labels %q, want []", labels)
	}
	if labels := view.For(auth.Caller{Org: "nav"}).Render(i).Labels; len(labels) == 0 {
		t.Error("the owner does not see the labels")
	}
	user := view.For(auth.Caller{UserID: "1001"}).Render(i)
	if len(user.Data) != 1 || user.Data[0].ID != i.Data[0].ID || user.LastChangedDateTime != i.SeenChange.At || user.LastChangedBy != i.SeenChange.By {
		t.Errorf("a user sees %+v", user)
	}
	if owner := view.For(auth.Caller{Org: "nav"}).Render(i); len(owner.Data) != 2 || owner.LastChangedDateTime != i.LastChangedDateTime {
		t.Errorf("the owner sees %+v", owner)
	}
	if i.LegalHold.Reason == "" || len(i.Data) != 2 || !i.Data[1].OwnerOnly {
		t.Error("Render changed the instance")
	}
}
