package leaks

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"altinn.no/instanceapi/tests/client"
	"altinn.no/instanceapi/tests/routes"
)

// request is a request to a route before the marker is put into it.
type request struct {
	method, path string // path with variables
	values       map[string]string
	query        string
	header       http.Header
	body         string
}

// build returns the request to send.
func (r *request) build() client.Request {
	out := client.Request{Method: r.method, Path: routes.Fill(r.path, r.values, url.PathEscape), Header: r.header, Body: routes.Fill(r.body, nil, nil)}
	if r.query != "" {
		out.Path += "?" + r.query
	}
	return out
}

// location is a location in the requests of a route that can contain text.
type location struct {
	name       string
	clientText bool // see marker
	put        func(r *request, text string)
}

// locations returns all locations in the requests of a route. body is the route's body, with its
// variables filled in.
func locations(route routes.Route, body string) (all []location) {
	add := func(name string, put func(r *request, text string)) {
		all = append(all, location{name, slices.Contains(clientText[route.String()], name), put})
	}
	for _, segment := range strings.Split(route.Path, "/") {
		if name, ok := strings.CutPrefix(segment, "{"); ok {
			name = strings.TrimSuffix(name, "}")
			add("path "+name, func(r *request, text string) { r.values[name] = text })
		}
	}
	query := func(r *request, text string) { r.query = strings.Trim(r.query+"&"+text, "&") }
	for _, name := range append(slices.Clone(route.Parameters), "access_token", "ssn") {
		add("query "+name, func(r *request, text string) { query(r, name+"="+url.QueryEscape(text)) })
	}
	add("name of a query parameter", func(r *request, text string) { query(r, url.QueryEscape(text)+"=1") })
	add("invalid query", func(r *request, text string) { query(r, "%zz="+url.QueryEscape(text)) })
	for _, name := range headers {
		add("header "+name, func(r *request, text string) { r.header.Set(name, text) })
	}
	add("bearer", func(r *request, text string) { r.header.Set("Authorization", "Bearer "+text) })
	add("name of a header", func(r *request, text string) { r.header.Set("X-"+strings.Map(tokenRune, text), "1") })
	add("parameter of Content-Type", func(r *request, text string) {
		r.header.Set("Content-Type", r.header.Get("Content-Type")+"; x="+fmt.Sprintf("%q", text))
	})
	if body == "" || route.Type == "text/plain" {
		add("content, or unexpected body", func(r *request, text string) { r.body = text })
	}
	if route.Type == "text/plain" {
		add("file name", func(r *request, text string) {
			r.header.Set("Content-Disposition", "attachment; filename*=UTF-8''"+url.PathEscape(text))
		})
		add("name in Content-Disposition", func(r *request, text string) {
			r.header.Set("Content-Disposition", fmt.Sprintf("form-data; name=%q", text))
		})
	}
	if strings.HasPrefix(body, "{") {
		all = append(all, inJSON(body, clientText[route.String()])...)
	}
	switch route.Path {
	case appsInstances:
		all = append(all, inForm("instance", `{"reportee":{"ssn":"`+person+`"}}`)...)
		all = append(all, location{"form: reportee", false, func(q *request, text string) {
			q.setForm(documentPart("instance", `{"reportee":{"ssn":"`+text+`"}}`))
		}})
	case appsInstance + "/changes":
		all = append(all, inForm("changes", `{"data":[{"op":"add","formId":"a","part":"a"}]}`)...)
		const document = `{"workflow":{"currentStep":"Submit","reason":"Ferdig"}}`
		for _, l := range inJSON(document, clientText[route.String()]) {
			all = append(all, location{l.name, l.clientText, func(q *request, text string) {
				q.header.Set("Content-Type", jsonType)
				q.body = document
				l.put(q, text)
			}})
		}
	}
	return all
}

// tokenRune replaces characters that a header name cannot contain.
func tokenRune(r rune) rune {
	if r == ' ' || r == '=' || r == '&' {
		return '-'
	}
	return r
}

// inJSON returns the locations in a JSON body: every value, every name, an unknown member of every
// object, and syntax errors.
func inJSON(document string, clientText []string) (all []location) {
	add := func(name string, change func(body map[string]any, text string)) {
		all = append(all, location{name, slices.Contains(clientText, name), func(q *request, text string) {
			body := decode(q.body)
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
	walk("", decode(document), nil)
	broken := func(name, before, after string) {
		all = append(all, location{name, false, func(q *request, text string) { q.body = before + text + after }})
	}
	broken("truncated JSON", `{"labels":["`, "")
	broken("no JSON", "", "")
	broken("two documents", `{}{"a":"`, `"}`)
	broken("a member twice", `{"labels":[],"labels":["`, `"]}`)
	broken("a number", `{"labels":`, `}`)
	return all
}

// find returns the value at a JSON Pointer.
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

func encode(body any) string {
	text, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func decode(text string) (body map[string]any) {
	if err := json.Unmarshal([]byte(text), &body); err != nil {
		panic(err)
	}
	return body
}

// setForm makes a form the body of the request.
func (r *request) setForm(parts ...client.Part) {
	contentType, body := client.Form(parts...)
	r.body = string(body)
	r.header.Set("Content-Type", contentType)
}

func part(disposition, contentType, body string) client.Part {
	return client.Part{Disposition: disposition, Type: contentType, Body: []byte(body)}
}

func documentPart(name, document string) client.Part {
	return part(fmt.Sprintf("name=%q", name), jsonType, document)
}

// inForm returns the locations in a multipart body with a document, and a part a with content.
func inForm(name, content string) (all []location) {
	document := documentPart(name, content)
	add := func(name string, clientText bool, put func(q *request, text string)) {
		all = append(all, location{"form: " + name, clientText, put})
	}
	add("name of a part", false, func(q *request, text string) {
		q.setForm(document, part(fmt.Sprintf("name=%q", text), "text/plain", "a"))
	})
	add("file name", true, func(q *request, text string) {
		q.setForm(document, part(fmt.Sprintf(`name="a"; filename=%q`, text), "text/plain", "a"))
	})
	add("type of a part", false, func(q *request, text string) { q.setForm(document, part(`name="a"`, text, "a")) })
	add("content of a part", false, func(q *request, text string) { q.setForm(document, part(`name="a"`, "text/plain", text)) })
	add("document", false, func(q *request, text string) {
		q.setForm(documentPart(name, `{"reportee":{"ssn":"`+text))
	})
	add("boundary", false, func(q *request, text string) {
		q.header.Set("Content-Type", `multipart/form-data; boundary="`+text+`"`)
		q.body = "--" + text + "\r\n\r\n--" + text + "--"
	})
	return all
}
