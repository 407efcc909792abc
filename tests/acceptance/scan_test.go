package acceptance

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/tests/client"
	"altinn.no/instanceapi/tests/local/scanner"
	"altinn.no/instanceapi/tests/local/stack"
)

// scanningSystem starts a second stack, which hands out only clean content.
var scanningSystem = sync.OnceValues(func() (string, error) {
	started, err := stack.Start(context.Background(), stack.Options{Progress: os.Stderr, Parameters: map[string]string{"MalwareScan": "guardduty"}})
	if err != nil {
		return "", err
	}
	cleanups = append(cleanups, started.Stop)
	return started.BaseURL, nil
})

// scanning returns the API of the second stack.
func scanning(t *testing.T) api {
	t.Helper()
	sut := system(t)
	if !sut.own {
		t.Skip("BASE_URL is set: this test needs its own system, with the stand-in for GuardDuty")
	}
	base, err := scanningSystem()
	if err != nil {
		t.Fatal(err)
	}
	return api{base: base, appsBase: base, contract: sut.contract}
}

// TestScanScripts runs the scripts of the folder scan against a system that hands out only clean
// content.
func TestScanScripts(t *testing.T) {
	runScripts(t, "scan", scanning(t), system(t).token, true)
}

// setEICAR gives scripts the EICAR test file: in base64, and as a file whose result is late.
func setEICAR(env *testscript.Env) error {
	late := filepath.Join(env.WorkDir, "eicar-late.txt")
	env.Setenv("EICAR_BASE64", base64.StdEncoding.EncodeToString([]byte(scanner.EICAR())))
	env.Setenv("EICAR_LATE", late)
	return os.WriteFile(late, []byte(scanner.EICAR()+" SCAN-LATE"), 0o600)
}

// TestInfectedFiles sends the EICAR test file in a form and as a large upload. A client gets
// neither.
func TestInfectedFiles(t *testing.T) {
	t.Parallel()
	r := newReporterOf(t, scanning(t))
	contentType, body := client.Form(
		client.Part{Disposition: `name="instance"`, Type: "application/json", Body: []byte(`{"instanceOwnerId": "` + member(t, r.send(t, r.person, "GET", r.path, "", 200), "instanceOwnerId") + `"}`)},
		client.Part{Disposition: `name="attachment"; filename="vedlegg.txt"`, Type: "text/plain", Body: []byte(scanner.EICAR())},
	)
	instances := r.path[:strings.Index(r.path, "/instances")+len("/instances")]
	x, err := r.do(t.Context(), request{method: "POST", target: instances, header: http.Header{"Content-Type": {contentType}}, body: body}, r.person)
	if err != nil || x.status != 201 {
		t.Fatalf("%v\n%v", err, x)
	}
	large := append(bytes.Repeat([]byte("0123456789"), blob.InlineLimit/10+1), scanner.EICAR()...)
	sum := sha256.Sum256(large)
	link := r.announce(t, "attachment", "stor.txt", "text/plain", int64(len(large)), sum[:])
	if status, err := link.put(t.Context(), bytes.NewReader(large), int64(len(large)), nil); err != nil || status != 200 {
		t.Fatalf("status %d, %v", status, err)
	}
	y := r.send(t, r.person, "POST", r.path+"/data?formId=attachment&upload="+link.ID, "", 201)
	for _, x := range []*exchange{x, y} {
		var made struct {
			Data []struct {
				DataLinks struct{ Apps, Platform string }
			}
		}
		if err := json.Unmarshal(x.body, &made); err != nil || len(made.Data) != 1 {
			t.Fatalf("%v\n%v", err, x)
		}
		links := made.Data[0].DataLinks
		for deadline := time.Now().Add(patience); ; time.Sleep(pollEvery) {
			got := r.send(t, r.owner, "GET", links.Platform, "", 409)
			if err := checkProblem(discard{}, got, []string{"409", "data-infected"}); err == nil {
				break
			} else if time.Now().After(deadline) {
				t.Fatal(err)
			}
		}
		r.send(t, r.person, "GET", links.Apps, "", 409)
	}
}
