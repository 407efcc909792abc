package datacheck

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

// Many elements, each as costly as may be, end in an answer and not in the end of time.
func TestElementsTogetherAreBounded(t *testing.T) {
	const body = `{"a":1}`
	c := New(func(context.Context, blob.Key, *blob.Range) (blob.Object, error) {
		return blob.Object{Size: int64(len(body)), Body: io.NopCloser(strings.NewReader(body))}, nil
	})
	app := &application.Application{ID: "nav/app", DataTypes: []application.DataType{{FormID: "form", Schema: []byte(`{"type":"object"}`)}}}
	i := &instance.Instance{ID: "i", AppID: app.ID}
	for n := range 20 {
		i.Data = append(i.Data, instance.DataElement{ID: fmt.Sprint(n), FormID: "form", ContentType: "application/json", FileSize: int64(len(body)), Revision: "r"})
	}
	costly := func() (n int) {
		found, err := c.Elements(t.Context(), app, i, i.Data, Findings{})
		if err != nil || !found.Cover(i) {
			t.Fatal(err)
		}
		for _, issue := range found.Of(i) {
			if issue.Code != schema.CodeTooCostly || issue.DataElementID == "" {
				t.Errorf("%+v", issue)
			}
			n++
		}
		return n
	}
	if n := costly(); n != 0 {
		t.Errorf("%d of 20 small elements are too costly", n)
	}
	c.mayWork = 1 // a nanosecond, which the first one takes
	if n := costly(); n != 19 {
		t.Errorf("%d elements are too costly, want all but one", n)
	}
	if n := costly(); n != 19 {
		t.Errorf("a second time %d are", n)
	}
}
