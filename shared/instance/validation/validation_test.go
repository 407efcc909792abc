package validation

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/schema"
)

// Each costly element gets an issue, so that the request never times out.
func TestTimeBudgetOfElements(t *testing.T) {
	const body = `{"a":1}`
	c := New(func(context.Context, blob.Key, *blob.Range) (blob.Object, error) {
		return blob.Object{Size: int64(len(body)), Body: io.NopCloser(strings.NewReader(body))}, nil
	}, nil, true)
	app := &application.Application{ID: "nav/app", DataTypes: []application.DataType{{FormID: "form", Schema: []byte(`{"type":"object"}`)}}}
	i := &instance.Instance{ID: "i", AppID: app.ID}
	for n := range 20 {
		i.Data = append(i.Data, instance.DataElement{ID: fmt.Sprint(n), FormID: "form", ContentType: "application/json", FileSize: int64(len(body)), Revision: "r"})
	}
	costly := func() (n int) {
		found, err := c.Elements(t.Context(), app, i, i.Data, Findings{})
		if err != nil || !found.Covers(i.Data) {
			t.Fatal(err)
		}
		for _, issue := range found.For(i.Data) {
			if issue.Code != schema.CodeTooCostly || issue.DataElementID == "" {
				t.Errorf("%+v", issue)
			}
			n++
		}
		return n
	}
	c.timeBudget = 1 // a nanosecond
	for range 2 {    // a costly verdict is not remembered
		if n := costly(); n != 20 {
			t.Errorf("%d of 20 elements are too costly, want all", n)
		}
	}
	c.timeBudget = timeBudget
	if n := costly(); n != 0 {
		t.Errorf("%d of 20 small elements are too costly, want none", n)
	}
}

// The number and total size of cached schemas are limited.
func TestSchemaCacheIsLimited(t *testing.T) {
	c := New(nil, nil, true)
	compile := func(n, size int) {
		t.Helper()
		text := fmt.Sprintf(`{"title":"%d%s"}`, n, strings.Repeat("x", size))
		dataType := application.DataType{Schema: []byte(text)}
		if s, err := c.compile(t.Context(), dataType, schemaFor(dataType, schema.JSON)); err != nil || s == nil {
			t.Fatal(err)
		}
		if len(c.compiled) > maxSchemas || c.texts > maxTexts {
			t.Fatalf("%d schemas of %d bytes are cached", len(c.compiled), c.texts)
		}
	}
	for n := range maxSchemas {
		compile(n, 10)
	}
	if compile(0, 10); len(c.compiled) != maxSchemas {
		t.Errorf("%d small schemas are cached, want all", len(c.compiled))
	}
	for n := range 6 {
		compile(100+n, 200_000)
	}
	if len(c.compiled) != 2 {
		t.Errorf("%d large schemas are cached, want 2", len(c.compiled))
	}
}

// A second validation reads no content, unless the content, its format or its schema is another.
func TestVerdictsAreRemembered(t *testing.T) {
	const body = `<r>x</r>`
	reads := 0
	c := New(func(context.Context, blob.Key, *blob.Range) (blob.Object, error) {
		reads++
		return blob.Object{Size: int64(len(body)), Body: io.NopCloser(strings.NewReader(body))}, nil
	}, nil, true)
	const xs = `"<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema'><xs:element name='r' type='xs:int'/><xs:element name='s' type='xs:int'/></xs:schema>"`
	plain := application.DataType{FormID: "form"}
	integer := application.DataType{FormID: "form", XSD: []byte(xs)}
	other := application.DataType{FormID: "form", XSD: []byte(xs), RootElement: "s"}
	object := application.DataType{FormID: "form", Schema: []byte(`{"type":"object"}`)}
	for n, test := range []struct {
		dataType    application.DataType
		contentType string
		revision    string
		reads       int
		want        string // codes of the issues
	}{
		{plain, "application/xml", "a", 1, ""},
		{plain, "application/xml", "a", 0, ""},
		{plain, "application/xml", "b", 1, ""},
		{plain, "application/json", "a", 1, schema.CodeNotFormed},
		{integer, "application/xml", "a", 1, schema.CodeViolation},
		{integer, "application/xml", "a", 0, schema.CodeViolation},
		{other, "application/xml", "a", 1, schema.CodeViolation},
		{object, "application/xml", "a", 1, ""},
		{object, "application/xml", "a", 0, ""},
		{plain, "application/xml", "a", 0, ""},
	} {
		reads = 0
		app := &application.Application{ID: "nav/app", DataTypes: []application.DataType{test.dataType}}
		i := &instance.Instance{ID: "i", AppID: app.ID, Data: []instance.DataElement{
			{ID: "d", FormID: "form", ContentType: test.contentType, FileSize: int64(len(body)), Revision: test.revision},
		}}
		found, err := c.Elements(t.Context(), app, i, i.Data, Findings{})
		codes := ""
		for _, issue := range found.For(i.Data) {
			codes += issue.Code
			if issue.DataElementID != "d" {
				t.Errorf("%d: %+v", n, issue)
			}
		}
		if err != nil || codes != test.want || reads != test.reads {
			t.Errorf("%d: %s with %d reads, want %s with %d; %v", n, codes, reads, test.want, test.reads, err)
		}
	}
	for n := range 3 * maxVerdicts {
		c.remember(verdictKey{content: blob.KeyOf("nav/app", "50001", "i", fmt.Sprint(n))}, make([]fault.Issue, 5))
		if len(c.verdicts) > maxVerdicts || c.issues > maxIssues {
			t.Fatalf("%d verdicts with %d issues are remembered", len(c.verdicts), c.issues)
		}
	}
}

// XML over MaxBytes is validated as a stream, unless there is a JSON Schema.
func TestLargeXML(t *testing.T) {
	line := strings.Repeat("x", 1000)
	body := "<r>" + strings.Repeat("<a>"+line+"</a>", 5000) + "<b/></r>"
	if len(body) <= MaxBytes {
		t.Fatal("the body is too small")
	}
	const xs = `"<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema'><xs:element name='r'><xs:complexType><xs:sequence>` +
		`<xs:element name='a' type='xs:string' maxOccurs='unbounded'/></xs:sequence></xs:complexType></xs:element></xs:schema>"`
	const tooLarge = ": The data element is %d bytes; elements over %d bytes cannot be validated."
	size := len(body)
	xmlSchema := application.DataType{FormID: "form", XSD: []byte(xs)}
	jsonSchema := application.DataType{FormID: "form", Schema: []byte(`{}`)}
	plain := application.DataType{FormID: "form"}
	for name, test := range map[string]struct {
		dataType    application.DataType
		contentType string
		body        string
		size        int
		want        string
	}{
		"with an XML Schema":              {xmlSchema, "application/xml", body, size, "/b: is not allowed here: the schema has no such element, or expects another one first, at line 1"},
		"with an XML Schema, too large":   {xmlSchema, "application/xml", body, MaxStreamed + 1, fmt.Sprintf(tooLarge, MaxStreamed+1, MaxStreamed)},
		"with an XML Schema, ill-formed":  {xmlSchema, "application/xml", body + "\n&#9;", size + 5, ": has text outside the root element, at line 2"},
		"with an XML Schema, other root":  {xmlSchema, "application/xml", "<s>" + body + "</s>", size + 7, ": must have the root element r"},
		"with a JSON Schema":              {jsonSchema, "application/xml", body, size, fmt.Sprintf(tooLarge, size, MaxBytes)},
		"without a schema":                {plain, "application/xml", body, size, ""},
		"without a schema, ill-formed":    {plain, "text/xml", body + "\n<c/>", size + 5, ": has a second root element, at line 2"},
		"without a schema, a name":        {plain, "application/xml", "<s><a\ufeff/>" + body + "</s>", size + 13, ": has a name with a character that XML 1.0 does not allow in names, at line 1"},
		"without a schema, too large":     {plain, "application/xml", body, MaxStreamed + 1, ""},
		"without a schema, not plain XML": {plain, "image/svg+xml", body + "<c/>", size + 4, ""},
	} {
		// On a slow machine, the documents would exceed the time limit of their validation.
		synctest.Test(t, func(t *testing.T) {
			c := New(func(context.Context, blob.Key, *blob.Range) (blob.Object, error) {
				return blob.Object{Size: int64(test.size), Body: io.NopCloser(strings.NewReader(test.body))}, nil
			}, nil, true)
			app := &application.Application{ID: "nav/app", DataTypes: []application.DataType{test.dataType}}
			i := &instance.Instance{ID: "i", AppID: app.ID, Data: []instance.DataElement{{ID: "d", FormID: "form", ContentType: test.contentType, FileSize: int64(test.size), Revision: "r"}}}
			found, err := c.Elements(t.Context(), app, i, i.Data, Findings{})
			got := ""
			for _, issue := range found.For(i.Data) {
				got += issue.Field + ": " + issue.Description
			}
			if err != nil || got != test.want {
				t.Errorf("%s: %q, %v", name, got, err)
			}
		})
	}
}
