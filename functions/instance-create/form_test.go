package main

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/textproto"
	"strings"
	"testing"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/instance"
)

// part is a part of a form: the parameters of its Content-Disposition, its type and its content.
type part struct{ disposition, contentType, body string }

func document(body string) part { return part{`name="instance"`, "application/json", body} }

func xmlPart(name string) part { return part{`name="` + name + `"`, "application/xml", "<melding/>"} }

// form returns a form body with the parts and a random boundary.
func form(t *testing.T, parts ...part) apitest.Option {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, p := range parts {
		header := textproto.MIMEHeader{"Content-Disposition": {"form-data; " + p.disposition}}
		if p.contentType != "" {
			header.Set("Content-Type", p.contentType)
		}
		out, err := w.CreatePart(header)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := out.Write([]byte(p.body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return apitest.Body(w.FormDataContentType(), b.String())
}

func TestForm(t *testing.T) {
	const pdf = "%PDF-1.4\r\n\x00\xff--\r\n"
	api := newAPI(t)
	i := api.Do(t, apitest.Kari, "POST", path, form(t,
		part{`name="attachment"; filename="C:\\skann\\Søknad.pdf"`, "application/pdf", pdf},
		document(`{`+kari+`,"labels":["gr"],"presentationField":"Årsmelding",`+
			`"data":[{"formId":"attachment","contentType":"text/plain","content":"aGVp"}]}`),
		xmlPart("default"),
		part{`name=attachment; filename*=utf-8''%C3%A6.csv`, "text/csv; charset=utf-8", "a;b"},
	)).Instance(api, 201)
	if i.InstanceOwnerID != apitest.KariParty || i.PresentationField != "Årsmelding" || len(i.Labels) != 1 || len(i.Data) != 4 {
		t.Fatalf("got %+v", i)
	}
	for n, want := range []struct{ formID, contentType, fileName, content string }{
		{"attachment", "text/plain", "attachment.txt", "hei"},
		{"attachment", "application/pdf", "Søknad.pdf", pdf},
		{"default", "application/xml", "default.xml", "<melding/>"},
		{"attachment", "text/csv; charset=utf-8", "æ.csv", "a;b"},
	} {
		d := i.Data[n]
		if d.FormID != want.formID || d.ContentType != want.contentType || d.FileName != want.fileName || d.CreatedBy != "1001" {
			t.Errorf("element %d: %+v", n, d)
		}
		object, err := api.Blobs.Get(t.Context(), blob.KeyOf(i.AppID, i.InstanceOwnerID, i.ID, d.Revision), nil)
		if err != nil {
			t.Fatal(err)
		}
		content := make([]byte, object.Size)
		if _, err := object.Body.Read(content); err != nil || string(content) != want.content || d.FileSize != object.Size {
			t.Errorf("the content of element %d is %q (%v)", n, content, err)
		}
	}
	if len(api.Instances.Outbox()) != 1 || len(api.Blobs.Keys()) != 4 {
		t.Errorf("%d events, blobs %v", len(api.Instances.Outbox()), api.Blobs.Keys())
	}
	if i := api.Do(t, apitest.Nav, "POST", path, form(t, document(`{`+kari+`}`))).Instance(api, 201); len(i.Data) != 0 {
		t.Errorf("got %+v", i)
	}
}

// TestRejectedForms checks that a form obeys the same rules as JSON. A rejected form must change
// nothing, and the error must name the part.
func TestRejectedForms(t *testing.T) {
	doc := document(`{` + kari + `}`)
	many := []part{doc}
	for range instance.MaxDataElements + 1 {
		many = append(many, xmlPart("attachment"))
	}
	for name, test := range map[string]struct {
		body   apitest.Option
		status int
		code   string
		detail string
	}{
		"no document":                {form(t, xmlPart("default")), 400, "instance-part-missing", "none"},
		"two documents":              {form(t, doc, xmlPart("default"), doc), 400, "instance-part-missing", "two"},
		"a document of text":         {form(t, part{`name="instance"`, "", `{` + kari + `}`}), 415, "body-not-json", `part 1 ("instance")`},
		"an unknown member":          {form(t, document(`{`+kari+`,"due":1}`)), 400, "body-invalid", `member "/due"`},
		"another's instance":         {form(t, document(`{"instanceOwnerId":"5000000002"}`)), 404, "not-found", ""},
		"an undeclared formId":       {form(t, doc, xmlPart("skjema")), 400, "form-id-unknown", `part 2 ("skjema")`},
		"an identity as formId":      {form(t, doc, xmlPart(apitest.OlaSSN)), 400, "form-id-unknown", `part 2 ("…")`},
		"a type not allowed":         {form(t, xmlPart("attachment"), part{`name="default"`, "text/plain", "x"}, doc), 415, "content-type-not-allowed", `part 2 ("default")`},
		"no type":                    {form(t, doc, part{`name="default"`, "", "x"}), 415, "content-type-invalid", `part 2`},
		"no content":                 {form(t, doc, part{`name="default"`, "application/xml", ""}), 400, "data-empty", `part 2`},
		"over the limit of the form": {form(t, doc, part{`name="default"`, "application/xml", strings.Repeat("a", 1_000_001)}), 413, "data-too-large", `part 2`},
		"over maxCount":              {form(t, doc, xmlPart("default"), xmlPart("default")), 409, "data-count", ""},
		"too many parts":             {form(t, many...), 400, "body-invalid", fmt.Sprint(instance.MaxDataElements+1, " parts")},
		"over the inline limit":      {form(t, doc, part{`name="attachment"`, "image/png", strings.Repeat("a", blob.InlineLimit)}), 413, "body-too-large", ""},
		"a part without a name":      {form(t, doc, part{`filename="a.xml"`, "application/xml", "x"}), 400, "body-invalid", "part 2"},
		"no end":                     {apitest.Body("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=a\r\n\r\nx"), 400, "body-invalid", ""},
		"another kind of parts":      {apitest.Body("multipart/mixed; boundary=b", "--b--"), 415, "body-not-json", ""},
	} {
		t.Run(name, func(t *testing.T) {
			api := newAPI(t)
			api.AssertUnchanged(t, nil, func() {
				response := api.Do(t, apitest.Kari, "POST", path, test.body).Want(test.status, test.code)
				if !strings.Contains(response.Problem().Detail, test.detail) {
					t.Errorf("%q does not contain %s", response.Problem().Detail, test.detail)
				}
			})
		})
	}
}

func TestRepeatedForm(t *testing.T) {
	api := newAPI(t)
	send := func(content string) apitest.Response { // each form has another boundary
		return api.Do(t, apitest.Kari, "POST", path, form(t, document(`{`+kari+`}`), part{`name="default"`, "application/xml", content}), key("a"))
	}
	first := send("<a/>")
	api.AssertUnchanged(t, first.Instance(api, 201), func() {
		if again := send("<a/>").Want(201, ""); again.Body.String() != first.Body.String() {
			t.Errorf("the repeat is %s", again.Body)
		}
		send("<b/>").Want(422, "idempotency-key-reused")
	})
}
