package instancehttp

import (
	"testing"

	"altinn.no/instanceapi/shared/filltest"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
)

// TestRenderKeepsEveryField fails if a rendered instance lacks a field.
func TestRenderKeepsEveryField(t *testing.T) {
	i := &instance.Instance{}
	filltest.Fill(t, i)
	i.AppID = "nav/app2018"
	missing := filltest.Zero(*View{Base: httpapi.BaseURLs{Apps: "https://{org}.apps.altinn.no", Platform: "https://platform.altinn.no"}}.Render(i))
	if len(missing) != 1 || missing[0] != "Instance.IdempotencyRecord" { // belongs to one change, not to the document
		t.Errorf("the instance lacks %q", missing)
	}
}
