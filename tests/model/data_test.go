package model

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

func disposition(name string) string {
	if name == "" {
		return ""
	}
	return "attachment; filename*=UTF-8''" + url.PathEscape(name)
}

func (r *run) createData() {
	i := r.instance()
	c, p, b := r.caller(i), r.path(i), r.blob()
	q := request{"POST", p.String() + "/data?formId=" + b.FormID, b.ContentType, header("Content-Disposition", disposition(b.FileName)), b.Bytes}
	if ifMatch := r.match(i.ETag()); ifMatch != "" { // without a key, because a repeated request would have a stale If-Match
		q.header["If-Match"] = ifMatch
		r.digest(&b, q.header)
		g := r.send("create data", c, q)
		r.check(g, r.model.CreateData(c, p, b, ifMatch, r.seen(g)))
		return
	}
	r.sendIdempotent("create data", c, both, q, fmt.Sprint(b), func(seen Seen) Response { return r.model.CreateData(c, p, b, "", seen) })
}

// digest adds a digest of the content to the headers, and rarely a wrong one.
func (r *run) digest(b *Blob, headers map[string]string) {
	if r.chance(70, "no digest") {
		return
	}
	content := b.Bytes
	if b.WrongDigest = r.chance(20, "wrong digest"); b.WrongDigest {
		content = append([]byte("x"), content...)
	}
	of256, of512, ofMD5 := sha256.Sum256(content), sha512.Sum512(content), md5.Sum(content)
	encode := base64.StdEncoding.EncodeToString
	switch name := draw(r, "digest", "Content-Digest", "Repr-Digest", "Content-MD5"); name {
	case "Content-MD5":
		headers[name] = encode(ofMD5[:])
	case "Content-Digest":
		headers[name] = "sha-256=:" + encode(of256[:]) + ":"
	default:
		headers[name] = "sha-512=:" + encode(of512[:]) + ":, sha=:x:"
	}
}

func (r *run) replaceData() {
	i := r.instance()
	p, e := r.element(i, r.path(i))
	c, b, tag := r.caller(i), r.blob(), r.tags[e]
	if e != nil && r.chance(70, "of the same kind") {
		b.ContentType, b.Bytes = e.ContentType, append([]byte(nil), e.Bytes...)
	}
	ifMatch := r.match(tag)
	headers := header("If-Match", ifMatch, "Content-Disposition", disposition(b.FileName))
	r.digest(&b, headers)
	if r.chance(4, "If-None-Match") { // names every version, as If-Match: "" names none
		headers["If-None-Match"], ifMatch = "*", `""`
	}
	g := r.send("replace data", c, request{"PUT", p.String(), b.ContentType, headers, b.Bytes})
	want := r.model.ReplaceData(c, p, b, ifMatch, tag, r.seen(g))
	r.check(g, want)
	if want.Rejections == nil && tag != "" {
		r.old = append(r.old, tag)
		delete(r.tags, e)
	}
}

func (r *run) deleteData() {
	i := r.instance()
	p, e := r.element(i, r.path(i))
	c, tag := r.caller(i), r.tags[e]
	ifMatch := r.match(tag)
	g := r.send("delete data", c, request{method: "DELETE", path: p.String(), header: header("If-Match", ifMatch)})
	r.check(g, r.model.DeleteData(c, p, ifMatch, tag, r.seen(g)))
}

func (r *run) getData() { r.fetch(r.instance(), draw(r, "on the Application API", false, true)) }

// fetch gets the content of an element, or a range of it.
func (r *run) fetch(i *Instance, onApps bool) {
	p, e := r.element(i, r.path(i))
	c := r.caller(i)
	if !onApps {
		p.App = ""
		if r.chance(60, "by the owner") {
			c = r.owner(i.App())
		}
	}
	q := request{method: draw(r, "method", "GET", "GET", "GET", "HEAD"), path: p.String(), header: map[string]string{}}
	f := Fetch{Head: q.method == "HEAD"}
	tag := r.tags[e]
	switch draw(r, "condition", "", "", "range", "not modified", "other") {
	case "range":
		f.From = draw(r, "from", 0, 1, 5, 1000)
		f.To = f.From + draw(r, "length", 1, 100)
		q.header["Range"] = fmt.Sprintf("bytes=%d-%d", f.From, f.To)
	case "not modified":
		if tag != "" {
			q.header["If-None-Match"], f.NotModified = `"other", `+tag, true
		}
	case "other":
		q.header["If-None-Match"] = `"other"`
	}
	g := r.send("get data", c, q)
	want := r.model.GetData(c, p, f)
	r.check(g, want)
	if want.Rejections != nil {
		return
	}
	is := g.header.Get("ETag")
	if is == "" || tag != "" && is != tag {
		r.Errorf("the content has the ETag %q, want %q", is, tag)
	}
	r.tags[e] = is
	if want.Bytes == nil {
		return
	}
	if kind := g.header.Get("Content-Type"); kind != e.ContentType {
		r.Errorf("the content type is %s, want %s", kind, e.ContentType)
	}
	sum := sha256.Sum256(e.Bytes)
	if digest := g.header.Get("Repr-Digest"); digest != "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":" {
		r.Errorf("the digest is %s", digest)
	}
	if named := g.header.Get("Content-Disposition"); !strings.HasPrefix(named, "attachment") || !strings.Contains(named, url.PathEscape(e.FileName)) && !strings.Contains(named, e.FileName) {
		r.Errorf("the file name is %s, want %s", named, e.FileName)
	}
	content := e.Bytes
	if want.Status == http.StatusPartialContent {
		to := min(f.To, len(content)-1)
		if text := fmt.Sprintf("bytes %d-%d/%d", f.From, to, len(content)); g.header.Get("Content-Range") != text {
			r.Errorf("the range is %s, want %s", g.header.Get("Content-Range"), text)
		}
		content = content[f.From : to+1]
	}
	if !f.Head && !bytes.Equal(g.body, content) {
		r.Errorf("the content is %q, want %q", g.body, content)
	}
}

// download fetches a data element as the owner of the application.
func (r *run) download() {
	var with []*Instance
	for _, i := range r.model.Instances {
		if !i.Gone && len(i.Data) > 0 {
			with = append(with, i)
		}
	}
	if len(with) == 0 {
		r.Skip("no data yet")
	}
	r.fetch(draw(r, "instance", with...), false)
}

func (r *run) confirm() {
	i := r.instance()
	c, p := r.owner(i.App()), r.path(i)
	if r.chance(50, "one element") {
		p, _ = r.element(i, p)
	}
	p.App = ""
	r.sendIdempotent("confirm", c, owners, request{method: "POST", path: p.String() + "/confirmDownload"}, "", func(Seen) Response { return r.model.Confirm(c, p, "") })
}

// confirmMany confirms several instances with one request.
func (r *run) confirmMany() {
	i := r.instance()
	c := r.owner(i.App())
	chosen := []*Instance{i}
	for _, other := range r.model.Instances {
		if other != i && len(chosen) < 4 && r.chance(40, "one more") {
			chosen = append(chosen, other)
		}
	}
	var paths []Path
	var ifMatch []string
	items := []map[string]any{}
	for _, each := range chosen {
		item := map[string]any{"instanceOwnerId": each.Owner, "id": each.ID}
		tag := r.match(each.ETag())
		if tag != "" {
			item["etag"] = tag
		}
		paths, ifMatch, items = append(paths, Path{Owner: each.Owner, ID: each.ID}), append(ifMatch, tag), append(items, item)
	}
	body, err := json.Marshal(map[string]any{"instances": items})
	if err != nil {
		r.Fatal(err)
	}
	g := r.send("confirm many", c, request{method: "POST", path: "/storage/confirmDownload", contentType: "application/json", body: body})
	if rejections := authorize(c, owners, true); rejections != nil {
		r.check(g, Response{Rejections: rejections})
		return
	}
	results, _ := g.object()["results"].([]any)
	if g.status != http.StatusOK || len(results) != len(paths) {
		r.Fatalf("status %d with %d results, want %d\n%s", g.status, len(results), len(paths), g.body)
	}
	for n, p := range paths {
		result, _ := results[n].(map[string]any)
		problem, _ := result["problem"].(map[string]any)
		want := r.model.Confirm(c, p, ifMatch[n])
		status, _ := result["status"].(float64)
		code, _ := problem["code"].(string)
		switch {
		case result["id"] != p.ID || result["instanceOwnerId"] != p.Owner:
			r.Errorf("result %d is of another instance: %v", n, result)
		case want.Rejections != nil && !want.Rejections.Allow(int(status), code):
			r.Errorf("result %d is %v, want one of %v", n, result, want.Rejections)
		case want.Rejections == nil && (status != http.StatusOK || result["etag"] != want.Instance.ETag()):
			r.Errorf("result %d is %v, want the ETag %s", n, result, want.Instance.ETag())
		case want.Rejections == nil && want.Changed:
			r.old = append(r.old, fmt.Sprintf(`"%d"`, want.Instance.Version-1))
		}
	}
}

func (r *run) announce() {
	i := r.instance()
	c, p, b := r.caller(i), r.path(i), r.blob()
	if r.chance(5, "without a formId") {
		b.FormID = ""
	}
	sum := sha256.Sum256(b.Bytes)
	announcement := map[string]any{"contentType": b.ContentType, "size": len(b.Bytes), "sha256": hex.EncodeToString(sum[:])}
	if b.FileName != "" {
		announcement["fileName"] = b.FileName
	}
	body, err := json.Marshal(announcement)
	if err != nil {
		r.Fatal(err)
	}
	q := request{method: "POST", path: p.String() + "/uploads", contentType: "application/json", body: body}
	if b.FormID != "" {
		q.path += "?formId=" + b.FormID
		if r.chance(30, "to replace an element") {
			p, _ = r.element(i, p)
			q.path += "&dataGuid=" + p.Data
		}
	}
	g := r.sendIdempotent("announce upload", c, both, q, string(body), func(seen Seen) Response { return r.model.Announce(c, p, b, "", seen) })
	if g.status != http.StatusCreated || r.chance(20, "never sent") {
		return
	}
	for _, u := range i.Uploads {
		if u.ID == r.seen(g).ID {
			r.put(g.object(), u)
		}
	}
}

// put sends the content of an upload as the response states. A second put must fail.
func (r *run) put(upload map[string]any, u *Upload) {
	if expires, err := time.Parse(time.RFC3339Nano, fmt.Sprint(upload["expires"])); err != nil || time.Until(expires) < time.Minute || time.Until(expires) > time.Hour {
		r.Errorf("the address expires at %v", upload["expires"])
	}
	q := request{method: fmt.Sprint(upload["method"]), path: fmt.Sprint(upload["url"]), header: map[string]string{}, body: u.Blob.Bytes}
	headers, _ := upload["headers"].(map[string]any)
	for name, value := range headers {
		q.header[name] = fmt.Sprint(value)
	}
	g, err := exchange(r.Context(), "", q)
	if err != nil {
		r.Fatal(err)
	}
	r.lines = append(r.lines, fmt.Sprintf("PUT the content of %s → %d", u.ID, g.status))
	if want := map[bool]int{false: 200, true: 412}[u.Sent]; g.status != want {
		r.Fatalf("the store responds %d, want %d: %s", g.status, want, g.body)
	}
	u.Sent = true
}

func (r *run) commit() {
	var with []*Instance
	for _, i := range r.model.Instances {
		if !i.Gone && len(i.Uploads) > 0 {
			with = append(with, i)
		}
	}
	if len(with) == 0 {
		r.Skip("no upload yet")
	}
	i := draw(r, "instance", with...)
	u := draw(r, "upload", i.Uploads...)
	c, p, formID := r.caller(i), r.path(i), u.Blob.FormID
	if r.chance(50, "as a replacement") {
		r.commitAsReplacement(c, i, p, u)
		return
	}
	if r.chance(10, "another formId") {
		formID = draw(r, "formId", "attachment", "default", "other")
	}
	if r.chance(5, "of another instance") {
		p = draw(r, "elsewhere", r.model.Instances...).At()
	}
	q := request{method: "POST", path: p.String() + "/data?formId=" + formID + "&upload=" + u.ID}
	g := r.send("commit upload", c, q)
	want := r.model.Commit(c, p, u.ID, formID, r.seen(g))
	r.check(g, want)
}

// commitAsReplacement replaces the content of an element by an upload.
func (r *run) commitAsReplacement(c Caller, i *Instance, p Path, u *Upload) {
	p, e := r.element(i, p)
	tag := r.tags[e]
	ifMatch := r.match(tag)
	g := r.send("commit upload", c, request{method: "PUT", path: p.String() + "?upload=" + u.ID, header: header("If-Match", ifMatch)})
	want := r.model.CommitAsReplacement(c, p, u.ID, ifMatch, tag, r.seen(g))
	r.check(g, want)
	if want.Changed && tag != "" {
		r.old = append(r.old, tag)
		delete(r.tags, e)
	}
}
