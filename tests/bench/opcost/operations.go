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
	pageSize = 100
)

// registration has a schema of the size that those of forms have.
var registration = `{"title":{"nb":"Arbeidsmelding"},"dataTypes":[
	{"formId":"default","allowedContentTypes":["application/xml"],"maxSize":1000000,"minCount":1,"maxCount":1,"schema":{"$comment":"` + strings.Repeat("x", 60_000) + `"}},
	{"formId":"attachment","allowedContentTypes":["application/pdf"],"maxSize":1000000,"minCount":0,"maxCount":0}]}`

// Floor is the least that an operation could consume, by the arithmetic of its kind: the index entries of a step and one item.
type Floor struct {
	Writes, Reads float64
	Series        int // calls that must wait for each other
}

// The floors: one item of less than a kilobyte with an entry in one index, read eventually consistently.
var (
	floorCreate   = Floor{Writes: 2, Series: 2}
	floorChange   = Floor{Writes: 3, Reads: 0.5, Series: 2}
	floorRead     = Floor{Reads: 0.5, Series: 1}
	floorDownload = Floor{Writes: 1, Reads: 0.5, Series: 1}
	floorPage     = Floor{Reads: 7, Series: 1}
)

// operation is a request that is measured.
type operation struct {
	name  string
	floor *Floor // nil: it has none
	do    func(ctx context.Context, w *walk) error
}

// walk is a way through all operations, with the instances that it has created so far.
type walk struct {
	*env
	i        *instance.Instance // the one that the operations are about
	upload   string
	round    int
	elements int // that are created with it
}

// walkOf returns the operations on an instance with so many data elements, in an order in which all are allowed.
func walkOf(elements int) []operation {
	ops := []operation{
		{"create", &floorCreate, func(ctx context.Context, w *walk) error {
			return w.create(ctx, `"labels":["gr","x2"],`, w.elements, [2]string{})
		}},
		{"read", &floorRead, func(ctx context.Context, w *walk) error { return w.get(ctx, w.user, w.self()) }},
		{"replace a data element", &floorChange, func(ctx context.Context, w *walk) error {
			return w.change(ctx, request{as: w.user, method: "PUT", path: w.element(0), contentType: "application/xml", body: "<melding>2</melding>", want: 200})
		}},
	}
	if elements == 1 {
		ops = append(ops, onData()...)
	}
	ops = append(ops,
		operation{"move to the next step", &floorChange, func(ctx context.Context, w *walk) error {
			return w.change(ctx, request{as: w.user, method: "PUT", path: w.self() + "/workflow", body: `{"currentStep":"Submit"}`, want: 200})
		}},
		operation{"download, by the owner", &floorDownload, func(ctx context.Context, w *walk) error { return w.download(ctx) }},
	)
	if elements == 1 {
		ops = append(ops, afterSubmit()...)
	}
	return ops
}

// onData are the operations on data elements before the instance is submitted. They leave it with the elements it had.
func onData() []operation {
	attachment := func(w *walk, query string, want int, contentType, body string) request {
		return request{as: w.user, method: "POST", path: w.self() + "/data?formId=attachment" + query, contentType: contentType, body: body, want: want}
	}
	return []operation{
		{"read a data element, by the user", &floorRead, func(ctx context.Context, w *walk) error { return w.get(ctx, w.user, w.element(0)) }},
		{"add a data element", &floorChange, func(ctx context.Context, w *walk) error {
			return w.change(ctx, attachment(w, "", 201, "application/pdf", "%PDF-1.4"))
		}},
		{"delete a data element", &floorChange, func(ctx context.Context, w *walk) error {
			return w.change(ctx, request{as: w.user, method: "DELETE", path: w.element(1), want: 200})
		}},
		{"announce an upload", nil, func(ctx context.Context, w *walk) error {
			answer, err := w.ask(ctx, request{as: w.user, method: "POST", path: w.self() + "/uploads", want: 201, body: `{"fileName":"a.pdf","contentType":"application/pdf",` +
				`"size":8,"sha256":"e7a8c3a5a4f0f8bb7c3ec4e5bd9d7b7e2cf0d5b7b8f5a0b4b7e1f8a2f8d6f3a1"}`})
			w.upload, _ = answer["id"].(string)
			return err
		}},
		{"validate", nil, func(ctx context.Context, w *walk) error { return w.get(ctx, w.user, w.self()+"/validate") }},
		{"look at the workflow", nil, func(ctx context.Context, w *walk) error { return w.get(ctx, w.user, w.self()+"/workflow") }},
	}
}

// afterSubmit are the operations of the owner, and the last ones.
func afterSubmit() []operation {
	return []operation{
		{"download again", &floorDownload, func(ctx context.Context, w *walk) error { return w.download(ctx) }},
		{"confirm a download", &floorChange, func(ctx context.Context, w *walk) error {
			return w.change(ctx, request{as: w.owner, method: "POST", path: w.platform(w.element(0)) + "/confirmDownload", want: 200})
		}},
		{"change a label", &floorChange, func(ctx context.Context, w *walk) error {
			return w.change(ctx, request{as: w.owner, method: "PATCH", path: w.self(), contentType: "application/merge-patch+json", body: `{"labels":["gr","q4"]}`, want: 200})
		}},
		{"delete, until undeleted", &floorChange, func(ctx context.Context, w *walk) error {
			return w.change(ctx, request{as: w.user, method: "DELETE", path: w.self(), want: 200})
		}},
		{"undelete", &floorChange, func(ctx context.Context, w *walk) error {
			return w.change(ctx, request{as: w.user, method: "POST", path: w.self() + "/undelete", want: 200})
		}},
		{"history", nil, func(ctx context.Context, w *walk) error { return w.get(ctx, w.user, w.platform(w.self())+"/events") }},
		{"create, nothing in it", &floorCreate, func(ctx context.Context, w *walk) error { return w.create(ctx, "", 0, [2]string{}) }},
		{"create, Idempotency-Key", &floorCreate, func(ctx context.Context, w *walk) error { return w.create(ctx, "", 0, w.key()) }},
		{"the same again", nil, func(ctx context.Context, w *walk) error { return w.create(ctx, "", 0, w.key()) }},
		{"delete for good", &floorChange, func(ctx context.Context, w *walk) error {
			return w.change(ctx, request{as: w.user, method: "DELETE", path: w.self() + "?hard=true", want: 200})
		}},
	}
}

// queries are the operations that read many, over an application with more than a page.
func queries() []operation {
	page := func(query string) func(ctx context.Context, w *walk) error {
		return func(ctx context.Context, w *walk) error {
			return w.get(ctx, w.owner, fmt.Sprint("/storage/instances?appId=", app, "&size=", pageSize, "&", query))
		}
	}
	return []operation{
		{"page of 100, by step", &floorPage, page("workflow.currentStep=Archived")},
		{"page of 100, by step and label", &floorPage, page("workflow.currentStep=Archived&label=gr")},
		{"feed without an event yet", nil, func(ctx context.Context, w *walk) error {
			return w.get(ctx, w.owner, "/storage/applications/"+app+"/events?after=2099-01-01")
		}},
		{"look at an application", nil, func(ctx context.Context, w *walk) error { return w.get(ctx, w.owner, "/storage/applications/"+app) }},
	}
}

func (w *walk) self() string {
	return "/" + w.i.AppID + "/instances/" + w.i.InstanceOwnerID + "/" + w.i.ID
}

func (w *walk) element(n int) string { return w.self() + "/data/" + w.i.Data[n].ID }

// platform returns the address on the Storage API of what has one on the Application API.
func (w *walk) platform(path string) string {
	return strings.Replace(path, "/"+w.i.AppID, "/storage", 1)
}

func (w *walk) key() [2]string { return [2]string{"Idempotency-Key", fmt.Sprint("ledger ", w.round)} }

// create creates the instance that the operations which follow are about.
func (w *walk) create(ctx context.Context, members string, elements int, header [2]string) error {
	var data []string
	for n := range elements {
		formID, contentType := "attachment", "application/pdf"
		if n == 0 {
			formID, contentType = "default", "application/xml"
		}
		data = append(data, fmt.Sprintf(`{"formId":%q,"contentType":%q,"content":%q}`, formID, contentType, base64.StdEncoding.EncodeToString([]byte(fmt.Sprint("<melding>", n, "</melding>")))))
	}
	answer, err := w.ask(ctx, request{as: w.user, method: "POST", path: "/" + app + "/instances", header: header, want: 201,
		body: `{"instanceOwnerId":"` + party + `",` + members + `"presentationField":"Arbeidsmelding 2026","data":[` + strings.Join(data, ",") + `]}`})
	if err != nil {
		return err
	}
	id, ok := answer["id"].(string)
	if !ok {
		return errors.New("ledger: an answer without an instance")
	}
	w.i, err = w.stored.Get(ctx, party, id)
	return err
}

// change changes the instance.
func (w *walk) change(ctx context.Context, q request) error {
	if _, err := w.ask(ctx, q); err != nil {
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
	_, err := w.ask(ctx, request{as: as, method: "GET", path: path, want: 200})
	return err
}

// fill stores what the pages are about, past the recorder: instances with two labels and one data element.
func (s *env) fill(ctx context.Context) ([]*instance.Instance, error) {
	begin := time.Date(2026, 1, 5, 8, 0, 0, 123456000, time.UTC)
	var all []*instance.Instance
	for n := range 2 * pageSize {
		at := begin.Add(time.Duration(n) * 61 * time.Second)
		id := func(what string) string { return nameUUID(fmt.Sprint(what, n)) }
		all = append(all, &instance.Instance{
			ID: id("instance"), AppID: app, InstanceOwnerID: fmt.Sprint(60000 + n), Labels: []string{"gr", "x2"}, PresentationField: "Arbeidsmelding 2026",
			CreatedDateTime: at, CreatedBy: "1001", LastChangedDateTime: at.Add(time.Hour), LastChangedBy: "1001",
			Workflow: instance.Workflow{CurrentStep: "Archived", IsCompleted: true}, Status: instance.Status{IsArchived: true}, StepEntered: at.Add(time.Hour), EventCount: 3, Version: 4,
			Data: []instance.DataElement{{
				ID: id("element"), FormID: "default", ContentType: "application/xml", FileName: "default.xml", CreatedDateTime: at, CreatedBy: "1001",
				LastChangedDateTime: at, LastChangedBy: "1001", FileSize: 2000 + int64(n), IsLocked: true, Revision: id("element"), // as blob.FirstKey has it
				SHA256: strings.ReplaceAll(id("one")+id("two"), "-", ""),
			}},
		})
	}
	return all, s.stored.Import(ctx, all)
}

// nameUUID returns the UUID version 5 of name in the nil namespace (RFC 9562, section 5.5), which is
// the same in every run.
func nameUUID(name string) string {
	sum := sha1.Sum(append(make([]byte, len(uuid.UUID{})), name...))
	id := uuid.UUID(sum[:16])
	id[6], id[8] = id[6]&0x0f|0x50, id[8]&0x3f|0x80 // version and variant
	return id.String()
}
