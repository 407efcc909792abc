package robustness

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"altinn.no/instanceapi/tests/local/runtime"
	"altinn.no/instanceapi/tests/token/issuer"
)

// soon is how long any answer may take, on a machine that is busy with other things: far below the 25 seconds of a function.
const soon = 10 * time.Second

// env is the running system, with one application of nav's, and one instance in it with one data element.
type env struct {
	*runtime.System
	owner, user string // authenticator
	variables   map[string]string
}

var system *env

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		log.Print(err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	s, err := runtime.Start(context.Background(), runtime.Options{Parameters: map[string]string{"CreatesPerHour": strconv.Itoa(perHour)}})
	if err != nil {
		return 0, err
	}
	defer s.Stop()
	w := &env{System: s, variables: map[string]string{"org": "nav", "app": "app2018"}}
	if w.owner, err = s.Authenticator.Owner("nav", "", time.Hour); err != nil {
		return 0, err
	}
	if w.user, err = s.Authenticator.User(issuer.User{ID: "1001", SSN: "12247918309"}, "", time.Hour); err != nil {
		return 0, err
	}
	if err := w.furnish(); err != nil {
		return 0, err
	}
	system = w
	code = m.Run()
	return code, w.memory()
}

const registration = `{"dataTypes":[
	{"formId":"form","allowedContentTypes":["application/xml","application/json"],"maxSize":4400000,"schema":{"type":"object","properties":{"a":{"type":"integer"}}}},
	{"formId":"any"}]}`

// furnish makes what the requests are about.
func (w *env) furnish() error {
	a, err := w.send(request{method: "PUT", path: "/storage/applications/nav/app2018", contentType: "application/json", body: registration})
	if err != nil || a.status != 201 {
		return fmt.Errorf("%d %s: %w", a.status, a.body, err)
	}
	a, err = w.send(request{method: "POST", path: "/nav/app2018/instances", contentType: "application/json", body: `{"reportee":{"ssn":"12247918309"},
		"labels":["gr"],"data":[{"formId":"form","contentType":"application/json","content":"e30="},{"formId":"any","contentType":"text/plain","content":"aGVp"}]}`})
	var made struct {
		ID, InstanceOwnerID string
		Data                []struct{ ID string }
	}
	if err := errors.Join(err, json.Unmarshal(a.body, &made)); err != nil || a.status != 201 {
		return fmt.Errorf("%d %s: %w", a.status, a.body, err)
	}
	w.variables["instanceOwnerId"], w.variables["instanceGuid"], w.variables["dataGuid"] = made.InstanceOwnerID, made.ID, made.Data[0].ID
	return nil
}

// request is one request; the owner sends it, or who the route is for.
type request struct {
	method, path, query string // path and query as they are sent
	token               string // "": the owner's; "-": none
	contentType, body   string
	header              map[string]string
}

func (r request) String() string { return fmt.Sprintf("%s %.200s?%.200s", r.method, r.path, r.query) }

type answer struct {
	status int
	header http.Header
	body   []byte
	took   time.Duration
}

// client does not follow: a redirect is the answer. It asks for nothing compressed.
var client = &http.Client{
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Transport:     &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 4},
	Timeout:       40 * time.Second,
}

func (w *env) send(r request) (answer, error) {
	base, err := url.Parse(w.BaseURL)
	if err != nil {
		return answer{}, err
	}
	out := &http.Request{
		Method: r.method, URL: &url.URL{Scheme: base.Scheme, Host: base.Host, Opaque: r.path, RawQuery: r.query}, Host: base.Host, Header: http.Header{},
		ContentLength: int64(len(r.body)), Body: io.NopCloser(strings.NewReader(r.body)),
	}
	for name, value := range r.header {
		out.Header[name] = []string{value}
	}
	if r.contentType != "" {
		out.Header.Set("Content-Type", r.contentType)
	}
	if r.token == "" {
		r.token = w.owner
	}
	if r.token != "-" && out.Header["Authorization"] == nil {
		out.Header.Set("Authorization", "Bearer "+r.token)
	}
	start := time.Now()
	in, err := client.Do(out)
	if err != nil {
		return answer{}, err
	}
	defer in.Body.Close()
	a := answer{status: in.StatusCode, header: in.Header}
	a.body, err = io.ReadAll(in.Body)
	a.took = time.Since(start)
	return a, err
}

var codeForm = regexp.MustCompile(`^[a-z]+(-[a-z0-9]+)*$`)

// try sends a request and checks what holds for any answer. It reports whether the request was refused.
func (w *env) try(t *testing.T, what string, r request) (a answer, refused bool) {
	t.Helper()
	a, err := w.send(r)
	if err != nil {
		t.Errorf("%s: %s: %v", what, r, err)
		return a, true
	}
	if a.took > soon {
		t.Errorf("%s: %s: the answer took %v", what, r, a.took)
	}
	if a.status >= 500 {
		t.Errorf("%s: %s: %d %.300s (%s)", what, r, a.status, a.body, a.header.Get("X-Local-Cause"))
	}
	if a.status < 400 {
		return a, false
	}
	if r.method == http.MethodHead {
		return a, true
	}
	var problem struct {
		Code, Detail, Type, Message string
		Status                      int
	}
	err = json.Unmarshal(a.body, &problem)
	own := a.header.Get("Content-Type") == "application/json" && slices.Contains([]int{404, 413, 431}, a.status) && problem.Message != "" // the gateway's
	if !own && (err != nil || a.header.Get("Content-Type") != "application/problem+json" || !codeForm.MatchString(problem.Code) || problem.Detail == "" ||
		problem.Status != a.status || problem.Type != "urn:altinn:problem:"+problem.Code || len(a.body) > 30_000) {
		t.Errorf("%s: %s: no whole problem: %d %s %.500s", what, r, a.status, a.header.Get("Content-Type"), a.body)
	}
	return a, true
}

// refuse is try for a request that must be refused.
func (w *env) refuse(t *testing.T, what string, r request) answer {
	t.Helper()
	a, refused := w.try(t, what, r)
	if !refused {
		t.Errorf("%s: %s: taken with %d %.300s", what, r, a.status, a.body)
	}
	return a
}

// unchanged checks that what f does has no effect on anything that is stored, notes for the sweep aside.
func (w *env) unchanged(t *testing.T, f func()) {
	t.Helper()
	before := w.state(t)
	f()
	if after := w.state(t); !slices.Equal(before, after) {
		for _, item := range after {
			if !slices.Contains(before, item) {
				t.Errorf("new or changed: %.400s", item)
			}
		}
		t.Errorf("%d items before, %d after", len(before), len(after))
	}
}

// state returns every item of every table, and every key of the bucket.
func (w *env) state(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, table := range w.Template.Tables {
		pages := dynamodb.NewScanPaginator(w.Dynamo, &dynamodb.ScanInput{TableName: aws.String(table), ConsistentRead: aws.Bool(true)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, item := range page.Items {
				if key, ok := item["PK"].(*types.AttributeValueMemberS); ok && strings.HasPrefix(key.Value, "ORPHAN#") {
					continue
				}
				text, err := json.Marshal(item)
				if err != nil {
					t.Fatal(err)
				}
				sum := sha256.Sum256(text)
				all = append(all, fmt.Sprintf("%s %s %.200s", table, hex.EncodeToString(sum[:8]), bytes.ReplaceAll(text, []byte(`{"Value":`), nil)))
			}
		}
	}
	objects := s3.NewListObjectsV2Paginator(w.S3, &s3.ListObjectsV2Input{Bucket: &w.Bucket})
	for objects.HasMorePages() {
		page, err := objects.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, object := range page.Contents {
			all = append(all, aws.ToString(object.Key)+" "+aws.ToString(object.ETag))
		}
	}
	slices.Sort(all)
	return all
}
