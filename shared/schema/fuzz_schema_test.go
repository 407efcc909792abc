package schema

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"altinn.no/instanceapi/shared/cputest"
	"altinn.no/instanceapi/shared/fault"
)

// FuzzSchema checks that compiling and validating any input takes bounded work. The issues must be
// well-formed, must not repeat the data, and must be the same the second time.
func FuzzSchema(f *testing.F) {
	for _, schema := range []string{
		`{"type":"object","properties":{"timer":{"type":"integer","minimum":1}},"required":["timer"],"additionalProperties":false}`,
		`{"$defs":{"a":{"anyOf":[{"$ref":"#/$defs/a"},{"type":"array","items":{"$ref":"#/$defs/a"}}]}},"$ref":"#/$defs/a"}`,
		`{"allOf":[{"patternProperties":{"^(a+)+$":{"pattern":"(x|x)*y"}}}],"unevaluatedProperties":false,"unevaluatedItems":false}`,
		`{"$schema":"http://json-schema.org/draft-04/schema#","id":"x","definitions":{"b":{"enum":[1,"secret",null]}},"dependencies":{"a":["b"]},"not":{"$ref":"#/definitions/b"}}`,
		`{"xml":{"name":"melding"},"properties":{"linje":{"type":["array","null"],"contains":{"const":1},"minContains":2,"uniqueItems":true}}}`,
		`{"if":{"type":"string","format":"date"},"then":{"maxLength":10},"else":{"propertyNames":{"pattern":"^[a-z]+$"},"minProperties":1e400}}`,
		`{"$ref":"file:///etc/passwd"}`, `{"$dynamicRef":"#a"}`, `{"multipleOf":1e-400,"maximum":1e999999}`, `{"type":["nope"]}`, `{"pattern":"(?=x)"}`, `[]`, `{"a":1,"a":2}`, `{`,
		`{"pattern":"` + strings.Repeat("(a?){9}", 20) + `"}`,
	} {
		for _, body := range []string{`{"timer":0,"secret":[1,1]}`, `<melding timer="37"><linje>1</linje><linje/></melding>`, `[[[[[]]]]]`, `"` + strings.Repeat("a", 200) + `"`, `1e999999`} {
			f.Add([]byte(schema), []byte(body))
		}
	}
	baseline := compiling(f)
	f.Fuzz(func(t *testing.T, text, body []byte) {
		if len(text) > 20_000 || len(body) > 20_000 {
			return
		}
		begin := cputest.Now(t)
		issues, err := Check(t.Context(), text, "/dataTypes/0/schema")
		if err != nil {
			t.Fatal(err)
		}
		s, rejected, err := Compile(t.Context(), text)
		if err != nil || (s == nil) != (len(rejected) > 0) || (len(issues) > 0) != (len(rejected) > 0) {
			t.Fatalf("compiled %v, issues %v and %v, %v", s != nil, rejected, issues, err)
		}
		wellFormed(t, issues)
		for _, issue := range issues {
			if !strings.HasPrefix(issue.Field, "/dataTypes/0/schema") {
				t.Errorf("%+v", issue)
			}
		}
		for _, format := range []Format{JSON, XML} {
			found, err := s.Validate(t.Context(), format, body)
			if err != nil {
				t.Fatal(err)
			}
			wellFormed(t, found)
			if again, err := s.Validate(t.Context(), format, body); err != nil || !reflect.DeepEqual(again, found) {
				t.Errorf("first %v, then %v (%v)", found, again, err)
			}
		}
		if took := cputest.Now(t) - begin; took > 200*baseline { // two compilations and four validations with limited steps
			t.Errorf("took %v, the baseline %v", took, baseline)
		}
	})
}

// wellFormed checks that every issue is complete and has valid members.
func wellFormed(t *testing.T, issues []fault.Issue) {
	t.Helper()
	for _, issue := range issues {
		if issue.Severity != fault.SeverityError || issue.Code == "" || issue.Description == "" || len(issue.Description) > 2000 || issue.Field != "" && issue.Field[0] != '/' {
			t.Errorf("%+v", issue)
		}
	}
	if _, err := json.Marshal(issues); err != nil {
		t.Error(err)
	}
}

// FuzzNotFormed checks that Validate returns a well-formed issue for any XML or JSON that it
// rejects.
func FuzzNotFormed(f *testing.F) {
	for _, seed := range []string{`<a><b/></a>`, `{"a":[1,2]}`, "<?xml version=\"1.0\" encoding=\"latin1\"?><a/>", "\xef\xbb\xbf{}", "\xff\xfe<\x00a\x00", "<a xmlns:b='c' b:d='e'/>", "<!DOCTYPE a>", "&#0;", "<a>&x;</a>"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, format := range []Format{JSON, XML} {
			issues, err := (*Schema)(nil).Validate(t.Context(), format, body)
			if err != nil || len(issues) > 1 || len(issues) == 1 && issues[0].Code != CodeNotFormed {
				t.Errorf("%v, %v", issues, err)
			}
			wellFormed(t, issues)
		}
		var ill *syntaxError
		if _, err := parseXML(t.Context(), body); err != nil && !errors.As(err, &ill) {
			t.Error(err)
		}
	})
}
