package httpapi

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"altinn.no/instanceapi/shared/fault"
)

type inner struct {
	FormID string          `json:"formId"`
	Schema json.RawMessage `json:"schema,omitempty"`
}

type outer struct {
	Name   string            `json:"name"`
	Count  int               `json:"count"`
	At     *time.Time        `json:"at"`
	Title  map[string]string `json:"title"`
	Inners []inner           `json:"inners"`
	One    *inner            `json:"one"`
	Any    any               `json:"any"`
	Hidden string            `json:"-"`
}

func post(contentType, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return r
}

func TestDecodeJSON(t *testing.T) {
	body := ` {"name":"æ \u00e6","count":7,"at":"2026-11-23T12:00:00+01:00","title":{"nb":"x","NB":"y"},"any":{"a":[1,{"b":null}]},
		"inners":[{"formId":"a","schema":{"type":"object","Type":1}},{}],"one":null} ` + "\n"
	var got outer
	if err := DecodeJSON(post("application/json; charset=utf-8", body), 1000, &got); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 23, 11, 0, 0, 0, time.UTC)
	if !got.At.Equal(at) {
		t.Errorf("at %v", got.At)
	}
	got.At = nil
	want := outer{Name: "æ æ", Count: 7, Title: map[string]string{"nb": "x", "NB": "y"}, Any: map[string]any{"a": []any{1.0, map[string]any{"b": nil}}},
		Inners: []inner{{FormID: "a", Schema: json.RawMessage(`{"type":"object","Type":1}`)}, {}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if err := DecodeJSON(post("Application/JSON", "{}"), 2, &outer{}); err != nil {
		t.Errorf("a body of exactly the limit: %v", err)
	}
}

func TestDecodeJSONRejects(t *testing.T) {
	nested := func(open, shut string, n int) string { return strings.Repeat(open, n) + strings.Repeat(shut, n) }
	for name, test := range map[string]struct{ body, wantText string }{
		"an empty body":                    {"", "empty"},
		"white space":                      {" \n\t", "empty"},
		"null":                             {"null", "null"},
		"a list":                           {"[]", "wrong type"},
		"a list of documents":              {"[{}]", "wrong type"},
		"a string":                         {`"{}"`, "wrong type"},
		"not JSON":                         {"name=x", "well-formed"},
		"XML":                              {"<a/>", "well-formed"},
		"truncated":                        {`{"name":"x"`, "ends"},
		"truncated in a list":              {`{"inners":[{"formId":"x"}`, "ends"},
		"truncated in a string":            {`{"name":"x`, "ends"},
		"truncated after a name":           {`{"name"`, "ends"},
		"a comma at the end":               {`{"name":"x",}`, "well-formed"},
		"a comma at the end of a list":     {`{"inners":[{},]}`, "well-formed"},
		"single quotes":                    {`{'name':'x'}`, "well-formed"},
		"a comment":                        {`{"name":"x"} // x`, "after"},
		"two documents":                    {`{}{}`, "after"},
		"a bracket after":                  {`{}]`, "after"},
		"a letter after":                   {`{}x`, "after"},
		"a null byte after":                {"{}\x00", "after"},
		"invalid UTF-8":                    {"{\"name\":\"a\xffb\"}", "UTF-8"},
		"latin-1":                          {"{\"name\":\"\xe6\"}", "UTF-8"},
		"an unknown member":                {`{"nme":"x"}`, `"/nme" is unknown`},
		"an unknown member of a member":    {`{"one":{"formID":"x"}}`, `"/one/formID" is unknown`},
		"an unknown member in a list":      {`{"inners":[{},{"x":1}]}`, `"/inners/1/x" is unknown`},
		"another case":                     {`{"Name":"x"}`, `"/Name" is unknown`},
		"another case and the correct one": {`{"name":"x","NAME":"y"}`, `"/NAME" is unknown`},
		"a member without a JSON name":     {`{"Hidden":"x"}`, "unknown"},
		"the name of a hidden member, -":   {`{"-":"x"}`, "unknown"},
		"an empty name":                    {`{"":"x"}`, "unknown"},
		"a letter that folds to k":         {`{"\u212a":"x"}`, "unknown"},
		"a member twice":                   {`{"name":"x","name":"x"}`, `"/name" is given twice`},
		"a member twice, once escaped":     {`{"name":"x","\u006eame":"y"}`, `"/name" is given twice`},
		"a member twice in a map":          {`{"title":{"nb":"x","nb":"y"}}`, `"/title/nb" is given twice`},
		"twice in a raw JSON member":       {`{"one":{"schema":{"a":1,"a":2}}}`, `"/one/schema/a" is given twice`},
		"twice in an any member":           {`{"any":[{"a":{"b":1,"b":1}}]}`, "given twice"},
		"a number for a string":            {`{"name":5}`, `"/name" has the wrong type (a JSON number)`},
		"a string for a number":            {`{"count":"5"}`, `"/count" has the wrong type (a JSON string)`},
		"a fraction for a whole number":    {`{"count":1.5}`, `"/count" has the wrong type`},
		"too large a number":               {`{"count":99999999999999999999}`, `"/count" has the wrong type`},
		"a list for an object":             {`{"title":[]}`, `"/title" has the wrong type`},
		"an object for a list":             {`{"inners":{"formId":"x"}}`, `"/inners" has the wrong type`},
		"a number in a map of strings":     {`{"title":{"nb":1}}`, `wrong type`},
		"a number in a list of objects":    {`{"inners":[{"formId":"a"},{"formId":5}]}`, `"/inners/1/formId" has the wrong type (a JSON number)`},
		"a list in a list":                 {`{"inners":[{},[]]}`, `"/inners/1" has the wrong type (a JSON array)`},
		"a bool for a string":              {`{"one":{"formId":true}}`, `"/one/formId" has the wrong type (a JSON bool)`},
		"a number out of range":            {`{"count":1e999999}`, `"/count" has the wrong type`},
		"a number of a megabyte":           {`{"count":` + strings.Repeat("9", 1_000_000) + `}`, `"/count" has the wrong type`},
		"a high surrogate alone":           {`{"name":"a\ud83db"}`, "surrogate"},
		"a low surrogate alone":            {`{"name":"\udc00"}`, "surrogate"},
		"a surrogate pair in reverse":      {`{"name":"\udc00\ud83d"}`, "surrogate"},
		"two high surrogates":              {`{"name":"\ud83d\ud83d\udc00"}`, "surrogate"},
		"half a pair in a member name":     {`{"title":{"\uD800":"x"}}`, "surrogate"},
		"half a pair in an any member":     {`{"any":["\\\\","\\\ud800"]}`, `"/any/1" has half of a surrogate pair`},
		"a date for a time":                {`{"at":"2026-11-23"}`, `"/at" has the wrong form (times are RFC 3339`},
		"a time without an offset":         {`{"at":"2026-11-23T12:00:00"}`, "RFC 3339"},
		"a number for a time":              {`{"at":5}`, "RFC 3339"},
		"deep lists":                       {`{"any":` + nested("[", "]", 70) + `}`, "deeper than 64"},
		"deep objects":                     {strings.Repeat(`{"any":`, 70) + "1" + strings.Repeat("}", 70), "deeper than 64"},
		"deep objects in an any member":    {`{"any":` + strings.Repeat(`{"a":`, 70) + "1" + strings.Repeat("}", 71), "deeper than 64"},
		"deep lists that never end":        {`{"any":` + strings.Repeat("[", 100_000), "deeper than 64"},
	} {
		var into outer
		err := DecodeJSON(post("application/json", test.body), 1<<20, &into)
		if !fault.Is(err, fault.Invalid) || !fault.HasCode(err, "body-invalid") || !strings.Contains(err.Error(), test.wantText) {
			t.Errorf("%s: %v, want body-invalid with %q", name, err, test.wantText)
			continue
		}
		if strings.Contains(err.Error(), "outer") || strings.Contains(err.Error(), "httpapi") || strings.Contains(err.Error(), "Go ") {
			t.Errorf("%s: the error contains Go names: %v", name, err)
		}
	}
	whole := outer{}
	if err := DecodeJSON(post("application/json", `{"name":"\ud83d\uDE00 \\ud83d \ufffd \u005cud83d"}`), 1000, &whole); err != nil || whole.Name != "😀 \\ud83d \ufffd \\ud83d" {
		t.Errorf("a surrogate pair and escaped backslashes: %q, %v", whole.Name, err)
	}
	if err := DecodeJSON(post("application/json", "\xef\xbb\xbf"+`{"name":"x"}`), 1000, &whole); err != nil || whole.Name != "x" {
		t.Errorf("a byte order mark: %q, %v", whole.Name, err)
	}
	if err := DecodeJSON(post("application/json", "\xef\xbb\xbf\xef\xbb\xbf"+`{"name":"x"}`), 1000, &whole); !fault.HasCode(err, "body-invalid") {
		t.Errorf("two byte order marks: %v", err)
	}
	for levels, ok := range map[int]bool{maxDepth: true, maxDepth + 1: false} { // under the document
		for _, body := range []string{
			`{"any":` + nested("[", "]", levels) + `}`,
			`{"any":` + strings.Repeat("[", levels-1) + "1" + strings.Repeat("]", levels-1) + `}`,
			`{"any":` + strings.Repeat(`{"a":`, levels-1) + "{}" + strings.Repeat("}", levels-1) + `}`,
		} {
			if err := DecodeJSON(post("application/json", body), 1000, &outer{}); (err == nil) != ok {
				t.Errorf("%d levels: %v", levels, err)
			}
		}
	}
}

func TestContentTypeAndSize(t *testing.T) {
	for _, contentType := range []string{"", "text/plain", "application/xml", "application/x-www-form-urlencoded", "application/jsonp", "application/problem+json",
		"json", "application/json;;", "*/*", "text/json", "application/json, application/json"} {
		if err := DecodeJSON(post(contentType, "{}"), 100, &outer{}); !fault.Is(err, fault.UnsupportedMediaType) {
			t.Errorf("%q: %v, want UnsupportedMediaType", contentType, err)
		}
	}
	if err := DecodeJSON(post("application/json", `{"name":"`+strings.Repeat("x", 90)+`"}`), 100, &outer{}); !fault.Is(err, fault.TooLarge) {
		t.Errorf("101 bytes with a limit of 100: %v, want TooLarge", err)
	}
	r := post("application/json", "")
	errBroken := errors.New("connection lost")
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"name":`), iotest.ErrReader(errBroken)))
	if err := DecodeJSON(r, 100, &outer{}); !fault.HasCode(err, "body-unreadable") || !errors.Is(err, errBroken) {
		t.Errorf("%v", err)
	}
	for _, encoding := range []string{"gzip", "deflate, br", "aws-chunked", "x", "identity, gzip"} {
		r := post("application/json", "{}")
		r.Header.Set("Content-Encoding", encoding)
		if err := DecodeJSON(r, 100, &outer{}); !fault.Is(err, fault.UnsupportedMediaType) || !fault.HasCode(err, "body-encoded") {
			t.Errorf("Content-Encoding %s: %v", encoding, err)
		}
	}
	plain := post("application/json", "{}")
	plain.Header.Set("Content-Encoding", "Identity")
	if err := DecodeJSON(plain, 100, &outer{}); err != nil {
		t.Errorf("Content-Encoding identity: %v", err)
	}
	endless := post("application/json", "")
	endless.Body = io.NopCloser(zeros{})
	if err := DecodeJSON(endless, 1000, &outer{}); !fault.Is(err, fault.TooLarge) {
		t.Errorf("an endless body: %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// TestErrorsContainNoIdentityNumber sends identity numbers in every place where a caller may put
// one by mistake.
func TestErrorsContainNoIdentityNumber(t *testing.T) {
	const ssn, organisation = "12247918309", "974760673"
	for _, number := range []string{ssn, organisation, "122479 18309", "12247918309-x"} {
		for _, body := range []string{
			`{"%":1}`, `{"name":"x","%":1}`, `{"one":{"%":1}}`, `{"inners":[{"%":1}]}`, `{"title":{"%":1}}`, `{"title":{"%":"a","%":"b"}}`,
			`{"count":"%"}`, `{"name":{"%":1}}`, `{"at":"%"}`, `%`, `"%"`, `{"any":{"%":{"x":1,"x":2}}}`, `{"count":%%%}`, `{"name":"x"}%`, `{"title":"%"}`,
		} {
			err := DecodeJSON(post("application/json", strings.ReplaceAll(body, "%", number)), 1000, &outer{})
			if err == nil {
				t.Errorf("%s is accepted", body)
			} else if strings.Contains(err.Error(), number[:9]) || strings.Contains(err.Error(), number[len(number)-5:]) {
				t.Errorf("%s: %v", body, err)
			}
		}
		r := httptest.NewRequest(http.MethodGet, "/?"+strings.ReplaceAll(number, " ", "+")+"=1&size="+strings.ReplaceAll(number, " ", "+"), nil)
		if _, err := ParseQuery(r, "size"); err == nil || strings.Contains(err.Error(), number[:9]) {
			t.Errorf("%v", err)
		}
		if _, err := PageSize(r.URL.Query()); err == nil || strings.Contains(err.Error(), number[:9]) {
			t.Errorf("%v", err)
		}
	}
}

func FuzzDecodeJSON(f *testing.F) {
	for _, seed := range []string{`{"name":"x","count":1}`, `{"title":{"nb":"x"},"inners":[{"formId":"a","schema":{}}]}`, `{"any":[[[]]]}`, `{"one":null}`, `{`, `"`, `{"name":1}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		var got outer
		if err := DecodeJSON(post("application/json", body), 1000, &got); err != nil {
			var f *fault.Error
			if !errors.As(err, &f) || f.Kind == fault.Internal {
				t.Errorf("%q: %v", body, err)
			}
			return
		}
		// The more lenient encoding/json must accept the body too and decode it to the same value.
		var want outer
		dec := json.NewDecoder(strings.NewReader(body))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&want); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, want %+v, %v", body, got, want, err)
		}
	})
}
