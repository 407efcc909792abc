package acceptance

import (
	"bytes"
	"encoding/json"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// field is one part of a form.
type field struct {
	disposition string // after "form-data; "
	contentType string
	body        []byte
}

func encodeForm(t *testing.T, fields []field) (contentType string, body []byte) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, f := range fields {
		header := textproto.MIMEHeader{"Content-Disposition": {"form-data; " + f.disposition}}
		if f.contentType != "" {
			header.Set("Content-Type", f.contentType)
		}
		part, err := w.CreatePart(header)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := part.Write(f.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), b.Bytes()
}

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
	post := func(key string, fields ...field) *exchange {
		t.Helper()
		contentType, body := encodeForm(t, fields)
		x, err := r.do(t.Context(), request{method: "POST", target: instances, header: http.Header{"Content-Type": {contentType}, "Idempotency-Key": {key}}, body: body}, r.person)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	document := field{`name="instance"`, "application/json; charset=utf-8", []byte(`{"instanceOwnerId": "` + owner + `", "labels": ["skjema"]}`)}
	form := field{`name="default"; filename="skjema.xml"`, "application/xml", []byte("<melding/>")}
	attachment := field{`name="attachment"; filename="Søknad 1.pdf"; filename*=utf-8''S%C3%B8knad%201.pdf`, "application/pdf", pdf}

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
	for n, want := range []field{attachment, form} {
		got := r.send(t, r.person, "GET", made.Data[n].DataLinks.Apps, "", 200)
		if !bytes.Equal(got.body, want.body) || got.header.Get("Content-Type") != want.contentType || !strings.HasPrefix(want.disposition, `name="`+made.Data[n].FormID) {
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
		fields []field
		status int
		says   string
	}{
		"no document":          {[]field{form}, 400, `"instance"`},
		"an undeclared formId": {[]field{document, {`name="skjema"`, "application/xml", []byte("<a/>")}}, 400, "skjema"},
		"a type not allowed":   {[]field{document, {`name="default"`, "text/plain", []byte("a")}}, 415, "default"},
		"too much":             {[]field{document, {`name="default"`, "application/xml", bytes.Repeat([]byte("a"), 1001)}}, 413, "1000 bytes"},
		"a form too many":      {[]field{document, form, form}, 409, ""},
		"no parts":             {nil, 400, ""},
	} {
		rejected := post(name, test.fields...)
		if rejected.status != test.status || !strings.Contains(member(t, rejected, "detail"), test.says) {
			t.Errorf("%s: %v", name, rejected)
		}
	}
}
