package opcost

import (
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"
	"uuid"

	"altinn.no/instanceapi/shared/instance"
)

const (
	app      = "nav/ledger"
	ruledApp = "nav/ledger-with-rules" // time changes its instances
	pageSize = 100
)

// registration is a registration without its last brace. It has a schema of a realistic size.
var registration = `{"title":{"nb":"Arbeidsmelding"},"dataTypes":[
	{"formId":"default","allowedContentTypes":["application/xml"],"maxSize":1000000,"minCount":1,"maxCount":1,"schema":{"$comment":"` + strings.Repeat("x", 60_000) + `"}},
	{"formId":"attachment","allowedContentTypes":["application/pdf"],"maxSize":1000000,"minCount":0,"maxCount":0}]`

// submission is a form that adds three data elements and submits.
var submission = part("changes", "application/json", `{"data":[{"op":"add","formId":"default","part":"a"},{"op":"add","formId":"attachment","part":"b"},`+
	`{"op":"add","formId":"attachment","part":"c"}],"workflow":{"currentStep":"Submit"}}`) +
	part("a", "application/xml", "<melding/>") + part("b", "application/pdf", "%PDF-1.4") + part("c", "application/pdf", "%PDF-1.4") + "--x--\r\n"

func part(name, contentType, content string) string {
	return fmt.Sprintf("--x\r\nContent-Disposition: form-data; name=%s\r\nContent-Type: %s\r\n\r\n%s\r\n", name, contentType, content)
}

// rules are the further members of ruledApp's registration.
const rules = `,"events":["DeadlineNear","DeadlinePassed","InstanceDeleted"],"deadline":{"remind":["P7D"],"label":"forfalt"},
	"retention":{"drafts":{"after":"P90D"},"deleted":{"after":"P14D"},"archived":{"after":"P5Y"}}`

// Baseline is the minimum consumption of an operation of its kind: of one item with the index entry
// of a step.
type Baseline struct {
	Writes, Reads float64
	Series        int // sequential calls
}

// The baselines: one item of less than a kilobyte with an entry in one index, read eventually
// consistently.
var (
	baselineCreate   = Baseline{Writes: 2, Series: 2}
	baselineChange   = Baseline{Writes: 3, Reads: 0.5, Series: 2}
	baselineRead     = Baseline{Reads: 0.5, Series: 1}
	baselineDownload = Baseline{Writes: 1, Reads: 0.5, Series: 1}
	baselinePage     = Baseline{Reads: 7, Series: 1}
)

// operation is a measured request.
type operation struct {
	name     string
	baseline *Baseline // nil: none
	do       func(ctx context.Context, w *walk) error
}

// walk runs all operations on the instance that it creates.
type walk struct {
	*env
	app    string             // id of the application
	i      *instance.Instance // the instance of the operations
	upload string
	// subscription is the id of the subscription of the operations.
	subscription string
	round        int
	elements     int // number of data elements that create adds
}

// walkOf returns the operations on an instance with a number of data elements, in an order in
// which all are allowed.
func walkOf(elements int) []operation {
	ops := []operation{
		{"create", &baselineCreate, func(ctx context.Context, w *walk) error {
			return w.create(ctx, `"labels":["gr","x2"],`, w.elements, [2]string{})
		}},
		{"read", &baselineRead, func(ctx context.Context, w *walk) error { return w.get(ctx, w.user, w.self()) }},
		{"replace a data element", &baselineChange, func(ctx context.Context, w *walk) error {
			return w.change(ctx, request{as: w.user, method: "PUT", path: w.element(0), contentType: "application/xml", body: "<melding>2</melding>", want: 200})
		}},
	}
	if elements == 1 {
		ops = append(ops, onData()...)
	}
	ops = append(ops,
		operation{"move to the next step", &baselineChange, func(ctx context.Context, w *walk) error {
			return w.change(ctx, request{as: w.user, method: "PUT", path: w.self() + "/workflow", body: `{"currentStep":"Submit"}`, want: 200})
		}},
		operation{"download, by the owner", &baselineDownload, func(ctx context.Context, w *walk) error { return w.download(ctx) }},
	)
	if elements == 1 {
		ops = append(ops, afterSubmit()...)
	}
	return ops
}

// onData returns the operations on data elements before the submission. They leave the instance
// with its original elements.
func onData() []operation {
	attachment := func(w *walk, query string, want int, contentType, body string) request {
		return request{as: w.user, method: "POST", path: w.self() + "/data?formId=attachment" + query, contentType: contentType, body: body, want: want}
	}
	return []operation{
		{"read by the id alone, by the user", &baselineRead, func(ctx context.Context, w *walk) error { return w.get(ctx, w.user, "/storage/instances/"+w.i.ID) }},
		{"read by the id alone, by the owner", &baselineRead, func(ctx context.Context, w *walk) error { return w.get(ctx, w.owner, "/storage/instances/"+w.i.ID) }},
		{"read a data element, by the user", &baselineRead, func(ctx context.Context, w *walk) error { return w.get(ctx, w.user, w.element(0)) }},
		{"add a data element", &baselineChange, func(ctx context.Context, w *walk) error {
			return w.change(ctx, attachment(w, "", 201, "application/pdf", "%PDF-1.4"))
		}},
		{"delete a data element", &baselineChange, func(ctx context.Context, w *walk) error {
			return w.change(ctx, request{as: w.user, method: "DELETE", path: w.element(1), want: 200})
		}},
		{"start an upload", nil, func(ctx context.Context, w *walk) error {
			response, err := w.send(ctx, request{as: w.user, method: "POST", path: w.self() + "/uploads?formId=attachment", want: 201, body: `{"fileName":"a.pdf","contentType":"application/pdf",` +
				`"size":8,"sha256":"e7a8c3a5a4f0f8bb7c3ec4e5bd9d7b7e2cf0d5b7b8f5a0b4b7e1f8a2f8d6f3a1"}`})
			w.upload, _ = response["id"].(string)
			return err
		}},
		{"validate", nil, func(ctx context.Context, w *walk) error { return w.get(ctx, w.user, w.self()+"/validate") }},
		{"read the workflow", nil, func(ctx context.Context, w *walk) error { return w.get(ctx, w.user, w.self()+"/workflow") }},
	}
}

// afterSubmit returns the operations of the owner, and the final ones.
func afterSubmit() []operation {
	return []operation{
		{"download again", &baselineDownload, func(ctx context.Context, w *walk) error { return w.download(ctx) }},
		{"confirm a download", &baselineChange, func(ctx context.Context, w *walk) error {
			return w.change(ctx, request{as: w.owner, method: "POST", path: w.platform(w.element(0)) + "/confirmDownload", want: 200})
		}},
		{"confirm again, in a batch of one", &baselineChange, func(ctx context.Context, w *walk) error {
			return w.change(ctx, request{as: w.owner, method: "POST", path: "/storage/confirmDownload", want: 200,
				body: `{"instances":[{"instanceOwnerId":"` + w.i.InstanceOwnerID + `","id":"` + w.i.ID + `"}]}`})
		}},
		{"change a label", &baselineChange, func(ctx context.Context, w *walk) error {
			return w.change(ctx, request{as: w.owner, method: "PATCH", path: w.self(), contentType: "application/merge-patch+json", body: `{"labels":["gr","q4"]}`, want: 200})
		}},
		{"set a substatus", &baselineChange, func(ctx context.Context, w *walk) error {
			return w.change(ctx, request{as: w.owner, method: "PUT", path: w.self() + "/substatus", body: `{"label":"Under behandling"}`, want: 200})
		}},
		{"clear the substatus", &baselineChange, func(ctx context.Context, w *walk) error {
			return w.change(ctx, request{as: w.owner, method: "DELETE", path: w.self() + "/substatus", want: 200})
		}},
		{"mark as read", &baselineChange, func(ctx context.Context, w *walk) error {
			return w.change(ctx, request{as: w.user, method: "PUT", path: w.self() + "/readStatus", body: `{"readStatus":"Read"}`, want: 200})
		}},
		{"put under legal hold", &baselineChange, func(ctx context.Context, w *walk) error {
			return w.change(ctx, request{as: w.owner, method: "PUT", path: w.platform(w.self()) + "/legalHold", body: `{"reason":"Tvist om vedtaket"}`, want: 200})
		}},
		{"lift the hold", &baselineChange, func(ctx context.Context, w *walk) error {
			return w.change(ctx, request{as: w.owner, method: "DELETE", path: w.platform(w.self()) + "/legalHold", want: 200})
		}},
		{"delete, until restored", &baselineChange, func(ctx context.Context, w *walk) error {
			return w.change(ctx, request{as: w.user, method: "DELETE", path: w.self(), want: 200})
		}},
		{"restore", &baselineChange, func(ctx context.Context, w *walk) error {
			return w.change(ctx, request{as: w.user, method: "POST", path: w.self() + "/undelete", want: 200})
		}},
		{"history", nil, func(ctx context.Context, w *walk) error { return w.get(ctx, w.user, w.platform(w.self())+"/events") }},
		{"create, empty", &baselineCreate, func(ctx context.Context, w *walk) error { return w.create(ctx, "", 0, [2]string{}) }},
		{"form, two attachments and the next step, one request", &baselineChange, func(ctx context.Context, w *walk) error {
			return w.change(ctx, request{as: w.user, method: "POST", path: w.self() + "/changes", contentType: "multipart/form-data; boundary=x", body: submission, want: 200})
		}},
		{"create, Idempotency-Key", &baselineCreate, func(ctx context.Context, w *walk) error { return w.create(ctx, "", 0, w.key()) }},
		{"the same request again", nil, func(ctx context.Context, w *walk) error { return w.create(ctx, "", 0, w.key()) }},
		{"delete permanently", &baselineChange, func(ctx context.Context, w *walk) error {
			return w.change(ctx, request{as: w.user, method: "DELETE", path: w.self() + "?hard=true", want: 200})
		}},
	}
}

// underRules returns the operations on an instance whose application registers retention and
// deadlines.
func underRules() []operation {
	run := func(ctx context.Context, w *walk) error {
		if _, err := w.Function("agenda-run").Invoke(ctx, []byte(`{}`)); err != nil {
			return err
		}
		var err error
		w.i, err = w.stored.Get(ctx, w.i.InstanceOwnerID, w.i.ID)
		return err
	}
	return []operation{
		{"create", &baselineCreate, func(ctx context.Context, w *walk) error {
			return w.create(ctx, `"labels":["gr","x2"],`, w.elements, [2]string{})
		}},
		{"replace a data element", &baselineChange, func(ctx context.Context, w *walk) error {
			return w.change(ctx, request{as: w.user, method: "PUT", path: w.element(0), contentType: "application/xml", body: "<melding>2</melding>", want: 200})
		}},
		{"move to the next step", &baselineChange, func(ctx context.Context, w *walk) error {
			return w.change(ctx, request{as: w.user, method: "PUT", path: w.self() + "/workflow", body: `{"currentStep":"Submit"}`, want: 200})
		}},
		{"set a dueDateTime that has passed", &baselineChange, func(ctx context.Context, w *walk) error {
			return w.change(ctx, request{as: w.owner, method: "PATCH", path: w.self(), contentType: "application/merge-patch+json", body: `{"dueDateTime":"2026-01-01T00:00:00Z"}`, want: 200})
		}},
		{"agenda: the deadline of one instance passes", nil, run},
		{"agenda: nothing is due", nil, run},
		{"delete, until restored", &baselineChange, func(ctx context.Context, w *walk) error {
			return w.change(ctx, request{as: w.user, method: "DELETE", path: w.self(), want: 200})
		}},
	}
}

// queries returns the operations that read many instances, over an application with more than one
// page of them.
func queries() []operation {
	page := func(query string) func(ctx context.Context, w *walk) error {
		return func(ctx context.Context, w *walk) error {
			return w.get(ctx, w.owner, fmt.Sprint("/storage/instances?appId=", app, "&size=", pageSize, "&", query))
		}
	}
	return []operation{
		{"page of 100, by step", &baselinePage, page("workflow.currentStep=Archived")},
		{"page of 100, by step and label", &baselinePage, page("workflow.currentStep=Archived&label=gr")},
		{"feed without new events", nil, func(ctx context.Context, w *walk) error {
			return w.get(ctx, w.owner, "/storage/applications/"+app+"/events?after=2099-01-01")
		}},
		{"feed without new events, held, one check", nil, func(ctx context.Context, w *walk) error {
			_, err := w.send(ctx, request{as: w.owner, method: "GET", path: "/storage/applications/" + app + "/events?after=2099-01-01", header: [2]string{"Prefer", "wait=1"}, want: 200})
			return err
		}},
		{"statistics", nil, func(ctx context.Context, w *walk) error {
			return w.get(ctx, w.owner, "/storage/applications/"+app+"/statistics")
		}},
		{"look up a party without a number", &baselineRead, func(ctx context.Context, w *walk) error {
			_, err := w.send(ctx, request{as: w.owner, method: "POST", path: "/storage/parties/lookup", body: `{"reportee":{"userName":"nobody.yet"}}`, want: 404})
			return err
		}},
		{"read an application", nil, func(ctx context.Context, w *walk) error { return w.get(ctx, w.owner, "/storage/applications/"+app) }},
	}
}

// subscribing returns the operations on a subscription to two applications.
func subscribing() []operation {
	send := func(method, suffix, body string, want int) func(ctx context.Context, w *walk) error {
		return func(ctx context.Context, w *walk) error {
			_, err := w.send(ctx, request{as: w.owner, method: method, path: "/storage/subscriptions/" + w.subscription + suffix, body: body, want: want})
			return err
		}
	}
	return []operation{
		{"subscribe an endpoint", nil, func(ctx context.Context, w *walk) error {
			response, err := w.send(ctx, request{as: w.owner, method: "POST", path: "/storage/subscriptions", want: 201,
				body: fmt.Sprintf(`{"endpoint":"https://hooks.example.com/altinn/%d","appIds":["%s","%s"]}`, w.round, app, ruledApp)})
			w.subscription, _ = response["id"].(string)
			return err
		}},
		{"list the subscriptions", nil, func(ctx context.Context, w *walk) error { return w.get(ctx, w.owner, "/storage/subscriptions") }},
		{"read a subscription", nil, send("GET", "", "", 200)},
		{"pause a subscription", nil, send("PATCH", "", `{"paused":true}`, 200)},
		{"resume a subscription", nil, send("PATCH", "", `{"paused":false}`, 200)},
		{"replace the secret", nil, send("POST", "/secret", "", 200)},
		{"read the deliveries", nil, send("GET", "/deliveries", "", 200)},
		{"delete a subscription", nil, send("DELETE", "", "", 204)},
	}
}

func (w *walk) self() string {
	return "/" + w.i.AppID + "/instances/" + w.i.InstanceOwnerID + "/" + w.i.ID
}

func (w *walk) element(n int) string { return w.self() + "/data/" + w.i.Data[n].ID }

// platform returns the Storage API path of an Application API path.
func (w *walk) platform(path string) string {
	return strings.Replace(path, "/"+w.i.AppID, "/storage", 1)
}

func (w *walk) key() [2]string { return [2]string{"Idempotency-Key", fmt.Sprint("ledger ", w.round)} }

// create creates the instance for the operations that follow.
func (w *walk) create(ctx context.Context, members string, elements int, header [2]string) error {
	var data []string
	for n := range elements {
		formID, contentType := "attachment", "application/pdf"
		if n == 0 {
			formID, contentType = "default", "application/xml"
		}
		data = append(data, fmt.Sprintf(`{"formId":%q,"contentType":%q,"content":%q}`, formID, contentType, base64.StdEncoding.EncodeToString([]byte(fmt.Sprint("<melding>", n, "</melding>")))))
	}
	response, err := w.send(ctx, request{as: w.user, method: "POST", path: "/" + w.app + "/instances", header: header, want: 201,
		body: `{"instanceOwnerId":"` + party + `",` + members + `"presentationField":"Arbeidsmelding 2026","data":[` + strings.Join(data, ",") + `]}`})
	if err != nil {
		return err
	}
	id, ok := response["id"].(string)
	if !ok {
		return errors.New("opcost: the response has no instance id")
	}
	w.i, err = w.stored.Get(ctx, party, id)
	return err
}

// createMany creates instances with one request each and as many in one batch, all for new parties,
// and returns the consumption of both. There are not 100 of them, because on a busy machine the
// recorder lets no function begin 100 items in their 20 seconds.
func (w *walk) createMany(ctx context.Context) (rows []Row, err error) {
	const count = 40
	item := func(way string, n int, key string) string {
		return fmt.Sprintf(`{%s"reportee":{"userName":"%s-%d"},"presentationField":"Arbeidsmelding 2026"}`, key, way, n)
	}
	ways := []struct {
		name string
		do   func() error
	}{
		{"create 40 for new parties, Idempotency-Key, one by one", func() error {
			for n := range count {
				key := [2]string{"Idempotency-Key", fmt.Sprint("many ", n)}
				if _, err := w.send(ctx, request{as: w.owner, method: "POST", path: "/" + w.app + "/instances", header: key, body: item("one", n, ""), want: 201}); err != nil {
					return err
				}
			}
			return nil
		}},
		{"create 40 for new parties, in one batch", func() error {
			var items []string
			for n := range count {
				items = append(items, item("batch", n, fmt.Sprintf(`"key":"%d",`, n)))
			}
			response, err := w.send(ctx, request{as: w.owner, method: "POST", path: "/" + w.app + "/batch", body: `{"items":[` + strings.Join(items, ",") + `]}`, want: 200})
			if created := strings.Count(fmt.Sprint(response), "status:201"); err == nil && created != count {
				err = fmt.Errorf("opcost: the batch has created %d instances of %d", created, count)
			}
			return err
		}},
	}
	if _, err := w.recorder.Take(); err != nil {
		return nil, err
	}
	w.recorder.hurries.Store(true)
	defer w.recorder.hurries.Store(false)
	for _, way := range ways {
		err := way.do()
		calls, checkErr := w.recorder.Take()
		if err := errors.Join(err, checkErr); err != nil {
			return nil, fmt.Errorf("%s: %w", way.name, err)
		}
		row := w.row(calls)
		row.Name, row.Series = way.name, 0
		rows = append(rows, row)
	}
	return rows, nil
}

// change sends a request that changes the instance, and reads the new instance.
func (w *walk) change(ctx context.Context, q request) error {
	if _, err := w.send(ctx, q); err != nil {
		return err
	}
	var err error
	w.i, err = w.stored.Get(ctx, w.i.InstanceOwnerID, w.i.ID)
	return err
}

func (w *walk) download(ctx context.Context) error {
	return w.change(ctx, request{as: w.owner, method: "GET", path: w.platform(w.element(0)), want: 200})
}

func (w *walk) get(ctx context.Context, as, path string) error {
	_, err := w.send(ctx, request{as: as, method: "GET", path: path, want: 200})
	return err
}

// fill stores the instances of the pages, not through the recorder: with two labels and one data
// element.
func (s *env) fill(ctx context.Context) ([]*instance.Instance, error) {
	begin := time.Date(2026, 1, 5, 8, 0, 0, 123456000, time.UTC)
	var all []*instance.Instance
	for n := range 2 * pageSize {
		at := begin.Add(time.Duration(n) * 61 * time.Second)
		submitted, archived := at.Add(30*time.Minute), at.Add(time.Hour)
		id := func(what string) string { return nameUUID(fmt.Sprint(what, n)) }
		all = append(all, &instance.Instance{
			ID: id("instance"), AppID: app, InstanceOwnerID: fmt.Sprint(60000 + n), Labels: []string{"gr", "x2"}, PresentationField: "Arbeidsmelding 2026",
			CreatedDateTime: at, CreatedBy: "1001", LastChangedDateTime: at.Add(time.Hour), LastChangedBy: "1001",
			Workflow: instance.Workflow{CurrentStep: "Archived", IsCompleted: true, SubmittedDateTime: &submitted},
			Status:   instance.Status{IsArchived: true, ArchivedDateTime: &archived}, StepEntered: archived, EventCount: 3, Version: 4, Submitted: true,
			Data: []instance.DataElement{{
				ID: id("element"), FormID: "default", ContentType: "application/xml", FileName: "default.xml", CreatedDateTime: at, CreatedBy: "1001",
				LastChangedDateTime: at, LastChangedBy: "1001", FileSize: 2000 + int64(n), IsLocked: true, Revision: id("element"), // as blob.FirstKey has it
				SHA256: strings.ReplaceAll(id("one")+id("two"), "-", ""),
			}},
		})
	}
	return all, s.stored.Import(ctx, all)
}

// nameUUID returns the UUID version 5 of name in the nil namespace (RFC 9562, section 5.5), which
// is the same in every run.
func nameUUID(name string) string {
	sum := sha1.Sum(append(make([]byte, len(uuid.UUID{})), name...))
	id := uuid.UUID(sum[:16])
	id[6], id[8] = id[6]&0x0f|0x50, id[8]&0x3f|0x80 // version and variant
	return id.String()
}
