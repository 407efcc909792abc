package acceptance

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"net/http"
	"strings"
	"testing"
	"time"
)

// largeSize is the size of the transferred file: over twenty times the maximum payload of a
// function.
const largeSize = 100 << 20

// largeApplication accepts attachments of any type and size.
const largeApplication = `{"dataTypes": [{"formId": "default", "allowedContentTypes": ["application/xml"], "maxSize": 1000, "maxCount": 1},
	{"formId": "attachment", "allowedContentTypes": ["*/*"], "minCount": 0, "maxCount": 0},
	{"formId": "lines", "minCount": 0, "xsd": "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema'><xs:element name='r'><xs:complexType><xs:sequence><xs:element name='a' type='xs:int' maxOccurs='unbounded'/></xs:sequence></xs:complexType></xs:element></xs:schema>"}]}`

// reporter is a person with an instance, and the owner of its application.
type reporter struct {
	api
	owner, person string // tokens
	path, stored  string // of the instance, on the Application and on the Storage API
}

func newReporter(t *testing.T) *reporter {
	t.Helper()
	return newReporterOf(t, system(t).api)
}

// newReporterOf returns a reporter that uses target.
func newReporterOf(t *testing.T, target api) *reporter {
	t.Helper()
	sut, org, ssn := system(t), freshOrg(), randomDigits(11)
	r := &reporter{
		api:   target,
		owner: sut.mustToken(t, map[string]string{"ORG": org}), person: sut.mustToken(t, map[string]string{"SSN": ssn}),
	}
	r.send(t, r.owner, "PUT", "/storage/applications/"+org+"/large", largeApplication, 201)
	made := r.send(t, r.person, "POST", "/"+org+"/large/instances", `{"reportee": {"ssn": "`+ssn+`"}}`, 201)
	instance := "/instances/" + member(t, made, "instanceOwnerId") + "/" + member(t, made, "id")
	r.path, r.stored = "/"+org+"/large"+instance, "/storage"+instance
	return r
}

// send sends a request, with a JSON body unless it is "", and checks the status.
func (r *reporter) send(t *testing.T, token, method, target, body string, status int, headers ...string) *exchange {
	t.Helper()
	req := request{method: method, target: target, header: http.Header{}, body: []byte(body)}
	if body != "" {
		req.header.Set("Content-Type", "application/json")
	}
	for n := 0; n < len(headers); n += 2 {
		req.header.Set(headers[n], headers[n+1])
	}
	x, err := r.do(t.Context(), req, token)
	if err != nil {
		t.Fatal(err)
	}
	if x.status != status {
		t.Fatalf("status %d, want %d\n%v", x.status, status, x)
	}
	return x
}

func member(t *testing.T, x *exchange, name string) string {
	t.Helper()
	var document map[string]any
	if err := json.Unmarshal(x.body, &document); err != nil {
		t.Fatalf("%v\n%v", err, x)
	}
	return fmt.Sprint(document[name])
}

// signed is the response that starts an upload.
type signed struct {
	ID, URL, Method string
	Headers         map[string]string
	Expires         time.Time
}

func (r *reporter) announce(t *testing.T, formID, fileName, contentType string, size int64, sum []byte) signed {
	t.Helper()
	body := fmt.Sprintf(`{"fileName": %q, "contentType": %q, "size": %d, "sha256": %q}`, fileName, contentType, size, hex.EncodeToString(sum))
	x := r.send(t, r.person, "POST", r.path+"/uploads?formId="+formID, body, 201)
	var link signed
	if err := json.Unmarshal(x.body, &link); err != nil {
		t.Fatal(err)
	}
	if left := time.Until(link.Expires); link.Method != "PUT" || left <= 0 || left > 5*time.Minute+time.Second {
		t.Errorf("%s, valid for %s", link.Method, left)
	}
	return link
}

// content returns size bytes, the same on every call.
func content(size int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{'l', 'a', 'r', 'g', 'e'}), size)
}

func sumOf(t *testing.T, body io.Reader) (int64, []byte) {
	t.Helper()
	h := sha256.New()
	n, err := io.Copy(h, body)
	if err != nil {
		t.Fatal(err)
	}
	return n, h.Sum(nil)
}

// put sends content with a link.
func (l signed) put(ctx context.Context, body io.Reader, size int64, change func(*http.Request)) (int, error) {
	req, err := http.NewRequestWithContext(ctx, l.Method, l.URL, body)
	if err != nil {
		return 0, err
	}
	for name, value := range l.Headers {
		if name != "Content-Length" { // net/http uses ContentLength
			req.Header.Set(name, value)
		}
	}
	req.ContentLength = size
	if change != nil {
		change(req)
	}
	res, err := transfers.Do(req)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	return res.StatusCode, err
}

// transfers follows redirects, as a client of large files does.
var transfers = &http.Client{Timeout: patience}

// TestLargeFile uploads and downloads 100 MB. The content passes through no function.
func TestLargeFile(t *testing.T) {
	t.Parallel()
	r := newReporter(t)
	_, sum := sumOf(t, content(largeSize))
	link := r.announce(t, "attachment", "Årsmelding «2026».pdf", "application/pdf", largeSize, sum)
	commit := r.path + "/data?formId=attachment&upload=" + link.ID

	missing := r.send(t, r.person, "POST", commit, "", 409)
	if code := member(t, missing, "code"); code != "upload-missing" {
		t.Errorf("before the upload: %s", code)
	}
	if status, err := link.put(t.Context(), content(largeSize), largeSize, nil); err != nil || status != 200 {
		t.Fatalf("PUT: status %d, %v", status, err)
	}
	if status, err := link.put(t.Context(), strings.NewReader("again"), 5, nil); err != nil || status < 400 {
		t.Errorf("PUT of different content afterwards: status %d, %v", status, err)
	}
	committed := r.send(t, r.person, "POST", commit, "", 201)
	again := r.send(t, r.person, "POST", commit, "", 200)
	if !bytes.Equal(committed.body, again.body) {
		t.Errorf("committed again: %v", again)
	}
	var made struct {
		Data []struct {
			ID, FileName, ContentType string
			FileSize                  int64
		}
	}
	if err := json.Unmarshal(committed.body, &made); err != nil || len(made.Data) != 1 {
		t.Fatalf("%v\n%v", err, committed)
	}
	element := made.Data[0]
	if element.FileSize != largeSize || element.FileName != "Årsmelding «2026».pdf" || element.ContentType != "application/pdf" {
		t.Errorf("%+v", element)
	}
	r.fetch(t, r.path+"/data/"+element.ID, r.person, sum)
	r.fetch(t, r.stored+"/data/"+element.ID, r.owner, sum)

	// The owner can confirm what it has downloaded.
	r.send(t, r.owner, "POST", r.stored+"/data/"+element.ID+"/confirmDownload", "", 200)
}

// fetch checks a download: the API's response and the content behind the link.
func (r *reporter) fetch(t *testing.T, target, token string, sum []byte) {
	t.Helper()
	digest := "sha-256=:" + base64.StdEncoding.EncodeToString(sum) + ":"
	head := r.send(t, token, "HEAD", target, "", 200)
	if head.header.Get("Content-Length") != fmt.Sprint(largeSize) || head.header.Get("Location") != "" || head.header.Get("Repr-Digest") != digest {
		t.Errorf("HEAD: %v", head)
	}
	x := r.send(t, token, "GET", target, "", 307)
	etag := x.header.Get("ETag")
	if x.header.Get("Repr-Digest") != digest || etag == "" || etag != head.header.Get("ETag") || x.header.Get("Cache-Control") != "no-store" || len(x.body) > 0 {
		t.Errorf("GET: %v", x)
	}
	r.send(t, token, "GET", target, "", 304, "If-None-Match", etag)
	r.send(t, token, "GET", target, "", 416, "Range", fmt.Sprintf("bytes=%d-", largeSize))

	location := x.header.Get("Location")
	res := download(t, location, "")
	size, got := sumOf(t, res.Body)
	_ = res.Body.Close()
	if res.StatusCode != 200 || size != largeSize || !bytes.Equal(got, sum) {
		t.Errorf("status %d, %d bytes with the SHA-256 %x, want %x", res.StatusCode, size, got, sum)
	}
	kind, params, err := mime.ParseMediaType(res.Header.Get("Content-Disposition"))
	if err != nil || kind != "attachment" || params["filename"] != "attachment.pdf" || res.Header.Get("Content-Type") != "application/pdf" {
		t.Errorf("Content-Disposition %q, Content-Type %q", res.Header.Get("Content-Disposition"), res.Header.Get("Content-Type"))
	}
	res = download(t, location, "bytes=1000-1999")
	part, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	want := make([]byte, 2000)
	if _, err := io.ReadFull(content(2000), want); err != nil {
		t.Fatal(err)
	}
	if err != nil || res.StatusCode != 206 || !bytes.Equal(part, want[1000:]) || res.Header.Get("Content-Range") != fmt.Sprintf("bytes 1000-1999/%d", largeSize) {
		t.Errorf("range: status %d, %d bytes, Content-Range %q, %v", res.StatusCode, len(part), res.Header.Get("Content-Range"), err)
	}
}

func download(t *testing.T, link, rng string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, link, nil)
	if err != nil {
		t.Fatal(err)
	}
	if rng != "" {
		req.Header.Set("Range", rng)
	}
	res, err := transfers.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// TestReplaceLargeFile replaces a small file by one that no function can receive.
func TestReplaceLargeFile(t *testing.T) {
	t.Parallel()
	r := newReporter(t)
	const size = 4_400_001
	made := r.send(t, r.person, "POST", r.path+"/data?formId=attachment", "%PDF-1.4", 201, "Content-Type", "application/pdf")
	var i struct {
		Data []struct{ ID, FileName string }
	}
	if err := json.Unmarshal(made.body, &i); err != nil || len(i.Data) != 1 {
		t.Fatalf("%v\n%v", err, made)
	}
	target := r.path + "/data/" + i.Data[0].ID
	etag := r.send(t, r.person, "HEAD", target, "", 200).header.Get("ETag")
	_, sum := sumOf(t, content(size))
	link := r.announce(t, "attachment", "ny.pdf", "application/pdf", size, sum)
	r.send(t, r.person, "PUT", target+"?upload="+link.ID, "", 409)
	if status, err := link.put(t.Context(), content(size), size, nil); err != nil || status != 200 {
		t.Fatalf("PUT: status %d, %v", status, err)
	}
	replaced := r.send(t, r.person, "PUT", target+"?upload="+link.ID, "", 200, "If-Match", etag)
	if again := r.send(t, r.person, "PUT", target+"?upload="+link.ID, "", 200, "If-Match", etag); !bytes.Equal(again.body, replaced.body) {
		t.Errorf("the repeat is %v", again)
	}
	other := r.send(t, r.person, "POST", r.path+"/data?formId=attachment&upload="+link.ID, "", 409)
	if code := member(t, other, "code"); code != "upload-committed" {
		t.Errorf("the same upload as a new element: %s", code)
	}
	if err := json.Unmarshal(replaced.body, &i); err != nil || len(i.Data) != 1 || !strings.HasSuffix(target, i.Data[0].ID) || i.Data[0].FileName != "ny.pdf" {
		t.Errorf("%v\n%v", err, replaced)
	}
	res := download(t, r.send(t, r.person, "GET", target, "", 307).header.Get("Location"), "")
	n, got := sumOf(t, res.Body)
	_ = res.Body.Close()
	if n != size || !bytes.Equal(got, sum) {
		t.Errorf("%d bytes with the SHA-256 %x, want %x", n, got, sum)
	}
}

// Uploaded XML that no function can receive is validated from the store, with or without a schema.
func TestLargeXML(t *testing.T) {
	t.Parallel()
	r := newReporter(t)
	lines := strings.Repeat("<a>1</a>", 700_000)
	for _, test := range []struct{ formID, body, want string }{
		{"lines", "<r>" + lines + "<a>x</a></r>", "[SchemaViolation /a/700000]"},
		{"lines", "<r>" + lines + "</r>", "[]"},
		{"attachment", "<r>" + lines + "</r>&#32;", "[DataNotWellFormed ]"},
		{"attachment", "<r>" + lines + "</r>", "[]"},
	} {
		size, sum := sumOf(t, strings.NewReader(test.body))
		link := r.announce(t, test.formID, "a.xml", "application/xml", size, sum)
		if status, err := link.put(t.Context(), strings.NewReader(test.body), size, nil); err != nil || status != 200 {
			t.Fatalf("PUT: status %d, %v", status, err)
		}
		made := r.send(t, r.person, "POST", r.path+"/data?formId="+test.formID+"&upload="+link.ID, "", 201)
		x := r.send(t, r.person, "GET", made.header.Get("Location")+"/validate", "", 200)
		var list struct {
			Issues []struct{ Code, Field string }
		}
		if err := json.Unmarshal(x.body, &list); err != nil {
			t.Fatal(err)
		}
		got := []string{}
		for _, i := range list.Issues {
			got = append(got, i.Code+" "+i.Field)
		}
		// An issue has no field if its element is not found in the time for the validation.
		if all := fmt.Sprint(got); all != test.want && all != strings.Replace(test.want, "/a/700000", "", 1) {
			t.Errorf("%s: %s, want %s", test.formID, all, test.want)
		}
	}
}

// A link rejects content that differs from the announcement. Package storage tests more rejections.
func TestLinkRejectsOtherContent(t *testing.T) {
	t.Parallel()
	r := newReporter(t)
	const body = "the announced bytes"
	sum := sha256.Sum256([]byte(body))
	link := r.announce(t, "attachment", "a.pdf", "application/pdf", int64(len(body)), sum[:])
	for other, change := range map[string]func(*http.Request){
		"the pronounced byte": nil,
		body:                  func(req *http.Request) { req.Header.Set("Content-Type", "text/html") },
	} {
		if status, err := link.put(t.Context(), strings.NewReader(other), int64(len(other)), change); err != nil || status < 400 || status >= 500 {
			t.Errorf("%q: status %d, %v", other, status, err)
		}
	}
	r.send(t, r.person, "POST", r.path+"/data?formId=attachment&upload="+link.ID, "", 409)
	if status, err := link.put(t.Context(), strings.NewReader(body), int64(len(body)), nil); err != nil || status != 200 {
		t.Errorf("the announced content: status %d, %v", status, err)
	}
	made := r.send(t, r.person, "POST", r.path+"/data?formId=attachment&upload="+link.ID, "", 201)
	// A small file is returned inline, even if it was uploaded to the store.
	if x := r.send(t, r.owner, "GET", made.header.Get("Location"), "", 200); string(x.body) != body {
		t.Errorf("got %q", x.body)
	}
}
