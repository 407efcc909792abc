// Package crash ends the functions behind every writing endpoint between every two of their calls to AWS, and checks that
// nothing is left behind: the client that asks again is answered, and after the sweep there is no data element without
// bytes, no bytes without a data element, and no label that is not the document's. What runs are the binaries that ship, against
// the deployed template.
package crash

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"altinn.no/instanceapi/tests/local/stack"
)

// env is the running system with the proxy between its functions and AWS.
type env struct {
	t     *testing.T
	stack *stack.Stack
	proxy *proxy
	db    *dynamodb.Client // without the proxy
	s3    *s3.Client
	token string
	org   string

	upload string // the id of the one that was made last
}

func newSite(t *testing.T) *env {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &env{t: t, org: "org-" + strings.ToLower(rand.Text()[:10])}
	s.stack, err = stack.Start(t.Context(), stack.Options{Progress: os.Stderr, Between: func(aws string) string {
		if s.proxy, err = newProxy(aws); err != nil {
			t.Error(err)
		}
		return "http://" + listener.Addr().String()
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stack.Stop)
	server := &http.Server{Handler: s.proxy, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }() // ends with an error of its own making
	t.Cleanup(func() { _ = server.Close() })
	credentials := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "local", SecretAccessKey: "local"}, nil
	})
	s.db = dynamodb.New(dynamodb.Options{
		BaseEndpoint: &s.stack.AWSEndpoint, Region: stack.Region, Credentials: credentials, DisableValidateResponseChecksum: true,
	})
	s.s3 = s3.New(s3.Options{BaseEndpoint: &s.stack.AWSEndpoint, Region: stack.Region, Credentials: credentials, UsePathStyle: true})
	if s.token, err = s.stack.Authenticator.Owner(s.org, "", time.Hour); err != nil {
		t.Fatal(err)
	}
	s.must(201, request{"PUT", "/storage/applications/" + s.org + "/melding", "application/json", "{}"})
	return s
}

// request is one that an owner sends.
type request struct{ method, path, contentType, body string }

// document is what the tests read of an instance, or of an upload.
type document struct {
	ID              string `json:"id"`
	InstanceOwnerID string `json:"instanceOwnerId"`
	Data            []struct {
		ID string `json:"id"`
	} `json:"data"`

	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
}

// send sends a request under an Idempotency-Key, or without one when it is "".
func (s *env) send(r request, key string) (status int, answer document) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), r.method, s.stack.BaseURL+r.path, bytes.NewReader([]byte(r.body)))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	if r.contentType != "" {
		req.Header.Set("Content-Type", r.contentType)
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, document{}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode < 300 && strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		err = json.Unmarshal(body, &answer)
	}
	if err != nil {
		s.t.Fatalf("%s %s: %v in %s", r.method, r.path, err, body)
	}
	return resp.StatusCode, answer
}

func (s *env) must(status int, r request) document {
	s.t.Helper()
	got, answer := s.send(r, "")
	if got != status {
		s.t.Fatalf("%s %s: %d, want %d", r.method, r.path, got, status)
	}
	return answer
}

// create makes an instance with two labels, which share an index, and two data elements.
func (s *env) create() document {
	s.t.Helper()
	return s.must(201, s.creation())
}

func (s *env) creation() request {
	return request{"POST", "/" + s.org + "/melding/instances", "application/json", `{"reportee":{"userName":"crash"},"labels":["gr","x3"],
		"data":[{"formId":"a","contentType":"text/plain","content":"YQ=="},{"formId":"b","contentType":"text/plain","content":"Yg=="}]}`}
}

// operation is a writing endpoint: how to get ready for it, what to send, and how it answers when asked again after a
// crash.
type operation struct {
	name    string
	prepare func(s *env, path string, i document) // nil: nothing
	request func(s *env, path string, i document) request
	again   []int
}

func path(s *env, i document) string {
	return fmt.Sprintf("/%s/melding/instances/%s/%s", s.org, i.InstanceOwnerID, i.ID)
}

func stored(i document) string {
	return fmt.Sprintf("/storage/instances/%s/%s", i.InstanceOwnerID, i.ID)
}

// large is what is uploaded past the functions.
const large = "a large file"

func uploadOf(path string) request {
	sum := sha256.Sum256([]byte(large))
	return request{"POST", path + "/uploads", "application/json",
		fmt.Sprintf(`{"fileName":"c.txt","contentType":"text/plain","size":%d,"sha256":%q}`, len(large), hex.EncodeToString(sum[:]))}
}

// put sends the bytes of an upload where its answer says.
func (s *env) put(upload document) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), upload.Method, upload.URL, strings.NewReader(large))
	if err != nil {
		s.t.Fatal(err)
	}
	for name, value := range upload.Headers {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		s.t.Fatalf("putting the bytes: %s", resp.Status)
	}
	s.upload = upload.ID
}

var operations = []operation{
	{"instance-create", nil, func(s *env, _ string, _ document) request { return s.creation() }, []int{201}},
	{"data-create", nil, func(_ *env, path string, _ document) request {
		return request{"POST", path + "/data?formId=c", "text/plain", "c"}
	}, []int{201}},
	{"upload-create", nil, func(_ *env, path string, _ document) request { return uploadOf(path) }, []int{201}},
	{"data-create of an upload", func(s *env, path string, _ document) { s.put(s.must(201, uploadOf(path))) }, func(s *env, path string, _ document) request {
		return request{"POST", path + "/data?formId=c&upload=" + s.upload, "", ""}
	}, []int{200, 201}},
	{"data-replace", nil, func(_ *env, path string, i document) request {
		return request{"PUT", path + "/data/" + i.Data[0].ID, "text/plain", "new"}
	}, []int{200}},
	{"data-delete", nil, func(_ *env, path string, i document) request {
		return request{"DELETE", path + "/data/" + i.Data[1].ID, "", ""}
	}, []int{200, 404}},
	{"instance-update", nil, func(_ *env, path string, _ document) request {
		return request{"PATCH", path, "application/merge-patch+json", `{"labels":["x2","x3"]}`}
	}, []int{200}},
	{"workflow-change", nil, func(_ *env, path string, _ document) request {
		return request{"PUT", path + "/workflow", "application/json", `{"currentStep":"Submit"}`}
	}, []int{200}},
	{"data-download", nil, func(_ *env, _ string, i document) request {
		return request{"GET", stored(i) + "/data/" + i.Data[0].ID, "", ""}
	}, []int{200}},
	{"download-confirm", func(s *env, _ string, i document) {
		s.must(200, request{"GET", stored(i) + "/data/" + i.Data[0].ID, "", ""})
	}, func(_ *env, _ string, i document) request {
		return request{"POST", stored(i) + "/data/" + i.Data[0].ID + "/confirmDownload", "", ""}
	}, []int{200}},
	{"instance-delete", nil, func(_ *env, path string, _ document) request { return request{"DELETE", path, "", ""} }, []int{200}},
	{"instance-undelete", func(s *env, path string, _ document) {
		s.must(200, request{"DELETE", path, "", ""})
	}, func(_ *env, path string, _ document) request { return request{"POST", path + "/undelete", "", ""} }, []int{200}},
	{"instance-delete for good", nil, func(_ *env, path string, _ document) request {
		return request{"DELETE", path + "?hard=true", "", ""}
	}, []int{200, 404}},
}

// TestCrashAtEveryCall runs each operation with a crash at its first call, at its second and so on, each before and after the
// call's effect, and half of the clients asking again.
func TestCrashAtEveryCall(t *testing.T) {
	s := newSite(t)
	crashes := 0
	for _, op := range operations {
		t.Run(op.name, func(t *testing.T) {
			s := *s
			s.t = t
			var calls []string
			for _, after := range []bool{false, true} {
				for n := 1; ; n++ {
					i := s.create()
					path := path(&s, i)
					if op.prepare != nil {
						op.prepare(&s, path, i)
					}
					key := ""
					if r := op.request(&s, path, i); r.method == "POST" {
						key = rand.Text()
					}
					s.proxy.arm(n, after)
					status, _ := s.send(op.request(&s, path, i), key)
					seen, crashed := s.proxy.seen()
					s.proxy.arm(0, false)
					if !crashed {
						if !contains(op.again, status) {
							t.Errorf("undisturbed it answers %d", status)
						}
						calls = seen
						break
					}
					crashes++
					if n%2 == 0 {
						continue // this client never comes back
					}
					if status, _ := s.send(op.request(&s, path, i), key); !contains(op.again, status) {
						t.Errorf("asked again after a crash at call %d, %v (after its effect: %v), it answers %d, want one of %v", n, seen, after, status, op.again)
					}
				}
			}
			t.Logf("calls: %q", calls)
		})
	}
	t.Logf("%d crashes", crashes)
	s.t = t
	s.sweepAndCheck()
}

func contains(all []int, one int) bool {
	for _, n := range all {
		if n == one {
			return true
		}
	}
	return false
}
