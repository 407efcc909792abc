package contract

import (
	"net/http"
	"strings"
	"testing"
)

const small = `
info: {version: 1.0.0}
paths:
  /storage/things/{id}:
    parameters:
      - {name: id, in: path, required: true, schema: {type: string, pattern: '^[0-9]+$'}}
    get:
      parameters:
        - {name: size, in: query, schema: {type: integer, maximum: 10}}
        - {name: deleted, in: query, schema: {type: boolean}}
        - {name: label, in: query, schema: {type: array, items: {type: string, maxLength: 3}}}
        - {name: If-None-Match, in: header, schema: {$ref: '#/components/schemas/Tag'}}
      responses:
        '200':
          description: The thing.
          headers: {ETag: {required: true, schema: {$ref: '#/components/schemas/Tag'}}}
          content:
            application/json: {schema: {$ref: '#/components/schemas/Thing'}}
          x-alternative-content:
            application/x-ndjson: {x-line-schema: {$ref: '#/components/schemas/Thing'}}
        '206': {description: A part., content: {'*/*': {schema: {type: string, format: binary}}}}
        '304': {description: Not modified.}
        '404': {$ref: '#/components/responses/Gone', description: 'Not there: ` + "`not-there`" + `'}
        default: {$ref: '#/components/responses/Gone'}
    head:
      responses:
        '200': {description: The thing.}
    put:
      requestBody:
        required: true
        content:
          application/json: {schema: {$ref: '#/components/schemas/Thing'}}
          multipart/form-data: {schema: {$ref: '#/components/schemas/Form'}}
          image/*: {schema: {type: string, format: binary}}
      responses: {'204': {description: Done.}}
    post:
      requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/Batch'}}}}
      responses: {'200': {description: The results., content: {application/json: {schema: {type: object}}}}}
components:
  responses:
    Gone:
      description: 'Or ` + "`gone-away`" + `.'
      content: {application/problem+json: {schema: {type: object, required: [code]}}}
  schemas:
    Tag: {type: string, pattern: '^".+"$'}
    Batch: {type: object, required: [things], properties: {things: {type: array, minItems: 1, items: {$ref: '#/components/schemas/Thing'}}}}
    Form: {type: object, properties: {thing: {$ref: '#/components/schemas/Thing'}}}
    Thing: {type: object, required: [n], properties: {n: {type: integer}, code: {type: string, x-extensible-enum: [a]}}}
`

func TestCheck(t *testing.T) {
	d, err := Parse([]byte(small))
	if err != nil {
		t.Fatal(err)
	}
	if untried := d.Untried(); len(untried) != 4 {
		t.Errorf("untried before the exchanges: %v", untried)
	}
	header := func(pairs ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1])
		}
		return h
	}
	json := header("Content-Type", "application/json; charset=utf-8", "ETag", `"1"`)
	problem := header("Content-Type", "application/problem+json")
	get := func(target string, status int, h http.Header, body string) Exchange {
		return Exchange{Method: "GET", Target: target, Status: status, Header: h, Body: []byte(body)}
	}
	put := func(contentType, body string) Exchange {
		return Exchange{Method: "PUT", Target: "/storage/things/1", RequestHeader: header("Content-Type", contentType), RequestBody: []byte(body), Status: 204}
	}
	post := func(items, results string) Exchange {
		return Exchange{Method: "POST", Target: "/storage/things/1", RequestHeader: json, RequestBody: []byte(items), Status: 200, Header: json, Body: []byte(results)}
	}
	for name, test := range map[string]struct {
		x       Exchange
		wantErr string // "" if the document allows the exchange
	}{
		"valid":                          {get("/storage/things/1?size=10&deleted=true&label=a&label=b", 200, json, `{"n":1}`), ""},
		"lines":                          {get("/storage/things/1", 200, header("Content-Type", "application/x-ndjson", "ETag", `"1"`), "{\"n\":1}\n{\"n\":2}\n"), ""},
		"an invalid line":                {get("/storage/things/1", 200, header("Content-Type", "application/x-ndjson", "ETag", `"1"`), "{\"n\":1}\n{}\n"), "missing property 'n'"},
		"JSON as any content":            {get("/storage/things/1", 206, json, "[]"), ""},
		"no route, 404":                  {get("/storage/nothing", 404, json, ""), ""},
		"no route, 200":                  {get("/storage/nothing", 200, json, ""), "no operation matches GET /storage/nothing"},
		"a CORS preflight":               {Exchange{Method: "OPTIONS", Target: "/storage/things/1", RequestHeader: header("Access-Control-Request-Method", "PUT"), Status: 204}, ""},
		"OPTIONS without a preflight":    {Exchange{Method: "OPTIONS", Target: "/storage/things/1", Status: 204}, "no operation matches OPTIONS"},
		"an undocumented status":         {get("/storage/things/1", 409, problem, `{"code":"data-locked"}`), "paths, /storage/things/{id}, get, responses: add '409', which was returned with the code `data-locked`"},
		"an additional member":           {get("/storage/things/1", 200, json, `{"n":1,"m":1}`), "additional properties 'm'"},
		"a listed code":                  {get("/storage/things/1", 200, json, `{"n":1,"code":"a"}`), ""},
		"another value of a code":        {get("/storage/things/1", 200, json, `{"n":1,"code":"b"}`), "value must be 'a'"},
		"a missing member":               {get("/storage/things/1", 200, json, `{}`), "missing property 'n'"},
		"invalid JSON":                   {get("/storage/things/1", 200, json, `<n/>`), "not JSON"},
		"no body":                        {get("/storage/things/1", 200, json, ``), "not JSON"},
		"another media type":             {get("/storage/things/1", 200, header("Content-Type", "text/html", "ETag", `"1"`), `{"n":1}`), `as "text/html"`},
		"no media type":                  {get("/storage/things/1", 200, header("ETag", `"1"`), `{"n":1}`), `as ""`},
		"a missing header":               {get("/storage/things/1", 200, header("Content-Type", "application/json"), `{"n":1}`), "without the header ETag"},
		"an invalid header":              {get("/storage/things/1", 200, header("Content-Type", "application/json", "ETag", "1"), `{"n":1}`), "with a header ETag"},
		"a 304":                          {get("/storage/things/1", 304, header(), ``), ""},
		"a 304 with a body":              {get("/storage/things/1", 304, header(), `x`), "with a body"},
		"the operation's code":           {get("/storage/things/1", 404, problem, `{"code":"not-there"}`), ""},
		"the shared response's code":     {get("/storage/things/1", 404, problem, `{"code":"gone-away"}`), ""},
		"another code":                   {get("/storage/things/1", 404, problem, `{"code":"other"}`), "get, responses, '404': add `other` to the description"},
		"an unknown parameter":           {get("/storage/things/1?sise=1", 200, json, `{"n":1}`), "add the query parameter sise, which was accepted"},
		"a parameter out of bounds":      {get("/storage/things/1?size=11", 200, json, `{"n":1}`), "parameter size"},
		"an invalid number":              {get("/storage/things/1?size=x", 200, json, `{"n":1}`), "parameter size"},
		"an invalid boolean":             {get("/storage/things/1?deleted=yes", 200, json, `{"n":1}`), "parameter deleted"},
		"a repeated value":               {get("/storage/things/1?size=1&size=2", 200, json, `{"n":1}`), "parameter size"},
		"an invalid list item":           {get("/storage/things/1?label=a&label=bbbb", 200, json, `{"n":1}`), "parameter label"},
		"an invalid path parameter":      {get("/storage/things/x", 200, json, `{"n":1}`), "path parameter id"},
		"an invalid request that failed": {get("/storage/things/x?sise=1", 404, problem, `{"code":"not-there"}`), ""},
		"a HEAD":                         {Exchange{Method: "HEAD", Target: "/storage/things/1", Status: 200, Header: json}, ""},
		"a HEAD with a body":             {Exchange{Method: "HEAD", Target: "/storage/things/1", Status: 200, Header: json, Body: []byte("x")}, "with a body"},
		"a request body":                 {put("application/json", `{"n":1}`), ""},
		"an invalid request body":        {put("application/json", `{"n":"1"}`), "succeeded with a body"},
		"a batch":                        {post(`{"things":[{"n":1},{"n":2}]}`, `{"results":[{},{}]}`), ""},
		"an invalid item that failed":    {post(`{"things":[{"n":1},{"n":"2"}]}`, `{"results":[{},{"problem":{}}]}`), ""},
		"only items that failed":         {post(`{"things":[{"n":"2"}]}`, `{"results":[{"problem":{}}]}`), ""},
		"an invalid item that succeeded": {post(`{"things":[{"n":"1"},{"n":"2"}]}`, `{"results":[{},{"problem":{}}]}`), "succeeded with a body"},
		"no batch":                       {post(`{"others":[{"n":1}]}`, `{"results":[{}]}`), "succeeded with a body"},
		"a request body of a type range": {put("image/png", "x"), ""},
		"a request body of another type": {put("text/plain", "x"), `the media type is "text/plain"`},
		"a missing request body":         {put("application/json", ""), "the body is missing"},
		"a form":                         {put("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=thing\r\n\r\n{\"n\":1}\r\n--b--"), ""},
		"a form with an invalid part":    {put("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=thing\r\n\r\n{}\r\n--b--"), "part thing"},
	} {
		err := d.Check(test.x)
		if test.wantErr == "" && err != nil || test.wantErr != "" && (err == nil || !strings.Contains(err.Error(), test.wantErr)) {
			t.Errorf("%s: %v, want an error with %q", name, err, test.wantErr)
		}
	}
	if untried := d.Untried(); len(untried) != 0 {
		t.Errorf("untried: %v", untried)
	}
	x := get("/storage/things/1", 200, json, `{"n":1}`)
	x.RequestHeader = header("If-None-Match", "1")
	if err := d.Check(x); err == nil {
		t.Error("an invalid request header was accepted")
	}
}
