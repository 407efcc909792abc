package model

import (
	"encoding/json"
	"fmt"
	"net/url"

	"altinn.no/instanceapi/tests/client"
)

// applyChanges sends several changes of an instance in one request. An element occurs once, because
// another request would be invalid.
func (r *run) applyChanges() {
	i := r.instance()
	c, p := r.caller(i), r.path(i)
	var changes Changes
	body := map[string]any{}
	operations := []map[string]any{}
	var parts []client.Part
	used := map[string]bool{}
	for n := range draw(r, "operations", 1, 2, 3, 0, 6) {
		o := Operation{Op: draw(r, "op", "add", "replace", "delete"), Blob: r.blob()}
		sent := map[string]any{"op": o.Op}
		if o.Op != "add" {
			at, e := r.element(i, p)
			if used[at.Data] {
				continue
			}
			o.ID, o.Tag, used[at.Data], sent["id"] = at.Data, r.tags[e], true, at.Data
			if o.IfMatch = r.match(o.Tag); o.IfMatch != "" {
				sent["ifMatch"] = o.IfMatch
			}
		} else {
			sent["formId"] = o.Blob.FormID
		}
		if o.Op != "delete" {
			name := fmt.Sprint("part ", n)
			disposition := fmt.Sprintf("name=%q", name)
			if o.Blob.FileName != "" {
				disposition += "; filename*=UTF-8''" + url.PathEscape(o.Blob.FileName)
			}
			parts = append(parts, client.Part{Disposition: disposition, Type: o.Blob.ContentType, Body: o.Blob.Bytes})
			sent["part"] = name
		}
		changes.Data, operations = append(changes.Data, o), append(operations, sent)
	}
	body["data"] = operations
	if r.chance(20, "metadata") {
		patch, members := r.patch()
		changes.Metadata, body["metadata"] = &patch, members
	}
	if r.chance(40, "a step") {
		changes.Step = draw(r, "step", "Submit", "Archived", "FormFilling", "Sbumit")
		changes.Reason = r.reason()
		body["workflow"] = map[string]any{"currentStep": changes.Step, "reason": changes.Reason}
	}
	text, err := json.Marshal(body)
	if err != nil {
		r.Fatal(err)
	}
	q := request{method: "POST", path: p.String() + "/changes", contentType: "application/json", body: text}
	if len(parts) > 0 || r.chance(20, "as a form") {
		parts = append(parts, client.Part{Disposition: "name=changes", Type: "application/json", Body: text})
		q.contentType, q.body = client.Form(parts...)
	}
	applied := func(want Response) {
		for _, o := range changes.Data {
			if want.Rejections == nil && o.Tag != "" {
				r.old = append(r.old, o.Tag)
			}
		}
		for e := range r.tags {
			if want.Rejections == nil && used[e.ID] {
				delete(r.tags, e)
			}
		}
	}
	if ifMatch := r.match(i.ETag()); ifMatch != "" { // without a key, as createData
		q.header = header("If-Match", ifMatch)
		g := r.send("apply changes", c, q)
		want := r.model.ApplyChanges(c, p, changes, ifMatch, r.seen(g))
		r.check(g, want)
		applied(want)
		return
	}
	r.sendIdempotent("apply changes", c, both, q, fmt.Sprint(q.contentType == "application/json", string(text), fmt.Sprint(changes.Data)), func(seen Seen) Response {
		want := r.model.ApplyChanges(c, p, changes, "", seen)
		applied(want)
		return want
	})
}
