package acceptance

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"altinn.no/instanceapi/tests/client"
)

// TestMultipart creates instances with multipart/form-data, as Altinn's clients do: binary content
// arrives unchanged, and the rules of a JSON body apply.
func TestMultipart(t *testing.T) {
	t.Parallel()
	r := newReporter(t)
	created := r.send(t, r.person, "GET", r.path, "", 200)
	owner, instances := member(t, created, "instanceOwnerId"), r.path[:strings.Index(r.path, "/instances")+len("/instances")]
	pdf, err := os.ReadFile(filepath.Join("testdata", "form.pdf"))
	if err != nil {
		t.Fatal(err)
	}
	post := func(key string, fields ...client.Part) *exchange {
		t.Helper()
		contentType, body := client.Form(fields...)
		x, err := r.do(t.Context(), request{method: "POST", target: instances, header: http.Header{"Content-Type": {contentType}, "Idempotency-Key": {key}}, body: body}, r.person)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	part := func(disposition, contentType string, body []byte) client.Part {
		return client.Part{Disposition: disposition, Type: contentType, Body: body}
	}
	document := part(`name="instance"`, "application/json; charset=utf-8", []byte(`{"instanceOwnerId": "`+owner+`", "labels": ["skjema"]}`))
	form := part(`name="default"; filename="skjema.xml"`, "application/xml", []byte("<melding/>"))
	attachment := part(`name="attachment"; filename="Søknad 1.pdf"; filename*=utf-8''S%C3%B8knad%201.pdf`, "application/pdf", pdf)

	x := post("first", attachment, document, form)
	var made struct {
		ID     string
		Labels []string
		Data   []struct {
			FormID, FileName, ContentType string
			DataLinks                     struct{ Apps string }
		}
	}
	if err := json.Unmarshal(x.body, &made); err != nil || x.status != 201 || len(made.Data) != 2 || len(made.Labels) != 1 {
		t.Fatalf("%v\n%v", err, x)
	}
	for n, want := range []client.Part{attachment, form} {
		got := r.send(t, r.person, "GET", made.Data[n].DataLinks.Apps, "", 200)
		if !bytes.Equal(got.body, want.Body) || got.header.Get("Content-Type") != want.Type || !strings.HasPrefix(want.Disposition, `name="`+made.Data[n].FormID) {
			t.Errorf("%s, %d bytes, %s", made.Data[n].FormID, len(got.body), got.header.Get("Content-Type"))
		}
	}
	if made.Data[0].FileName != "Søknad 1.pdf" {
		t.Errorf("file name %s", made.Data[0].FileName)
	}
	// A repeated request with a different boundary is the same request.
	if again := post("first", attachment, document, form); again.status != 201 || !bytes.Equal(again.body, x.body) {
		t.Errorf("again: %v", again)
	}
	if other := post("first", document, form); other.status != 422 {
		t.Errorf("a different request with the same key: %v", other)
	}
	for name, test := range map[string]struct {
		fields []client.Part
		status int
		detail string
	}{
		"no document":          {[]client.Part{form}, 400, `"instance"`},
		"an undeclared formId": {[]client.Part{document, part(`name="skjema"`, "application/xml", []byte("<a/>"))}, 400, "skjema"},
		"a type not allowed":   {[]client.Part{document, part(`name="default"`, "text/plain", []byte("a"))}, 415, "default"},
		"too much":             {[]client.Part{document, part(`name="default"`, "application/xml", bytes.Repeat([]byte("a"), 1001))}, 413, "1000 bytes"},
		"a form too many":      {[]client.Part{document, form, form}, 409, ""},
		"no parts":             {nil, 400, ""},
	} {
		rejected := post(name, test.fields...)
		if rejected.status != test.status || !strings.Contains(member(t, rejected, "detail"), test.detail) {
			t.Errorf("%s: %v", name, rejected)
		}
	}
}
