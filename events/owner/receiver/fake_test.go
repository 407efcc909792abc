package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// fake is an in-memory Storage API that responds like the real one, unless a test intercepts
// requests. The test in tests/receiver runs the command against the real API.
type fake struct {
	*httptest.Server
	t *testing.T

	mu        sync.Mutex
	instances []*instance
	events    []*instance // the instance of each event, in order
	clock     time.Time
	requests  []string // "GET /storage/… Range: bytes=3-"

	// intercept, when not nil, is called with mu held before a request is handled. It returns
	// true if it has responded.
	intercept func(w http.ResponseWriter, r *http.Request) bool
	// reject, when not nil, is called with mu held for each instance of a confirmation. It returns
	// the status and the code of the instance's problem, or 0.
	reject func(i *instance) (status int, code string)
	// confirming, when not nil, is called with mu held before a confirmation takes effect.
	confirming func(i *instance)
}

// instance is an instance of the fake.
type instance struct {
	guid        string
	step        string
	version     int
	submitted   time.Time
	queued      bool // in the owner's work queue
	softDeleted bool
	deleted     bool // permanently
	files       []*attachment
	history     map[string]map[string]string // content by element, by the name of the folder that must have it
}

type attachment struct {
	guid, name            string
	content               []byte
	revision              int
	changed               time.Time
	downloaded, confirmed []time.Time

	pending int           // number of downloads for which the malware scan is pending
	blocked string        // the code of every later download, if the malware scan blocks the content
	scanned bool          // and clean, unless pending or blocked
	scanAge time.Duration // since the content became pending, or since its result
}

// inlineLimit is the size in bytes of the largest content that the fake sends without a redirect.
const inlineLimit = 1000

const goodToken = "token-of-nav"

func newFake(t *testing.T) *fake {
	f := &fake{t: t, clock: time.Now().Truncate(time.Millisecond)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /storage/instances", f.query)
	mux.HandleFunc("GET /storage/instances/{owner}/{guid}", f.instance)
	mux.HandleFunc("GET /storage/instances/{owner}/{guid}/data/{data}", f.data)
	mux.HandleFunc("POST /storage/confirmDownload", f.confirm)
	mux.HandleFunc("GET /storage/applications/nav/test/events", f.feed)
	mux.HandleFunc("GET /bytes/{guid}/{data}", f.content)
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.requests = append(f.requests, strings.TrimSpace(r.Method+" "+r.URL.Path+" "+r.Header.Get("Range")))
		if f.intercept != nil && f.intercept(w, r) {
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
	_ = json.NewEncoder(w).Encode(problemOf(status, code))
}

func problemOf(status int, code string) map[string]any {
	return map[string]any{"status": status, "code": code, "detail": "d", "traceId": "t"}
}

func guid(n int) string { return fmt.Sprintf("0192d3c4-0000-7000-8000-%012x", n) }

func (f *fake) now() time.Time {
	f.clock = f.clock.Add(time.Millisecond)
	return f.clock
}

// submit adds a submitted instance with a file for each pair of name and content.
func (f *fake) submit(files ...string) *instance {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := &instance{
		guid: guid(len(f.instances) + 1), step: "Submit", version: 1, submitted: f.now(), queued: true, history: map[string]map[string]string{},
	}
	for n := 0; n < len(files); n += 2 {
		i.files = append(i.files, &attachment{
			guid: guid(1000*len(f.instances) + n + 1000), name: files[n], content: []byte(files[n+1]), revision: 1, changed: f.now(),
		})
	}
	f.instances, f.events = append(f.instances, i), append(f.events, i)
	i.record()
	return i
}

// record adds the current content to the history. Call it after every change.
func (i *instance) record() {
	content := map[string]string{}
	for _, a := range i.files {
		if a.blocked == "" {
			content[a.guid] = string(a.content)
		}
	}
	i.history[i.folder()] = content
}

// folder returns the name of the folder that must have the current content.
func (i *instance) folder() string {
	latest := i.submitted
	for _, a := range i.files {
		if a.changed.After(latest) {
			latest = a.changed
		}
	}
	lines := ""
	for _, a := range i.files {
		if a.blocked != "" {
			lines += a.guid + " " + a.blocked + "\n"
		}
	}
	suffix := ""
	if lines != "" {
		suffix = fmt.Sprintf("-blocked-%.8s", fmt.Sprintf("%x", sha256.Sum256([]byte(lines))))
	}
	return latest.UTC().Format("20060102T150405.000000Z") + "-" + i.guid + suffix
}

// scanStatus returns the status of the malware scan, or "" if the content is not scanned.
func (a *attachment) scanStatus() string {
	if a.pending > 0 {
		return "pending"
	}
	if a.blocked == "" && a.scanned {
		return "clean"
	}
	return strings.TrimPrefix(a.blocked, "data-")
}

// stamp writes a time as the API does.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

// replace replaces the content of a file, as a client may after an instance was sent back.
func (f *fake) replace(i *instance, n int, content string) {
	a := i.files[n]
	a.content, a.changed, a.downloaded, a.confirmed = []byte(content), f.now(), nil, nil
	a.revision++
	i.version++
	if i.step != "FormFilling" {
		i.record()
	}
}

// sendBack sends an instance back to its user.
func (f *fake) sendBack(i *instance) {
	i.step, i.queued = "FormFilling", false
	i.version++
}

// resubmit submits an instance again that was sent back.
func (f *fake) resubmit(i *instance) {
	i.step, i.queued, i.submitted = "Submit", true, f.now()
	i.version++
	i.record()
	f.events = append(f.events, i)
}

func (f *fake) document(i *instance) map[string]any {
	data := []any{}
	for _, a := range i.files {
		element := map[string]any{
			"id": a.guid, "formId": "attachment", "fileName": a.name, "fileSize": len(a.content), "lastChangedDateTime": stamp(a.changed),
		}
		if status := a.scanStatus(); status != "" {
			element["scan"] = map[string]any{"status": status, "at": stamp(f.clock.Add(-a.scanAge))}
		}
		if len(a.downloaded) > 0 {
			element["applicationOwner"] = map[string]any{"downloaded": a.downloaded}
		}
		data = append(data, element)
	}
	return map[string]any{
		"id": i.guid, "instanceOwnerId": "5064120983", "data": data, "status": map[string]any{"isSoftDeleted": i.softDeleted},
		"workflow": map[string]any{"currentStep": i.step, "submittedDateTime": stamp(i.submitted)},
	}
}

func (f *fake) find(w http.ResponseWriter, r *http.Request) *instance {
	i := f.byGuid(r.PathValue("guid"))
	if i == nil {
		problem(w, 404, "not-found")
	}
	return i
}

// byGuid returns an instance, or nil if it does not exist.
func (f *fake) byGuid(guid string) *instance {
	for _, i := range f.instances {
		if i.guid == guid && !i.deleted {
			return i
		}
	}
	return nil
}

// pageSize is the number of instances on a page of a query.
const pageSize = 2

// query responds with a page of instances and a link to the next page.
func (f *fake) query(w http.ResponseWriter, r *http.Request) {
	q, links, found := r.URL.Query(), map[string]any{}, []any{}
	if q.Get("appId") != "nav/test" || q.Get("downloadConfirmed") != "false" || q.Has("workflow.currentStep") || q.Has("status.isSoftDeleted") {
		f.t.Errorf("unexpected query %s", r.URL.RawQuery)
	}
	from, _ := strconv.Atoi(q.Get("page"))
	for n, i := range f.instances {
		if n < from || i.deleted || !i.queued {
			continue
		}
		if len(found) == pageSize {
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
	if err != nil { // a time: all instances of the test are recent
		from = 0
	}
	to := min(from+2, len(f.events))
	page := []any{}
	for _, i := range f.events[min(from, to):to] {
		page = append(page, map[string]any{
			"instanceLink": "https://platform.example/storage/instances/5064120983/" + i.guid, "workflowStep": i.step,
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

func (i *instance) file(guid string) *attachment {
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
	switch {
	case a.pending > 0:
		a.pending--
		w.Header().Set("Retry-After", "5")
		problem(w, 409, "data-unscanned")
		return
	case a.blocked != "":
		problem(w, 409, a.blocked)
		return
	}
	sum := sha256.Sum256(a.content)
	w.Header().Set("Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":")
	w.Header().Set("ETag", a.etag())
	if r.Method == http.MethodHead {
		return
	}
	a.downloaded = append(a.downloaded, f.now())
	i.version++
	if len(a.content) > inlineLimit {
		w.Header().Set("Location", f.URL+"/bytes/"+i.guid+"/"+a.guid)
		w.WriteHeader(http.StatusTemporaryRedirect)
		return
	}
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(a.content)))
}

// content serves the object store behind the redirect, which accepts neither a token nor a
// condition.
func (f *fake) content(w http.ResponseWriter, r *http.Request) {
	for _, name := range []string{"Authorization", "If-Match", "If-Range"} {
		if r.Header.Get(name) != "" {
			f.t.Errorf("%s was sent to the object store", name)
		}
	}
	if i := f.find(w, r); i != nil {
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(i.file(r.PathValue("data")).content)))
	}
}

func (f *fake) confirm(w http.ResponseWriter, r *http.Request) {
	results := []map[string]any{}
	for _, item := range f.items(r) {
		result := map[string]any{"instanceOwnerId": item.InstanceOwnerID, "id": item.ID}
		results = append(results, result)
		status, code := f.confirmItem(item)
		if result["status"] = status; status != 200 {
			result["problem"] = problemOf(status, code)
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"results": results})
}

// confirmationItem is an item of the body of a confirmation.
type confirmationItem struct {
	InstanceOwnerID string `json:"instanceOwnerId"`
	ID              string `json:"id"`
	ETag            string `json:"etag"`
}

// items returns the items of the body of a confirmation.
func (f *fake) items(r *http.Request) []confirmationItem {
	var body struct{ Instances []confirmationItem }
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || len(body.Instances) == 0 || r.Header.Get("Content-Type") != "application/json" {
		f.t.Errorf("the body of a confirmation is invalid: %+v (%v)", body, err)
	}
	return body.Instances
}

func (f *fake) confirmItem(item confirmationItem) (status int, code string) {
	i := f.byGuid(item.ID)
	if i == nil {
		return 404, "not-found"
	}
	if f.reject != nil {
		if status, code := f.reject(i); status != 0 {
			return status, code
		}
	}
	if item.ETag != fmt.Sprintf(`"%d"`, i.version) {
		return 412, "version-stale"
	}
	for _, a := range i.files {
		if len(a.downloaded) == 0 && a.blocked == "" {
			return 409, "not-downloaded"
		}
	}
	if f.confirming != nil {
		f.confirming(i)
	}
	f.confirmed(i)
	return 200, ""
}

// confirmed records the confirmation of a submission; a repeat changes nothing.
func (f *fake) confirmed(i *instance) {
	if !i.queued {
		return
	}
	i.queued = false
	i.version++
	for _, a := range i.files {
		if a.blocked == "" && (len(a.confirmed) == 0 || a.confirmed[len(a.confirmed)-1].Before(i.submitted)) {
			a.confirmed = append(a.confirmed, f.now())
		}
	}
}

// checkFolder compares a submission's folder with its content: each element once, complete, and
// described.
func checkFolder(t *testing.T, path string, content map[string]string) {
	t.Helper()
	entries, err := os.ReadDir(path)
	if err != nil {
		t.Error(err)
		return
	}
	description, err := readDescription(path)
	if err != nil || len(description.Files) != len(content) || len(entries) != len(content)+1 {
		t.Errorf("%s: %d entries, %d files in instance.json, want %d files (%v)", path, len(entries), len(description.Files), len(content), err)
	}
	for _, file := range description.Files {
		stored, err := os.ReadFile(filepath.Join(path, file.File))
		want, ok := content[file.DataElementID]
		if err != nil || !ok || string(stored) != want {
			t.Errorf("%s/%s: the content (%d bytes) was not submitted (%v)", path, file.File, len(stored), err)
		}
		if sum := sha256.Sum256(stored); fmt.Sprintf("%x", sum) != file.SHA256 || file.Size != len(stored) {
			t.Errorf("instance.json states the wrong SHA-256 or size for %s: %+v", file.File, file)
		}
		if !storedNamePattern.MatchString(file.File) {
			t.Errorf("the name %s has text of the client", file.File)
		}
	}
}

var storedNamePattern = regexp.MustCompile(`^[0-9a-f-]{36}(\.(xml|pdf))?$`)

type description struct {
	Instance struct {
		ID       string
		Workflow struct{ SubmittedDateTime string }
	}
	Files []struct {
		DataElementID, File, SHA256 string
		Size                        int
	}
	Blocked []struct{ DataElementID, Code string }
}

func readDescription(path string) (d description, err error) {
	content, err := os.ReadFile(filepath.Join(path, "instance.json"))
	if err == nil {
		err = json.Unmarshal(content, &d)
	}
	return d, err
}

// checkSummary compares the last line of a run that left nothing with the instances.
func (f *fake) checkSummary(stderr string) {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	instances, files, size, blocked := 0, 0, 0, 0
	for _, i := range f.instances {
		if i.deleted || i.step == "FormFilling" {
			continue
		}
		instances++
		for _, a := range i.files {
			if a.blocked != "" {
				blocked++
				continue
			}
			files++
			size += len(a.content)
		}
	}
	want := fmt.Sprintf(" summary: instances=%d files=%d bytes=%d left=0 failed=0 waiting=0 blocked=%d\n", instances, files, size, blocked)
	if !strings.HasSuffix(stderr, want) {
		f.t.Errorf("the output does not end with %q:\n%s", want, stderr)
	}
}

// checkAll compares all folders with the submissions: the latest submission of each instance has a
// folder, and every other folder has an earlier one. It checks that nothing is left in the queue
// and that each element was confirmed once since its latest submission.
func (f *fake) checkAll(dir string) {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	submitted := map[string]map[string]string{}
	for _, i := range f.instances {
		maps.Copy(submitted, i.history)
		if i.deleted || i.step == "FormFilling" {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, i.folder())); err != nil {
			f.t.Error(err)
		}
		if i.queued {
			f.t.Errorf("%s is still in the queue", i.guid)
		}
		for _, a := range i.files {
			count := 0
			for _, at := range a.confirmed {
				if !at.Before(i.submitted) {
					count++
				}
			}
			if count != 1 && (a.blocked == "" || count > 0) {
				f.t.Errorf("%s of %s was confirmed %d times since its submission", a.guid, i.guid, count)
			}
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		f.t.Error(err)
	}
	for _, entry := range entries {
		name := entry.Name()
		if name == ".lock" {
			continue
		}
		if content, ok := submitted[name]; ok {
			checkFolder(f.t, filepath.Join(dir, name), content)
		} else {
			f.t.Errorf("the folder %s has no submission", name)
		}
	}
}
