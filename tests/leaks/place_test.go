package leaks

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
)

// request is one of a route that would be granted, before something is put in it.
type request struct {
	method, route string
	vars          map[string]string
	query         string
	header        http.Header
	body          []byte
}

// target is path and query as they are sent.
func (r *request) target() string {
	path := r.route
	for name, value := range r.vars {
		path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(value))
	}
	if r.query != "" {
		path += "?" + r.query
	}
	return path
}

// location is a place in the requests of a route where text can stand.
type location struct {
	name string
	own  bool // for the client's own text
	put  func(r *request, text string)
}

// places are all places of a route.
func places(route string, r row) (all []location) {
	add := func(name string, put func(r *request, text string)) {
		all = append(all, location{name, slices.Contains(r.own, name), put})
	}
	for _, segment := range strings.Split(route, "/") {
		if name, ok := strings.CutPrefix(segment, "{"); ok {
			name = strings.TrimSuffix(name, "}")
			add("path "+name, func(r *request, text string) { r.vars[name] = text })
		}
	}
	query := func(r *request, text string) { r.query = strings.Trim(r.query+"&"+text, "&") }
	for _, name := range append(r.params, "access_token", "ssn") {
		add("query "+name, func(r *request, text string) { query(r, name+"="+url.QueryEscape(text)) })
	}
	add("name of a query parameter", func(r *request, text string) { query(r, url.QueryEscape(text)+"=1") })
	add("query that cannot be read", func(r *request, text string) { query(r, "%zz="+url.QueryEscape(text)) })
	for _, name := range headers {
		add("header "+name, func(r *request, text string) { r.header.Set(name, text) })
	}
	add("bearer", func(r *request, text string) { r.header.Set("Authorization", "Bearer "+text) })
	add("name of a header", func(r *request, text string) { r.header.Set("X-"+strings.Map(tokenRune, text), "1") })
	add("parameter of Content-Type", func(r *request, text string) {
		r.header.Set("Content-Type", r.header.Get("Content-Type")+"; x="+fmt.Sprintf("%q", text))
	})
	if r.body == nil || r.kind == "text/plain" {
		add("body that should be none, or is data", func(r *request, text string) { r.body = []byte(text) })
	}
	if r.kind == "text/plain" {
		add("file name", func(r *request, text string) {
			r.header.Set("Content-Disposition", "attachment; filename*=UTF-8''"+url.PathEscape(text))
		})
		add("name in Content-Disposition", func(r *request, text string) {
			r.header.Set("Content-Disposition", fmt.Sprintf("form-data; name=%q", text))
		})
	}
	if _, ok := r.body.(map[string]any); ok {
		all = append(all, inJSON(r)...)
	}
	if route == app {
		all = append(all, inForm(r)...)
	}
	return all
}

// tokenRune keeps what a header's name may have.
func tokenRune(r rune) rune {
	if r == ' ' || r == '=' || r == '&' {
		return '-'
	}
	return r
}

// inJSON are the places in a JSON body: every value, every name, one that is not known, and where it stops being JSON.
func inJSON(r row) (all []location) {
	add := func(name string, change func(body map[string]any, text string)) {
		all = append(all, location{name, slices.Contains(r.own, name), func(q *request, text string) {
			var body map[string]any
			if err := json.Unmarshal(q.body, &body); err != nil {
				panic(err)
			}
			change(body, text)
			q.body = encode(body)
		}})
	}
	var walk func(at string, value any, set func(body map[string]any, to any))
	walk = func(at string, value any, set func(body map[string]any, to any)) {
		switch v := value.(type) {
		case map[string]any:
			for name, each := range v {
				walk(at+"/"+name, each, func(body map[string]any, to any) { find(body, at).(map[string]any)[name] = to })
				add("name of "+at+"/"+name, func(body map[string]any, text string) {
					parent := find(body, at).(map[string]any)
					parent[text] = parent[name]
					delete(parent, name)
				})
			}
			add("unknown member of "+at, func(body map[string]any, text string) { find(body, at).(map[string]any)["unknown"] = text })
		case []any:
			for n, each := range v {
				walk(fmt.Sprintf("%s/%d", at, n), each, func(body map[string]any, to any) { find(body, at).([]any)[n] = to })
			}
		}
		if at != "" {
			add(at, func(body map[string]any, text string) { set(body, text) })
			add("a list in "+at, func(body map[string]any, text string) { set(body, []any{[]any{text}}) })
		}
	}
	walk("", r.body, nil)
	broken := func(name, before, after string) {
		all = append(all, location{name, false, func(q *request, text string) { q.body = []byte(before + text + after) }})
	}
	broken("JSON that ends", `{"labels":["`, "")
	broken("what is no JSON", "", "")
	broken("JSON twice", `{}{"a":"`, `"}`)
	broken("a member twice", `{"labels":[],"labels":["`, `"]}`)
	broken("a number", `{"labels":`, `}`)
	return all
}

// find returns what a JSON Pointer names.
func find(value any, pointer string) any {
	for _, name := range strings.Split(strings.TrimPrefix(pointer, "/"), "/") {
		switch v := value.(type) {
		case map[string]any:
			if pointer != "" {
				value = v[name]
			}
		case []any:
			var n int
			if _, err := fmt.Sscan(name, &n); err != nil {
				panic(err)
			}
			value = v[n]
		}
	}
	return value
}

func encode(body any) []byte {
	text, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return text
}

// inForm are the places in a multipart body.
func inForm(r row) (all []location) {
	form := func(q *request, parts ...[3]string) { // disposition, type, content
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		for _, p := range parts {
			part, err := w.CreatePart(textproto.MIMEHeader{"Content-Disposition": {p[0]}, "Content-Type": {p[1]}})
			if err == nil {
				_, err = part.Write([]byte(p[2]))
			}
			if err != nil {
				panic(err)
			}
		}
		_ = w.Close()
		q.body = b.Bytes()
		q.header.Set("Content-Type", w.FormDataContentType())
	}
	document := [3]string{`form-data; name="instance"`, jsonType, `{"reportee":{"ssn":"` + person + `"}}`}
	add := func(name string, own bool, put func(q *request, text string)) {
		all = append(all, location{"form: " + name, own, put})
	}
	add("name of a part", false, func(q *request, text string) {
		form(q, document, [3]string{fmt.Sprintf("form-data; name=%q", text), "text/plain", "a"})
	})
	add("file name", true, func(q *request, text string) {
		form(q, document, [3]string{fmt.Sprintf(`form-data; name="a"; filename=%q`, text), "text/plain", "a"})
	})
	add("type of a part", false, func(q *request, text string) { form(q, document, [3]string{`form-data; name="a"`, text, "a"}) })
	add("content of a part", false, func(q *request, text string) { form(q, document, [3]string{`form-data; name="a"`, "text/plain", text}) })
	add("document", false, func(q *request, text string) {
		form(q, [3]string{document[0], jsonType, `{"reportee":{"ssn":"` + text})
	})
	add("reportee", false, func(q *request, text string) {
		form(q, [3]string{document[0], jsonType, `{"reportee":{"ssn":"` + text + `"}}`})
	})
	add("boundary", false, func(q *request, text string) {
		q.header.Set("Content-Type", `multipart/form-data; boundary="`+text+`"`)
		q.body = []byte("--" + text + "\r\n\r\n--" + text + "--")
	})
	return all
}
