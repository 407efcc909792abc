package validation

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/schema"
)

// Each costly element gets an issue, so that the request never times out.
func TestTimeBudgetOfElements(t *testing.T) {
	const body = `{"a":1}`
	c := New(func(context.Context, blob.Key, *blob.Range) (blob.Object, error) {
		return blob.Object{Size: int64(len(body)), Body: io.NopCloser(strings.NewReader(body))}, nil
	}, nil)
	app := &application.Application{ID: "nav/app", DataTypes: []application.DataType{{FormID: "form", Schema: []byte(`{"type":"object"}`)}}}
	i := &instance.Instance{ID: "i", AppID: app.ID}
	for n := range 20 {
		i.Data = append(i.Data, instance.DataElement{ID: fmt.Sprint(n), FormID: "form", ContentType: "application/json", FileSize: int64(len(body)), Revision: "r"})
	}
	costly := func() (n int) {
		found, err := c.Elements(t.Context(), app, i, i.Data, Findings{})
		if err != nil || !found.Covers(i) {
			t.Fatal(err)
		}
		for _, issue := range found.For(i) {
			if issue.Code != schema.CodeTooCostly || issue.DataElementID == "" {
				t.Errorf("%+v", issue)
			}
			n++
		}
		return n
	}
	if n := costly(); n != 0 {
		t.Errorf("%d of 20 small elements are too costly, want none", n)
	}
	c.timeBudget = 1 // a nanosecond, which the first element uses
	if n := costly(); n != 19 {
		t.Errorf("%d elements are too costly, want all but one", n)
	}
	if n := costly(); n != 19 {
		t.Errorf("in a second validation %d elements are too costly, want all but one", n)
	}
}

// The number and total size of cached schemas are limited.
func TestSchemaCacheIsLimited(t *testing.T) {
	c := New(nil, nil)
	compile := func(n, size int) {
		t.Helper()
		text := fmt.Sprintf(`{"title":"%d%s"}`, n, strings.Repeat("x", size))
		if s, err := c.compile(t.Context(), application.DataType{Schema: []byte(text)}); err != nil || s == nil {
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
