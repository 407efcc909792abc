package instancequery_test

import (
	"strings"
	"testing"
	"time"
	"uuid"

	"pgregory.net/rapid"

	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/instance/instancequery"
)

// TestResponseSizeIsNotTooSmall compares the estimate for random instances, up to the limits of
// every member, with their real JSON. A new member that makes the JSON larger fails here.
func TestResponseSizeIsNotTooSmall(t *testing.T) {
	view := instancehttp.View{Base: httpapi.BaseURLs{Apps: "https://{org}.apps.tt02.altinn.no", Platform: "https://platform.tt02.altinn.no"}}.For(auth.Caller{Org: "nav"})
	rapid.Check(t, func(t *rapid.T) {
		i := view.Render(drawInstance(t))
		real, err := i.AppendJSON(nil)
		if err != nil {
			t.Fatal(err)
		}
		if estimate := instancequery.ResponseSize(i); estimate < len(real) {
			t.Fatalf("the estimate is %d bytes, the JSON has %d: %s", estimate, len(real), real)
		}
	})
}

// drawInstance returns an instance whose members have any length up to their limits.
func drawInstance(t *rapid.T) *instance.Instance {
	name := func(label string, limit int) string {
		return strings.Repeat("x", rapid.OneOf(rapid.Just(limit), rapid.IntRange(1, limit)).Draw(t, label))
	}
	text := func(label string, limit int) string {
		return rapid.StringOfN(rapid.SampledFrom([]rune(`a"\<&æ文😀`)), 0, limit, 4*limit).Draw(t, label)
	}
	at := time.Date(2026, 5, 1, 12, 0, 0, 123_456_000, time.UTC)
	date := func(label string) *time.Time {
		if rapid.Bool().Draw(t, label) {
			return &at
		}
		return nil
	}
	times := func(label string) []time.Time {
		times := make([]time.Time, rapid.IntRange(0, 100).Draw(t, label))
		for n := range times {
			times[n] = at
		}
		return times
	}
	i := &instance.Instance{
		ID: uuid.New().String(), AppID: name("org", 31) + "/" + name("app", 60), Labels: []string{},
		InstanceOwnerID: name("party", 15), CreatedBy: name("created by", 31), LastChangedBy: name("changed by", 31),
		CreatedDateTime: at, LastChangedDateTime: at, DueDateTime: date("due"), VisibleDateTime: date("visible"),
		PresentationField: text("presentation", instance.MaxPresentationField),
		Workflow:          instance.Workflow{CurrentStep: name("step", 64), SubmittedDateTime: date("submitted"), Reason: text("reason", instance.MaxReason)},
		Status:            instance.Status{ArchivedDateTime: date("archived"), SoftDeletedDateTime: date("deleted"), ReadStatus: instance.UpdatedSinceLastReview},
	}
	for range rapid.IntRange(0, 3).Draw(t, "notes") {
		i.Workflow.Notes = append(i.Workflow.Notes, instance.Note{At: at, By: i.CreatedBy, Step: i.Workflow.CurrentStep, Reason: text("note", instance.MaxReason)})
	}
	if rapid.Bool().Draw(t, "substatus") {
		i.Status.Substatus = &instance.Substatus{
			Label: text("substatus", instance.MaxSubstatusLabel), Description: text("description", instance.MaxSubstatusDescription), ChangedDateTime: at,
		}
	}
	for range rapid.IntRange(0, instance.MaxLabels).Draw(t, "labels") {
		i.Labels = append(i.Labels, text("label", instance.MaxLabelLength))
	}
	for range rapid.IntRange(0, 3).Draw(t, "elements") {
		d := instance.DataElement{
			ID: uuid.New().String(), FormID: name("formId", 64), ContentType: text("content type", 255), FileName: text("file name", 150),
			CreatedBy: i.CreatedBy, LastChangedBy: i.LastChangedBy, CreatedDateTime: at, LastChangedDateTime: at,
			FileSize: rapid.Int64Range(0, 5<<30).Draw(t, "size"),
		}
		if rapid.Bool().Draw(t, "downloaded") {
			d.ApplicationOwner = &instance.ApplicationOwner{Downloaded: times("downloads"), DownloadConfirmed: times("confirmations")}
		}
		if rapid.Bool().Draw(t, "scanned") {
			d.Scan = &instance.Scan{Status: instance.ScanUnscannable, At: at}
		}
		i.Data = append(i.Data, d)
	}
	return i
}
