package model

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"altinn.no/instanceapi/tests/client"
)

func (r *run) putApplication() {
	id := draw(r, "application", r.apps...)
	c, a := r.owner(id), r.application(r.model.Applications[id])
	present := ""
	if current := r.model.Applications[id]; current != nil {
		present = current.ETag
	}
	r.register(c, id, a, present, r.match(present))
}

// register registers an application. present is its current ETag, or "" if it is not registered.
func (r *run) register(c Caller, id string, a Application, present, ifMatch string) {
	body, err := json.Marshal(a)
	if err != nil {
		r.Fatal(err)
	}
	g := r.send("put application", c, request{"PUT", "/storage/applications/" + id, "application/json", header("If-Match", ifMatch), body})
	want := r.model.PutApplication(c, id, a, ifMatch)
	r.check(g, want)
	if want.Rejections == nil {
		tag := g.header.Get("ETag")
		if tag == "" || (tag != present) != want.Changed {
			r.Errorf("the ETag is %q after %q", tag, present)
		}
		r.model.Applications[id].ETag = tag
		r.old = append(r.old, present)
		r.sameApplication(g, r.model.Applications[id])
	}
}

func (r *run) getApplication() {
	id := draw(r, "application", r.apps...)
	c := draw(r, "caller", r.callers...)
	g := r.send("get application", c, request{method: draw(r, "method", "GET", "HEAD"), path: "/storage/applications/" + id})
	a, want := r.model.GetApplication(c, id)
	r.check(g, want)
	if a != nil {
		r.sameApplication(g, a)
	}
}

// sameApplication compares a registration with the model's: the request with the defaults filled
// in.
func (r *run) sameApplication(g *got, a *Application) {
	if tag := g.header.Get("ETag"); tag != a.ETag {
		r.Errorf("ETag %s, want %s", tag, a.ETag)
	}
	if g.value == nil {
		return // of a HEAD
	}
	text, err := json.Marshal(a)
	if err != nil {
		r.Fatal(err)
	}
	want := map[string]any{}
	if err := json.Unmarshal(text, &want); err != nil {
		r.Fatal(err)
	}
	want["id"], want["org"] = a.ID, a.Org
	if is := dense(g.value); !reflect.DeepEqual(is, dense(want)) {
		r.Errorf("the application is\n%v\nwant\n%v", pretty(is), pretty(dense(want)))
	}
}

// dense removes the members of a JSON value that are false, 0, "", [] or {}.
func dense(value any) any {
	switch v := value.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, each := range v {
			if d := dense(each); d != nil {
				out[name] = d
			}
		}
		if len(out) > 0 {
			return out
		}
	case []any:
		out := []any{}
		for _, each := range v {
			out = append(out, dense(each))
		}
		if len(out) > 0 {
			return out
		}
	default:
		if v != nil && v != false && v != 0.0 && v != "" {
			return v
		}
	}
	return nil
}

func (r *run) draft(c Caller) Draft {
	d := Draft{Labels: r.labels(), Due: r.date("due"), Visible: r.date("visible"), Presentation: draw(r, "presentation", "", "Arbeidsmelding <1>", "12\u00a0500 kr 👩\u200d💻")}
	identities := c.Identities
	if c.Org != "" || len(identities) == 0 || r.chance(5, "another") {
		identities = r.people
	}
	own := draw(r, "reportee", identities...)
	switch draw(r, "named", "reportee", "reportee", "reportee", "reportee", "number", "both", "none") {
	case "reportee":
		d.Reportee = []Identity{own}
	case "number":
		d.Owner = "999999999"
		if party := r.model.Parties[own]; party != nil && party.Number != "" {
			d.Owner = party.Number
		}
	case "both":
		if r.chance(70, "no") {
			d.Reportee = []Identity{own}
			break
		}
		d.Reportee = []Identity{own, {"userName", "ola"}}
		if own.Kind == "userName" {
			d.Reportee[1] = r.people[0]
		}
	case "none":
		if r.chance(70, "no") {
			d.Reportee = []Identity{own}
		}
	}
	for n, id := range d.Reportee {
		if id.Kind == "userName" && r.chance(30, "capitals") {
			d.Reportee[n].Value = strings.ToUpper(id.Value)
		}
	}
	for range draw(r, "data", 0, 0, 1, 1, 2) {
		d.Data = append(d.Data, r.blob())
	}
	return d
}

// encode returns a draft as JSON, with or without its data.
func (d Draft) encode(inline bool) []byte {
	body := map[string]any{}
	if len(d.Reportee) > 0 {
		reportee := map[string]string{}
		for _, id := range d.Reportee {
			reportee[id.Kind] = id.Value
		}
		body["reportee"] = reportee
	}
	if d.Owner != "" {
		body["instanceOwnerId"] = d.Owner
	}
	if d.Labels != nil {
		body["labels"] = d.Labels
	}
	if d.Due != nil {
		body["dueDateTime"] = d.Due
	}
	if d.Visible != nil {
		body["visibleDateTime"] = d.Visible
	}
	if d.Presentation != "" {
		body["presentationField"] = d.Presentation
	}
	if inline && len(d.Data) > 0 {
		data := []map[string]string{}
		for _, b := range d.Data {
			each := map[string]string{"formId": b.FormID, "contentType": b.ContentType, "content": base64.StdEncoding.EncodeToString(b.Bytes)}
			if b.FileName != "" {
				each["fileName"] = b.FileName
			}
			data = append(data, each)
		}
		body["data"] = data
	}
	text, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return text
}

// form returns a draft as multipart/form-data.
func (d Draft) form() (contentType string, body []byte) {
	parts := []client.Part{{Disposition: `name="instance"`, Type: "application/json", Body: d.encode(false)}}
	for _, each := range d.Data {
		disposition := fmt.Sprintf("name=%q", each.FormID)
		if each.FileName != "" {
			disposition += fmt.Sprintf("; filename=%q", each.FileName)
		}
		parts = append(parts, client.Part{Disposition: disposition, Type: each.ContentType, Body: each.Bytes})
	}
	return client.Form(parts...)
}

// registered draws an application, which is rarely one that is not registered.
func (r *run) registered() string {
	app := draw(r, "application", r.apps...)
	if r.model.Applications[app] == nil && !r.chance(10, "unregistered") {
		for _, each := range r.apps {
			if r.model.Applications[each] != nil {
				app = each
			}
		}
	}
	return app
}

func (r *run) create() {
	app, c := r.registered(), r.caller(nil)
	if c.Org != "" && !r.chance(5, "not its own") {
		c = r.owner(app)
	}
	d := r.draft(c)
	q := request{method: "POST", path: "/" + app + "/instances", contentType: "application/json", header: map[string]string{}, body: d.encode(true)}
	inForm := r.chance(30, "as a form")
	if inForm {
		q.contentType, q.body = d.form()
	}
	r.sendIdempotent("create", c, both, q, fmt.Sprint(inForm, string(d.encode(true))), func(seen Seen) Response {
		d.UnderKey = q.header["Idempotency-Key"] != ""
		return r.model.Create(c, app, d, seen)
	})
}

// createMany creates up to three instances with one request. Few keys exist, so it often repeats an
// item or uses its key for another one.
func (r *run) createMany() {
	app := r.registered()
	c := r.owner(app)
	keys := []string{"a", "b", "c", "d"}
	first := rapid.IntRange(0, len(keys)-1).Draw(r.T, "first key")
	var drafts []Draft
	var items []map[string]any
	for n := range draw(r, "items", 1, 2, 3) {
		d := r.draft(c)
		item := map[string]any{}
		if err := json.Unmarshal(d.encode(true), &item); err != nil {
			r.Fatal(err)
		}
		item["key"] = keys[(first+n)%len(keys)]
		drafts, items = append(drafts, d), append(items, item)
	}
	body, err := json.Marshal(map[string]any{"items": items})
	if err != nil {
		r.Fatal(err)
	}
	g := r.send("create many", c, request{method: "POST", path: "/" + app + "/batch", contentType: "application/json", body: body})
	rejections := authorize(c, owners, true)
	if a := r.model.Applications[app]; rejections == nil && (a == nil || a.Org != c.Org) {
		rejections = Rejections{{404, "not-found"}}
	}
	if rejections != nil {
		r.check(g, Response{Rejections: rejections})
		return
	}
	results, _ := g.object()["results"].([]any)
	if g.status != http.StatusOK || len(results) != len(drafts) {
		r.Fatalf("status %d with %d results, want %d\n%s", g.status, len(results), len(drafts), g.body)
	}
	for n, each := range results {
		r.checkItem(c, app, items[n]["key"].(string), drafts[n], each.(map[string]any))
	}
}

// checkItem compares the result of an item with the model's, and the instance that it has made.
func (r *run) checkItem(c Caller, app, key string, d Draft, result map[string]any) {
	r.Helper()
	status, _ := result["status"].(float64)
	location, _ := result["location"].(string)
	var made *got
	want := r.model.Idempotent(c, owners, "batch "+app+" "+key, string(d.encode(true)), func() Response {
		var seen Seen
		if status == http.StatusCreated {
			reader := r.callers[0]
			if c.Org != reader.Org {
				reader = r.callers[5]
			}
			made = r.send("get", reader, request{method: "GET", path: strings.TrimPrefix(location, system.BaseURL)})
			seen = r.seen(made)
		}
		return r.model.Create(c, app, d, seen)
	})
	problem, _ := result["problem"].(map[string]any)
	code, _ := problem["code"].(string)
	if result["key"] != key {
		r.Errorf("the result of %s is %v", key, result)
	}
	if want.Rejections != nil {
		if !want.Rejections.Allow(int(status), code) {
			r.Fatalf("the result of %s is %v, want one of %v", key, result, want.Rejections)
		}
		return
	}
	i := want.Instance
	if int(status) != want.Status || result["id"] != i.ID || result["instanceOwnerId"] != i.Owner || result["etag"] != i.ETag() || location != want.Location {
		r.Fatalf("the result of %s is %v, want %d with %s and %s", key, result, want.Status, want.Location, i.ETag())
	}
	if made != nil {
		r.sameInstance(made.value, i, made.caller, r.model.Document)
	}
}

// sendIdempotent sends a POST, with or without an Idempotency-Key, and compares the response with
// respond's.
func (r *run) sendIdempotent(op string, c Caller, kind callerKind, q request, fingerprint string, respond func(Seen) Response) *got {
	key := ""
	if r.chance(40, "under a key") {
		key = draw(r, "key", "k1", "k2", "k3", q.path)
		if q.header == nil {
			q.header = map[string]string{}
		}
		q.header["Idempotency-Key"] = key
		fingerprint += " " + q.path
		if op == "announce upload" { // the keys of uploads are separate
			key = "upload " + key
		}
	}
	g := r.send(op, c, q)
	want := r.model.Idempotent(c, kind, key, fingerprint, func() Response { return respond(r.seen(g)) })
	r.check(g, want)
	if want.Again != nil && g.object()["id"] != want.Again.Upload.ID { // the same upload, signed again
		r.Errorf("the repeated request gets the upload %v, want %s", g.object()["id"], want.Again.Upload.ID)
	}
	return g
}

func (r *run) get() {
	i := r.instance()
	c, p := r.caller(i), r.path(i)
	switch draw(r, "path", "apps", "storage", "id") {
	case "storage":
		p.App = ""
	case "id":
		p.App, p.Owner = "", ""
	}
	method, tag := draw(r, "method", "GET", "GET", "HEAD"), draw(r, "If-None-Match", "", "", `"other"`, i.ETag())
	g := r.send("get", c, request{method: method, path: p.String(), header: header("If-None-Match", tag)})
	want := r.model.Get(c, p)
	if want.Rejections == nil && tag == want.Instance.ETag() {
		want = Response{Status: 304}
	} else if method == "HEAD" && want.Rejections == nil {
		if g.header.Get("ETag") != want.Instance.ETag() {
			r.Errorf("HEAD has the ETag %s", g.header.Get("ETag"))
		}
		want = Response{Status: 200}
	}
	r.check(g, want)
}

// lookUp looks a party up, by an identity of the caller or of another party.
func (r *run) lookUp() {
	c := draw(r, "caller", r.callers...)
	id := draw(r, "reportee", r.people...)
	if len(c.Identities) > 0 && r.chance(50, "own") {
		id = draw(r, "own reportee", c.Identities...)
	}
	if id.Kind == "userName" && r.chance(30, "capitals") {
		id.Value = strings.ToUpper(id.Value)
	}
	body := []byte(fmt.Sprintf(`{"reportee":{%q:%q}}`, id.Kind, id.Value))
	g := r.send("look up a party", c, request{method: "POST", path: "/storage/parties/lookup", contentType: "application/json", body: body})
	p, rejections := r.model.LookUp(c, id)
	r.check(g, Response{Rejections: rejections, Status: 200})
	if rejections != nil {
		return
	}
	number, _ := g.object()["instanceOwnerId"].(string)
	if len(g.object()) != 1 || number == "" || p.Number != "" && number != p.Number {
		r.Errorf("the party %q has the number %s: %s", p.Number, number, g.body)
	}
	p.Number = number
}

func (r *run) update() {
	i := r.instance()
	c, at := r.owner(i.App()), r.path(i)
	p, body := r.patch()
	text, err := json.Marshal(body)
	if err != nil {
		r.Fatal(err)
	}
	ifMatch := r.match(i.ETag())
	q := request{"PATCH", at.String(), draw(r, "type", "application/merge-patch+json", "application/json"), header("If-Match", ifMatch), text}
	r.check(r.send("update", c, q), r.model.Update(c, at, p, ifMatch))
}

// patch draws a merge patch, and its body.
func (r *run) patch() (p Patch, body map[string]any) {
	body = map[string]any{}
	for _, name := range []string{"labels", "dueDateTime", "visibleDateTime", "presentationField"} {
		how := draw(r, name, "absent", "set", "set", "null")
		if how == "null" {
			body[name] = nil
			if strings.HasSuffix(name, "DateTime") && draw(r, "none", "null", "empty") == "empty" {
				body[name] = ""
			}
			p.Null = append(p.Null, name)
		}
		if how != "set" {
			continue
		}
		switch name {
		case "labels":
			labels := append([]string{}, r.labels()...)
			p.Labels, body[name] = &labels, labels
		case "presentationField":
			text := draw(r, "text", "Ny", "Arbeidsmelding <1>", "x2")
			p.Presentation, body[name] = &text, text
		default:
			if t := r.date(name); t != nil {
				body[name] = t
				if name == "dueDateTime" {
					p.Due = t
				} else {
					p.Visible = t
				}
			}
		}
	}
	return p, body
}

func (r *run) remove() {
	i := r.instance()
	c, p, ifMatch, hard := r.caller(i), r.path(i), r.match(i.ETag()), r.chance(15, "permanently")
	q := request{method: "DELETE", path: p.String(), header: header("If-Match", ifMatch)}
	if hard {
		q.path += "?hard=true"
	}
	r.check(r.send("delete", c, q), r.model.Delete(c, p, hard, ifMatch))
}

func (r *run) undelete() {
	i := r.instance()
	for _, each := range r.model.Instances {
		if each.Deleted && !each.Gone {
			i = each
		}
	}
	c, p := r.caller(i), r.path(i)
	r.sendIdempotent("undelete", c, both, request{method: "POST", path: p.String() + "/undelete"}, "", func(Seen) Response { return r.model.Undelete(c, p, "") })
}

func (r *run) setHold() {
	i := r.instance()
	c, p, ifMatch := r.owner(i.App()), r.path(i), r.match(i.ETag())
	p.App = ""
	reason := draw(r, "reason", "Tvist", "Klage på vedtak", "Tvist", "", strings.Repeat("å", 200), strings.Repeat("å", 201))
	body := map[string]any{"reason": reason}
	var until *time.Time
	if r.chance(40, "until") {
		at := time.Date(draw(r, "year", 2099, 2099, 2098, 2026), 6, 1, 12, 0, 0, 0, time.UTC)
		if r.chance(30, "soon") {
			at = r.soon(0)
		}
		until, body["until"] = &at, at
	}
	text, err := json.Marshal(body)
	if err != nil {
		r.Fatal(err)
	}
	q := request{"PUT", p.String() + "/legalHold", "application/json", header("If-Match", ifMatch), text}
	r.check(r.send("set legal hold", c, q), r.model.SetHold(c, p, reason, until, ifMatch))
}

func (r *run) liftHold() {
	i := r.instance()
	for _, each := range r.model.Instances {
		if each.Hold != nil && !each.Gone {
			i = each
		}
	}
	c, p, ifMatch := r.owner(i.App()), r.path(i), r.match(i.ETag())
	p.App = ""
	q := request{method: "DELETE", path: p.String() + "/legalHold", header: header("If-Match", ifMatch)}
	r.check(r.send("lift legal hold", c, q), r.model.LiftHold(c, p, ifMatch))
}

func (r *run) getWorkflow() {
	i := r.instance()
	c, p := r.caller(i), r.path(i)
	g := r.send("get workflow", c, request{method: "GET", path: p.String() + "/workflow"})
	want := r.model.GetWorkflow(c, p)
	r.check(g, want)
	if want.Steps == nil {
		return
	}
	is := g.object()
	reachable := []string{}
	list, _ := is["reachable"].([]any)
	for _, each := range list {
		reachable = append(reachable, fmt.Sprint(each))
	}
	slices.Sort(reachable)
	slices.Sort(want.Steps.Reachable)
	if is["currentStep"] != want.Steps.Current || is["isCompleted"] != want.Steps.Completed || is["since"] != stamp(want.Steps.Since) || !slices.Equal(reachable, want.Steps.Reachable) {
		r.Errorf("the workflow is %s, want %+v", g.body, want.Steps)
	}
	for _, name := range []string{"readStatus", "reason", "substatus", "submittedDateTime", "dueDateTime", "needReason"} {
		if !equal(is[name], want.Steps.Members[name]) {
			r.Errorf("%s is %v, want %v", name, is[name], want.Steps.Members[name])
		}
	}
	at, _ := is["deleteAfter"].(string)
	if deleteAfter := want.Steps.DeleteAfter; !want.Steps.Restored && at != stamp(deleteAfter) || want.Steps.Restored && (at < stamp(deleteAfter) || at > stamp(deleteAfter.Add(time.Minute))) {
		r.Errorf("deleteAfter is %q, want %v", at, deleteAfter)
	}
}

func (r *run) change() {
	i := r.instance()
	c, p, ifMatch := r.caller(i), r.path(i), r.match(i.ETag())
	to := draw(r, "step", "Submit", "Archived", "FormFilling", "Signering", "Utfylling", "Ferdig", "Sbumit")
	if next := i.app.Workflow.reachable(i.Step, c); len(next) > 0 && r.chance(60, "reachable") {
		to = draw(r, "step", next...)
	}
	reason := r.reason()
	q := request{"PUT", p.String() + "/workflow", "application/json", header("If-Match", ifMatch), []byte(fmt.Sprintf(`{"currentStep":%q,"reason":%q}`, to, reason))}
	g := r.send("change workflow", c, q)
	r.check(g, r.model.Change(c, p, to, reason, ifMatch, r.seen(g)))
}

// reason returns the reason of a transition.
func (r *run) reason() string {
	return draw(r, "reason", "", "Feltet mangler", "", " ", strings.Repeat("å", 1000), strings.Repeat("å", 1001))
}

func (r *run) setSubstatus() {
	i := r.instance()
	c, p, ifMatch := r.owner(i.App()), r.path(i), r.match(i.ETag())
	label, description := draw(r, "label", "Mottatt", "Under behandling", "", " ", strings.Repeat("å", 65)), draw(r, "description", "", "Svar innen fire uker", strings.Repeat("å", 1001))
	q := request{"PUT", p.String() + "/substatus", "application/json", header("If-Match", ifMatch), []byte(fmt.Sprintf(`{"label":%q,"description":%q}`, label, description))}
	r.check(r.send("set substatus", c, q), r.model.SetSubstatus(c, p, label, description, ifMatch))
}

func (r *run) clearSubstatus() {
	i := r.instance()
	for _, each := range r.model.Instances {
		if each.Substatus != nil && !each.Gone {
			i = each
		}
	}
	c, p, ifMatch := r.owner(i.App()), r.path(i), r.match(i.ETag())
	q := request{method: "DELETE", path: p.String() + "/substatus", header: header("If-Match", ifMatch)}
	r.check(r.send("clear substatus", c, q), r.model.ClearSubstatus(c, p, ifMatch))
}

func (r *run) setReadStatus() {
	i := r.instance()
	c, p, ifMatch := r.caller(i), r.path(i), r.match(i.ETag())
	status := draw(r, "status", "Read", "Unread", "Read", "UpdatedSinceLastReview", "")
	q := request{"PUT", p.String() + "/readStatus", "application/json", header("If-Match", ifMatch), []byte(fmt.Sprintf(`{"readStatus":%q}`, status))}
	r.check(r.send("set read status", c, q), r.model.SetReadStatus(c, p, status, ifMatch))
}

func (r *run) validate() {
	i := r.instance()
	c, p := r.caller(i), r.path(i)
	if r.chance(40, "one element") {
		p, _ = r.element(i, p)
	}
	g := r.send("validate", c, request{method: "GET", path: p.String() + "/validate"})
	want := r.model.Validate(c, p)
	r.check(g, want)
	if want.Rejections == nil {
		r.sameIssues(g, want.Issues)
	}
}
