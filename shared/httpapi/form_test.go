package httpapi

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"strings"
	"testing"

	"altinn.no/instanceapi/shared/fault"
)

func formRequest(contentType, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	return r
}

func TestReadForm(t *testing.T) {
	var everyByte []byte
	for c := range 256 {
		everyByte = append(everyByte, byte(c), '\r', '\n', '-')
	}
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, part := range []struct{ disposition, contentType, body string }{
		{`form-data; name="instance"`, "application/json", `{"n":1}`},
		{`form-data; name=vedlegg; filename="Søknad ""1.pdf"`, "", string(everyByte)},
		{`form-data; name="vedlegg"; filename*=utf-8''%C3%A5.txt`, "text/plain; charset=utf-8", ""},
	} {
		header := textproto.MIMEHeader{"Content-Disposition": {strings.ReplaceAll(part.disposition, `""`, `\"`)}}
		if part.contentType != "" {
			header.Set("Content-Type", part.contentType)
		}
		out, err := w.CreatePart(header)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(out, part.body)
	}
	_ = w.Close()
	parts, err := ReadForm(formRequest(w.FormDataContentType(), b.String()), int64(b.Len()), 3)
	if err != nil || len(parts) != 3 {
		t.Fatalf("%d parts, %v", len(parts), err)
	}
	for n, want := range []Part{
		{"instance", "application/json", `form-data; name="instance"`, []byte(`{"n":1}`), 1},
		{"vedlegg", "", `form-data; name=vedlegg; filename="Søknad \"1.pdf"`, everyByte, 2},
		{"vedlegg", "text/plain; charset=utf-8", `form-data; name="vedlegg"; filename*=utf-8''%C3%A5.txt`, []byte{}, 3},
	} {
		if fmt.Sprintf("%#v", parts[n]) != fmt.Sprintf("%#v", want) {
			t.Errorf("part %d: %#v\nwant %#v", n, parts[n], want)
		}
	}
	var into struct {
		N int `json:"n"`
	}
	if err := parts[0].DecodeJSON(&into); err != nil || into.N != 1 {
		t.Errorf("%+v, %v", into, err)
	}
	if err := parts[2].DecodeJSON(&into); !fault.HasCode(err, "body-not-json") {
		t.Errorf("text as JSON: %v", err)
	}
	parts[2].ContentType, parts[2].Body = "application/json", []byte(`{"n":1,"n":2}`)
	if err := parts[2].DecodeJSON(&into); !fault.HasCode(err, "body-invalid") {
		t.Errorf("a member twice: %v", err)
	}
	if _, err := ReadForm(formRequest(w.FormDataContentType(), b.String()), int64(b.Len()), 2); !fault.HasCode(err, "body-invalid") {
		t.Errorf("one part over the limit: %v", err)
	}
	if _, err := ReadForm(formRequest(w.FormDataContentType(), b.String()), int64(b.Len())-1, 3); !fault.HasCode(err, "body-too-large") {
		t.Errorf("one byte over the limit: %v", err)
	}
}

func TestReadFormRejects(t *testing.T) {
	const part = "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx"
	for name, test := range map[string]struct{ contentType, body string }{
		"no boundary":             {"multipart/form-data", part + "\r\n--b--\r\n"},
		"an empty boundary":       {`multipart/form-data; boundary=""`, part + "\r\n--b--\r\n"},
		"an unknown boundary":     {"multipart/form-data; boundary=c", part + "\r\n--b--\r\n"},
		"an empty body":           {"multipart/form-data; boundary=b", ""},
		"no end":                  {"multipart/form-data; boundary=b", part},
		"no end after a boundary": {"multipart/form-data; boundary=b", part + "\r\n--b\r\n"},
		"truncated in a header":   {"multipart/form-data; boundary=b", part[:20]},
		"no Content-Disposition":  {"multipart/form-data; boundary=b", "--b\r\n\r\nx\r\n--b--\r\n"},
		"an attachment":           {"multipart/form-data; boundary=b", strings.Replace(part, "form-data", "attachment", 1) + "\r\n--b--\r\n"},
		"an empty name":           {"multipart/form-data; boundary=b", strings.Replace(part, `"a"`, `""`, 1) + "\r\n--b--\r\n"},
		"an encoded part":         {"multipart/form-data; boundary=b", strings.Replace(part, "Content-", "Content-Transfer-Encoding: base64\r\nContent-", 1) + "\r\n--b--\r\n"},
		"a malformed header line": {"multipart/form-data; boundary=b", strings.Replace(part, "Content-", "x\r\nContent-", 1) + "\r\n--b--\r\n"},
	} {
		if parts, err := ReadForm(formRequest(test.contentType, test.body), 1000, 10); !fault.HasCode(err, "body-invalid") {
			t.Errorf("%s: %v, %v", name, parts, err)
		}
	}
	good := strings.Replace(part, "Content-", "Content-Transfer-Encoding: Binary\r\nContent-", 1) + "\r\n--b--\r\n"
	if parts, err := ReadForm(formRequest("multipart/form-data; boundary=b", good), 1000, 10); err != nil || string(parts[0].Body) != "x" {
		t.Errorf("%v, %v", parts, err)
	}
}

// TestPartHeaders verifies that the header of a part has the same rules as that of a body.
func TestPartHeaders(t *testing.T) {
	const md5OfX, md5OfNone = "ndTkYSaMgDT1yFZOFVxnpg==", "1B2M2Y8AsgTpgAmY7PhCfg=="
	for _, test := range []struct{ header, code string }{
		{"Content-MD5: " + md5OfX, ""},
		{"Content-MD5: " + md5OfNone, "digest-mismatch"},
		{"Content-Digest: md5=:" + md5OfX + ":", ""},
		{"Content-Digest: md5=:" + md5OfNone + ":", "digest-mismatch"},
		{"repr-digest: sha-256=:AAAA:", "digest-mismatch"},
		{"Content-Range: bytes 0-0/2", "body-partial"},
		{"content-range: bytes 0-0/1", "body-partial"},
	} {
		body := "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n" + test.header + "\r\n\r\nx\r\n--b--\r\n"
		parts, err := ReadForm(formRequest("multipart/form-data; boundary=b", body), 1000, 10)
		switch {
		case test.code == "" && err == nil && len(parts) == 1:
		case test.code != "" && fault.HasCode(err, test.code) && strings.Contains(err.Error(), `part 1 ("a")`):
		default:
			t.Errorf("%s: %v, %v, want the code %q with the name of the part", test.header, parts, err, test.code)
		}
	}
}

// TestPartString verifies that an error does not contain an identity number from a part name.
func TestPartString(t *testing.T) {
	for name, want := range map[string]string{
		"default": `part 2 ("default")`, "12247918309": `part 2 ("…")`, "a\r\nb": `part 2 ("a\r\nb")`,
	} {
		if got := (Part{Name: name, number: 2}).String(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestFingerprintOfAForm(t *testing.T) {
	fingerprint := func(contentType, body string) string {
		r := formRequest(contentType, body)
		f, err := Fingerprint(r, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := io.ReadAll(r.Body); string(again) != body {
			t.Errorf("the body after Fingerprint is %q", again)
		}
		return f
	}
	form := func(boundary, content string) string {
		return fingerprint("multipart/form-data; boundary="+boundary, "--"+boundary+"\r\nContent-Disposition: form-data; name=a\r\n\r\n"+content+"\r\n--"+boundary+"--\r\n")
	}
	if form("one", "x") != form("two", "x") {
		t.Error("the boundary changes the fingerprint")
	}
	if form("one", "x") == form("one", "y") || form("one", "x") == fingerprint("application/json", "x") {
		t.Error("different forms have the same fingerprint")
	}
	if form("one", "x--oney") == form("one", "x--y") {
		t.Error("a boundary within a line does not change the fingerprint")
	}
	if fingerprint("text/plain; boundary=one", "--one") == fingerprint("text/plain; boundary=two", "--two") {
		t.Error("the boundary parameter of text/plain does not change the fingerprint")
	}
}
