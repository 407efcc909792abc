package robustness

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"
)

// value returns malformed JSON bodies, with an unexpected value of a member that the route knows.
func value(member string) map[string]string {
	with := func(value string) string { return `{"` + member + `":` + value + `}` }
	return map[string]string{
		"a member twice":                     with(`null,"` + member + `":null`),
		"a member twice, once escaped":       with(fmt.Sprintf(`null,"\u%04x%s":null`, member[0], member[1:])),
		"a member in capitals":               `{"` + strings.ToUpper(member) + `":null}`,
		"a member with a space":              `{"` + member + ` ":null}`,
		"an unknown member":                  with(`null,"__proto__":{}`),
		"unclosed lists":                     with(strings.Repeat("[", 100_000)),
		"deep lists":                         with(strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)),
		"deep objects":                       with(strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000)),
		"a number out of range":              with("1e999999"),
		"a number of digits":                 with(strings.Repeat("9", 300_000)),
		"a negative number of digits":        with("-" + strings.Repeat("9", 3000)),
		"not a number":                       with("NaN"),
		"a hexadecimal number":               with("0x10"),
		"half a surrogate pair":              with(`"\ud800"`),
		"half a surrogate pair in a list":    with(`["\udc00"]`),
		"half a surrogate pair in an object": with(`{"\ud800":"a"}`),
		"a raw control character":            with("\"a\x01b\""),
		"an object with a long name":         with(`{"` + strings.Repeat("n", 200_000) + `":[` + strings.Repeat("0,", 50_000) + `0]}`),
		"invalid UTF-8 as text":              with(`"` + "\xc3\x28" + `"`),
		"an overlong slash":                  with("\"\xc0\xaf\""),
		"a surrogate in UTF-8":               with("\"\xed\xa0\x80\""),
		"an object":                          with(`{"a":{"b":[{"c":1}]}}`),
		"a list of everything":               with(`[1,"a",null,true,{},[]]`),
		"a true":                             with(`true`),
		"data after the document":            with("null") + "{}",
		"a null byte after the document":     with("null") + "\x00",
		"half a document":                    `{"` + member + `":`,
	}
}

// documents are bodies that no route with a JSON body accepts.
var documents = map[string]string{
	"nothing": "", "white space": " \t\r\n", "null": "null", "a list": "[]", "a string": `"a"`, "a number": "1", "a true": "true", "a null byte": "\x00", "XML": "<a/>", "a form": "a=1&b=2",
	"two byte order marks": "\ufeff\ufeff{}", "a byte order mark alone": "\ufeff", "single quotes": `{'a':1}`, "a comment": `{}/**/`, "a comma": `{,}`, "no quotes": `{a:1}`, "an empty name": `{"":1}`,
	"two documents": `{}{}`, "lines of documents": "{}\n{}\n", "nesting": strings.Repeat(`{"a":`, 200_000), "lists": strings.Repeat("[", 400_000), "spaces in megabytes": strings.Repeat(" ", 4_000_000),
	"UTF-16": inUTF16(`{"a":1}`), "gzip": "\x1f\x8b\x08\x00", "more than any limit": `{"a":"` + strings.Repeat("a", 4_400_000) + `"}`, "a member of megabytes": `{"` + strings.Repeat("n", 4_000_000) + `":1}`,
}

func inUTF16(s string) string {
	var b strings.Builder
	for _, unit := range utf16.Encode([]rune("\ufeff" + s)) {
		b.WriteByte(byte(unit >> 8))
		b.WriteByte(byte(unit))
	}
	return b.String()
}

func TestJSONBodies(t *testing.T) {
	e := system
	known := map[string][]string{
		"POST /{org}/{app}/instances":                                            {"instanceOwnerId", "reportee", "labels", "dueDateTime", "visibleDateTime", "presentationField", "data"},
		"POST /{org}/{app}/batch":                                                {"items"},
		"POST /storage/confirmDownload":                                          {"instances"},
		"PATCH /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}":          {"labels", "dueDateTime", "visibleDateTime", "presentationField"},
		"POST /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/uploads":   {"fileName", "contentType", "size", "sha256"},
		"PUT /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/workflow":   {"currentStep", "reason"},
		"PUT /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/substatus":  {"label", "description"},
		"PUT /{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}/readStatus": {"readStatus"},
		"PUT /storage/instances/{instanceOwnerId}/{instanceGuid}/legalHold":      {"reason", "until"},
		"POST /storage/parties/lookup":                                           {"reportee"},
		"POST /storage/subscriptions":                                            {"endpoint", "appIds", "eventTypes", "workflow.currentStep", "format"},
		"PATCH /storage/subscriptions/{subscriptionId}":                          {"endpoint", "appIds", "eventTypes", "workflow.currentStep", "format", "paused"},
		"POST /storage/subscriptions/{subscriptionId}/replay":                    {"after", "appId"},
		"PUT /storage/applications/{org}/{app}":                                  {"title", "dataTypes", "workflow", "checkIdentityNumbers", "indexShards", "id", "labelsFor", "events", "retention", "deadline"},
	}
	for _, route := range e.routes(t) {
		r := e.to(route)
		if !strings.HasSuffix(r.contentType, "json") {
			continue
		}
		if known[route.String()] == nil {
			t.Errorf("the test has no member of the body of %s", route)
		}
		e.unchanged(t, func() {
			for what, body := range documents {
				for _, contentType := range []string{r.contentType, "application/json; charset=utf-8"} {
					r.body, r.contentType = body, contentType
					e.reject(t, what, r)
				}
			}
			for _, member := range known[route.String()] {
				for what, body := range value(member) {
					if what == "a true" && (member == "checkIdentityNumbers" || member == "paused") {
						continue
					}
					r.body = body
					e.reject(t, what+" as "+member, r)
				}
			}
			for _, contentType := range []string{"", "text/plain", "text/json", "application/xml", "application/x-www-form-urlencoded", "application/jsonp", "json", "multipart/form-data; boundary=b"} {
				r := e.to(route)
				r.contentType = contentType
				e.reject(t, "as "+contentType, r)
			}
		})
	}
}

func TestForms(t *testing.T) {
	e := system
	document := "--b\r\nContent-Disposition: form-data; name=\"instance\"\r\nContent-Type: application/json\r\n\r\n" + `{"instanceOwnerId":"` + e.variables["instanceOwnerId"] + "\"}\r\n"
	part := func(disposition, contentType, body string) string {
		return "--b\r\nContent-Disposition: " + disposition + "\r\nContent-Type: " + contentType + "\r\n\r\n" + body + "\r\n"
	}
	const end = "--b--\r\n"
	any := part(`form-data; name="any"`, "text/plain", "hei")
	e.unchanged(t, func() {
		for what, body := range map[string]string{
			"nothing": "", "only the end": end, "no end": document + any, "an end within a part": document + any[:40], "an end after a boundary": document + "--b\r\n",
			"no document": any + end, "two documents": document + document + end, "a document as text": part(`form-data; name="instance"`, "text/plain", `{}`) + end,
			"a hostile document":       part(`form-data; name="instance"`, "application/json", strings.Repeat("[", 100_000)) + end,
			"thousands of parts":       document + strings.Repeat(any, 20_000) + end,
			"a part without a name":    document + part("form-data", "text/plain", "x") + end,
			"an attachment":            document + part(`attachment; name="any"`, "text/plain", "x") + end,
			"an invalid name":          document + part(`form-data; name="../x"`, "text/plain", "x") + end,
			"a name with a line break": document + part("form-data; name=\"a\r\n b\"", "text/plain", "x") + end,
			"a name of megabytes":      document + part(`form-data; name="`+strings.Repeat("n", 4_000_000)+`"`, "text/plain", "x") + end,
			"a header of megabytes":    document + part(`form-data; name="any"`, "text/plain\r\nX: "+strings.Repeat("y", 4_000_000), "x") + end + strings.Repeat("z", 500_000),
			"thousands of headers":     document + part(`form-data; name="any"`, "text/plain\r\n"+strings.Repeat("X: y\r\n", 300_000), "x") + end,
			"an encoded part":          document + part(`form-data; name="any"`, "text/plain\r\nContent-Transfer-Encoding: base64", "aGVp") + end,
			"an empty part":            document + part(`form-data; name="any"`, "text/plain", "") + end,
			"a range as the type":      document + part(`form-data; name="form"`, "*/*", "x") + end,
			"a type with a line break": document + part(`form-data; name="any"`, "text/plain\r\n ; a=\"\r\n\"", "x") + end,
			"a form in a form":         part(`form-data; name="instance"`, "multipart/form-data; boundary=c", "--c--") + end,
			"no carriage returns":      strings.ReplaceAll(document+any+end, "\r\n", "\r"),
			"more than any limit":      document + part(`form-data; name="any"`, "text/plain", strings.Repeat("x", 4_400_000)) + end,
		} {
			r := request{method: "POST", path: "/nav/app2018/instances", contentType: "multipart/form-data; boundary=b", body: body}
			e.reject(t, what, r)
			r.header = map[string]string{"Idempotency-Key": "form"}
			e.reject(t, what+", with a key", r)
		}
	})
}

// Documents are stored as sent. The cost of a validation is bounded. An instance whose data cannot
// be validated cannot be submitted.
func TestDocuments(t *testing.T) {
	e := system
	const xmlType, jsonType = "application/xml", "application/json"
	bomb := "<!DOCTYPE a [<!ENTITY a0 \"aaaaaaaaaa\">"
	for n := range 12 {
		bomb += "<!ENTITY a" + strconv.Itoa(n+1) + " \"" + strings.Repeat("&a"+strconv.Itoa(n)+";", 10) + "\">"
	}
	many := func(s string) string { return strings.Repeat(s, 4_300_000/len(s)) }
	for what, document := range map[string]struct{ contentType, body string }{
		"entities in entities":      {xmlType, bomb + "]><a>&a12;</a>"},
		"a file":                    {xmlType, `<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>`},
		"an address":                {xmlType, `<!DOCTYPE a SYSTEM "http://169.254.169.254/latest/meta-data/"><a/>`},
		"a parameter entity":        {xmlType, `<!DOCTYPE a [<!ENTITY % x SYSTEM "file:///dev/random">%x;]><a/>`},
		"an include":                {xmlType, `<a xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="file:///etc/passwd"/></b>`},
		"unclosed deep elements":    {xmlType, many("<a>")},
		"closed deep elements":      {xmlType, strings.Repeat("<a>", 100_000) + strings.Repeat("</a>", 100_000)},
		"many attributes":           {xmlType, "<a " + attributes(200_000) + "/>"},
		"an attribute of megabytes": {xmlType, `<a b="` + many("x") + `"/`},
		"many elements":             {xmlType, "<a>" + many("<b/>") + "</a>"},
		"many namespaces":           {xmlType, "<a " + many(`xmlns:b="c" `) + "/>"},
		"many comments":             {xmlType, many("<!--x-->") + "<a/><b/>"},
		"many instructions":         {xmlType, many("<?a b?>")},
		"an unclosed comment":       {xmlType, "<!--" + many("-")},
		"an unclosed tag":           {xmlType, "<a" + many(" ")},
		"many references":           {xmlType, "<a>" + many("&lt;") + "&x;</a>"},
		"another encoding":          {xmlType, `<?xml version="1.0" encoding="utf-7"?><a/>`},
		"deep lists":                {jsonType, many("[")},
		"deep objects":              {jsonType, strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000)},
		"many items":                {jsonType, "[" + many("0,") + "0]"},
		"many members":              {jsonType, `{"a":"x"` + many(`,"b":0`) + "}"},
		"a number of megabytes":     {jsonType, `{"a":` + many("9") + `}`},
		"a number out of range":     {jsonType, `{"a":1e999999999}`},
		"a string of megabytes":     {jsonType, `{"a":"` + many("x") + `"}`},
		"escapes":                   {jsonType, `{"a":"` + many(`\u0000`) + `"}`},
		"a member twice":            {jsonType, `{"a":1,"a":2}`},
		"half a surrogate pair":     {jsonType, `{"a":"\ud800"}`},
	} {
		data := request{method: "PUT", path: e.self() + "/data/" + e.form, contentType: document.contentType, body: document.body}
		if got, rejected := e.try(t, what, data); rejected || got.Status != 200 {
			t.Errorf("%s: not stored: %v", what, got)
			continue
		}
		validate := request{method: "GET", path: e.self() + "/validate"}
		if got, rejected := e.try(t, what, validate); rejected || !strings.Contains(string(got.Body), `"severity":"error"`) || len(got.Body) > 100_000 {
			t.Errorf("%s: validated with %v", what, got)
		}
		e.unchanged(t, func() {
			if got := e.reject(t, what, put(e.self()+"/workflow", `{"currentStep":"Submit"}`)); got.Code() != "data-invalid" {
				t.Errorf("%s: submitted: %v", what, got)
			}
		})
	}
	e.accept(t, put(e.self()+"/data/"+e.form, "{}"))
}

func attributes(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(" a" + strconv.Itoa(i) + `="1"`)
	}
	return b.String()
}

// random returns n letters and digits that do not compress to half.
func random(n int) string {
	r := rand.New(rand.NewPCG(7, 8))
	b := make([]byte, n)
	for i := range b {
		b[i] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[r.IntN(62)]
	}
	return string(b)
}

// A registration with a schema whose evaluation cannot be bounded is rejected.
func TestSchemas(t *testing.T) {
	e := system
	register := func(schema string) request {
		return put("/storage/applications/nav/schema2026", `{"dataTypes":[{"formId":"form","schema":`+schema+`}]}`)
	}
	e.unchanged(t, func() {
		for what, schema := range map[string]string{
			"a file": `{"$ref":"file:///etc/passwd"}`, "an address": `{"$ref":"http://169.254.169.254/latest"}`, "an unknown draft": `{"$schema":"https://evil.example/schema"}`,
			"a pattern of patterns": `{"pattern":"` + strings.Repeat("(", 500) + "a" + strings.Repeat("{1,9})", 500) + `"}`, "a look-ahead": `{"pattern":"(?=a)"}`,
			"deep subschemas": strings.Repeat(`{"not":`, 5000) + "{}" + strings.Repeat("}", 5000), "a dynamic reference": `{"$dynamicRef":"#a"}`, "a member twice": `{"type":"object","type":"array"}`,
			"too many subschemas": `{"anyOf":[{}` + strings.Repeat(",{}", 60_000) + `]}`,
			"a list":              `[]`, "a string": `"x"`, "a dangling reference": `{"$ref":"#/nowhere"}`,
			"an XML Schema that does not compress": `{},"xsd":"<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema'><xs:element name='a'/><!--` + random(700_000) + `--></xs:schema>"`,
			"an XML Schema with a DOCTYPE":         `{},"xsd":"<!DOCTYPE a><xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema'><xs:element name='a'/></xs:schema>"`,
			"an XML Schema at an address":          `{},"xsd":"<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema'><xs:include schemaLocation='http://169.254.169.254/latest'/><xs:element name='a'/></xs:schema>"`,
		} {
			e.reject(t, what, register(schema))
		}
	})
	// Circular references, and subschemas that double with every level, may be registered. The
	// validation of data bounds their cost.
	for what, schema := range map[string]string{
		"doubling":  `{"$ref":"#/$defs/a","$defs":{"a":{"allOf":[{"items":{"$ref":"#/$defs/a"}},{"items":{"$ref":"#/$defs/a"}}]}}}`,
		"in circle": `{"anyOf":[{"$ref":"#"},{"type":"object"}]}`,
	} {
		if got, rejected := e.try(t, what, register(schema)); rejected {
			if got.Status != 400 {
				t.Errorf("%s: %v", what, got)
			}
			continue
		}
		nested := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("[", 60) + strings.Repeat("]", 60)))
		made := e.accept(t, post("/nav/schema2026/instances",
			`{"instanceOwnerId":"`+e.variables["instanceOwnerId"]+`","data":[{"formId":"form","contentType":"application/json","content":"`+nested+`"}]}`)).Instance()
		if got := e.accept(t, request{method: "GET", path: made.Apps() + "/validate"}); !strings.Contains(string(got.Body), `"severity":"error"`) {
			t.Errorf("%s: validated with %v", what, got)
		}
	}
}
