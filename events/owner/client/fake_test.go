package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// fake is a Storage API in memory that answers what the real one would, unless a test wants trouble. The acceptance test
// runs the command against the real one.
type fake struct {
	*httptest.Server
	t *testing.T

	mu        sync.Mutex
	instances []*report
	events    []*report // the instance of each, in its order
	clock     time.Time
	seen      []string // "GET /storage/… Range: bytes=3-"

	// Trouble, when not nil, is asked before a request is answered; true: it has answered. It is called with mu held.
	trouble func(w http.ResponseWriter, r *http.Request) bool
	// confirming, when not nil, is called with mu held before a confirmation takes effect.
	confirming func(i *report)
}

// report is an instance.
type report struct {
	guid    string
	step    string
	version int
	gone    bool
	files   []*attachment
}

type attachment struct {
	guid, name            string
	bytes                 []byte
	revision              int
	changed               time.Time
	downloaded, confirmed []time.Time
}

// inlineLimit is how much the fake sends itself.
const inlineLimit = 1000

const goodToken = "token-of-nav"

func newFake(t *testing.T) *fake {
	f := &fake{t: t, clock: time.Now()}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /storage/instances", f.query)
	mux.HandleFunc("GET /storage/instances/{owner}/{guid}", f.instance)
	mux.HandleFunc("GET /storage/instances/{owner}/{guid}/data/{data}", f.data)
	mux.HandleFunc("POST /storage/instances/{owner}/{guid}/confirmDownload", f.confirm)
	mux.HandleFunc("GET /storage/applications/nav/test/events", f.feed)
	mux.HandleFunc("GET /bytes/{guid}/{data}", f.bytes)
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.seen = append(f.seen, strings.TrimSpace(r.Method+" "+r.URL.Path+" "+r.Header.Get("Range")))
		if f.trouble != nil && f.trouble(w, r) {
			return
		}
		if !strings.HasPrefix(r.URL.Path, "/bytes/") && r.Header.Get("Authorization") != "Bearer "+goodToken {
			problem(w, 401, "token-invalid")
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

func problem(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"status": status, "code": code, "detail": "d", "traceId": "t"})
}

func guid(n int) string { return fmt.Sprintf("0192d3c4-0000-7000-8000-%012x", n) }

func (f *fake) now() time.Time {
	f.clock = f.clock.Add(time.Millisecond)
	return f.clock
}

// submit makes a submitted instance, with a file for each name and content.
func (f *fake) submit(files ...string) *report {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := &report{guid: guid(len(f.instances) + 1), step: "Submit", version: 1}
	for n := 0; n < len(files); n += 2 {
		i.files = append(i.files, &attachment{
			guid: guid(1000*len(f.instances) + n + 1000), name: files[n], bytes: []byte(files[n+1]), revision: 1, changed: f.now(),
		})
	}
	f.instances, f.events = append(f.instances, i), append(f.events, i)
	return i
}

// replace gives a file other bytes, as a client may after an instance was sent back.
func (f *fake) replace(i *report, n int, content string) {
	a := i.files[n]
	a.bytes, a.changed, a.downloaded, a.confirmed = []byte(content), f.now(), nil, nil
	a.revision++
	i.version++
}

func (i *report) unconfirmed() bool {
	for _, a := range i.files {
		if len(a.confirmed) == 0 {
			return true
		}
	}
	return false
}

func (f *fake) document(i *report) map[string]any {
	data := []any{}
	for _, a := range i.files {
		element := map[string]any{
			"id": a.guid, "formId": "attachment", "fileName": a.name, "fileSize": len(a.bytes), "lastChangedDateTime": a.changed,
		}
		if len(a.downloaded) > 0 {
			element["applicationOwner"] = map[string]any{"downloaded": a.downloaded, "downloadConfirmed": a.confirmed}
		}
		data = append(data, element)
	}
	return map[string]any{"id": i.guid, "instanceOwnerId": "50012", "workflow": map[string]any{"currentStep": i.step}, "data": data}
}

func (f *fake) find(w http.ResponseWriter, r *http.Request) *report {
	for _, i := range f.instances {
		if i.guid == r.PathValue("guid") && !i.gone {
			return i
		}
	}
	problem(w, 404, "not-found")
	return nil
}

// query answers with a page of one instance, to be followed.
func (f *fake) query(w http.ResponseWriter, r *http.Request) {
	q, links, found := r.URL.Query(), map[string]any{}, []any{}
	if q.Get("appId") != "nav/test" || q.Get("downloadConfirmed") != "false" || q.Get("workflow.currentStep") == "" {
		f.t.Errorf("the query is %s", r.URL.RawQuery)
	}
	from, _ := strconv.Atoi(q.Get("page"))
	for n, i := range f.instances {
		if n < from || i.gone || i.step != q.Get("workflow.currentStep") || !i.unconfirmed() {
			continue
		}
		if len(found) == 1 {
			q.Set("page", strconv.Itoa(n))
			links["next"] = map[string]any{"href": "https://platform.example/storage/instances?" + q.Encode()}
			break
		}
		found = append(found, f.document(i))
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"_links": links, "_embedded": map[string]any{"instances": found}})
}

func (f *fake) feed(w http.ResponseWriter, r *http.Request) {
	after := r.URL.Query().Get("after")
	from, err := strconv.Atoi(strings.TrimPrefix(after, "c"))
	if err != nil { // a time: the test's instances are all of now
		from = 0
	}
	to := min(from+2, len(f.events))
	page := []any{}
	for _, i := range f.events[min(from, to):to] {
		page = append(page, map[string]any{
			"instanceLink": "https://platform.example/storage/instances/50012/" + i.guid, "workflowStep": i.step,
		})
	}
	w.Header().Set("Link", fmt.Sprintf(`<https://platform.example/storage/applications/nav/test/events?after=c%d>; rel="next"`, to))
	if len(page) == 0 && r.Header.Get("Prefer") != "" {
		f.mu.Unlock()
		time.Sleep(50 * time.Millisecond)
		f.mu.Lock()
	}
	_ = json.NewEncoder(w).Encode(page)
}

func (f *fake) instance(w http.ResponseWriter, r *http.Request) {
	if i := f.find(w, r); i != nil {
		w.Header().Set("ETag", fmt.Sprintf(`"%d"`, i.version))
		_ = json.NewEncoder(w).Encode(f.document(i))
	}
}

func (i *report) file(guid string) *attachment {
	for _, a := range i.files {
		if a.guid == guid {
			return a
		}
	}
	return nil
}

func (a *attachment) etag() string { return fmt.Sprintf(`"%s.%d"`, a.guid, a.revision) }

func (f *fake) data(w http.ResponseWriter, r *http.Request) {
	i := f.find(w, r)
	if i == nil {
		return
	}
	a := i.file(r.PathValue("data"))
	sum := sha256.Sum256(a.bytes)
	w.Header().Set("Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":")
	w.Header().Set("ETag", a.etag())
	if r.Method == http.MethodHead {
		return
	}
	a.downloaded = append(a.downloaded, f.now())
	i.version++
	if len(a.bytes) > inlineLimit {
		w.Header().Set("Location", f.URL+"/bytes/"+i.guid+"/"+a.guid)
		w.WriteHeader(http.StatusTemporaryRedirect)
		return
	}
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(a.bytes)))
}

// bytes is the store behind the redirection, which takes neither a token nor a condition.
func (f *fake) bytes(w http.ResponseWriter, r *http.Request) {
	for _, name := range []string{"Authorization", "If-Match", "If-Range"} {
		if r.Header.Get(name) != "" {
			f.t.Errorf("%s goes to the store of the bytes", name)
		}
	}
	if i := f.find(w, r); i != nil {
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(i.file(r.PathValue("data")).bytes)))
	}
}

func (f *fake) confirm(w http.ResponseWriter, r *http.Request) {
	i := f.find(w, r)
	if i == nil {
		return
	}
	if r.Header.Get("If-Match") != fmt.Sprintf(`"%d"`, i.version) {
		problem(w, 412, "version-stale")
		return
	}
	for _, a := range i.files {
		if len(a.downloaded) == 0 {
			problem(w, 409, "not-downloaded")
			return
		}
	}
	if f.confirming != nil {
		f.confirming(i)
	}
	for _, a := range i.files {
		if len(a.confirmed) == 0 {
			a.confirmed = append(a.confirmed, f.now())
			i.version++
		}
	}
	_ = json.NewEncoder(w).Encode(f.document(i))
}

// expect returns what has to be on the disk for an instance: its files by their name, as README.md says they are called.
func (i *report) expect() map[string]string {
	files := map[string]string{}
	for _, a := range i.files {
		files[a.guid] = string(a.bytes)
	}
	return files
}

// checkFolder holds the folder of an instance against what was submitted: each element once, whole, and described.
func checkFolder(t *testing.T, dir string, i *report) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, i.guid))
	if err != nil {
		t.Error(err)
		return
	}
	want, described := i.expect(), 0
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(dir, i.guid, entry.Name()))
		if err != nil {
			t.Error(err)
			continue
		}
		if entry.Name() == "instance.json" {
			var about struct {
				Instance struct{ ID string }
				Files    []struct{ DataElementID, File, SHA256 string }
			}
			if err := json.Unmarshal(content, &about); err != nil || about.Instance.ID != i.guid || len(about.Files) != len(i.files) {
				t.Errorf("%s/instance.json: %s (%v)", i.guid, content, err)
			}
			for _, file := range about.Files {
				if sum := sha256.Sum256([]byte(i.expect()[file.DataElementID])); fmt.Sprintf("%x", sum) != file.SHA256 {
					t.Errorf("instance.json says that %s has the SHA-256 %s", file.File, file.SHA256)
				}
				if _, err := os.Stat(filepath.Join(dir, i.guid, file.File)); err != nil {
					t.Error(err)
				}
			}
			described++
			continue
		}
		element := entry.Name()[:min(36, len(entry.Name()))]
		if bytes, ok := want[element]; !ok || bytes != string(content) {
			t.Errorf("%s/%s: %d bytes, which nobody submitted, or not once", i.guid, entry.Name(), len(content))
		}
		delete(want, element)
	}
	if len(want) > 0 || described != 1 {
		t.Errorf("%s: %d files are missing, %d descriptions", i.guid, len(want), described)
	}
}

// checkAll holds everything against what was submitted, and that it is confirmed, once.
func (f *fake) checkAll(dir string) {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	folders := 0
	for _, i := range f.instances {
		if i.gone || i.step != "Submit" {
			continue
		}
		folders++
		checkFolder(f.t, dir, i)
		for _, a := range i.files {
			if len(a.confirmed) != 1 {
				f.t.Errorf("%s of %s was confirmed %d times", a.guid, i.guid, len(a.confirmed))
			}
		}
	}
	found, err := filepath.Glob(filepath.Join(dir, "[0-9a-f]*-*"))
	if err != nil || len(found) != folders {
		f.t.Errorf("%d folders, want %d (%v)", len(found), folders, err)
	}
}
