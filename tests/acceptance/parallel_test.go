package acceptance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// TestParallelChanges runs 32 clients that change one instance concurrently. All their uploads
// succeed and are stored, and 32 moves to one step create exactly one event. 32 creates with one
// Idempotency-Key create one instance.
func TestParallelChanges(t *testing.T) {
	const clients = 32
	sut := system(t)
	org := freshOrg()
	owner := sut.mustToken(t, map[string]string{"ORG": org})
	register(t, sut, org, "melding")
	concurrently := func(status int, build func(n int) request) []*exchange {
		t.Helper()
		exchanges := make([]*exchange, clients)
		var wg sync.WaitGroup
		for n := range clients {
			wg.Go(func() {
				x, err := sut.do(t.Context(), build(n), owner)
				if err != nil || x.status != status {
					t.Errorf("client %d: %v\n%v", n, err, x)
				}
				exchanges[n] = x
			})
		}
		wg.Wait()
		if t.Failed() {
			t.FailNow()
		}
		return exchanges
	}

	header := jsonHeader()
	header.Set("Idempotency-Key", `"`+org+`"`)
	create := request{
		method: http.MethodPost, target: "/" + org + "/melding/instances", header: header,
		body: fmt.Appendf(nil, `{"reportee":{"ssn":%q},"data":[{"formId":"a","contentType":"text/plain","content":"YQ=="}]}`, randomDigits(11)),
	}
	type document struct {
		ID              string `json:"id"`
		InstanceOwnerID string `json:"instanceOwnerId"`
		Data            []struct {
			ID       string `json:"id"`
			FileName string `json:"fileName"`
		} `json:"data"`
	}
	var made document
	for n, x := range concurrently(http.StatusCreated, func(int) request { return create }) {
		var this document
		if err := json.Unmarshal(x.body, &this); err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			made = this
		}
		if this.ID != made.ID {
			t.Errorf("one key created the instances %s and %s", made.ID, this.ID)
		}
	}

	path := fmt.Sprintf("/%s/melding/instances/%s/%s", org, made.InstanceOwnerID, made.ID)
	concurrently(http.StatusCreated, func(n int) request {
		return request{
			method: http.MethodPost, target: path + "/data?formId=b", body: fmt.Appendf(nil, "upload %d", n),
			header: http.Header{"Content-Type": {"text/plain"}, "Content-Disposition": {fmt.Sprintf(`attachment; filename="%d.txt"`, n)}},
		}
	})
	x, err := sut.do(t.Context(), request{method: http.MethodGet, target: path}, owner)
	if err != nil {
		t.Fatal(err)
	}
	var now document
	if err := json.Unmarshal(x.body, &now); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, d := range now.Data {
		names[d.FileName] = true
		if d.FileName == "a.txt" {
			continue
		}
		got, err := sut.do(t.Context(), request{method: http.MethodGet, target: path + "/data/" + d.ID}, owner)
		if want := "upload " + strings.TrimSuffix(d.FileName, ".txt"); err != nil || string(got.body) != want {
			t.Errorf("%s has the content %q (%v), want %q", d.FileName, got.body, err, want)
		}
	}
	if len(names) != clients+1 || len(now.Data) != clients+1 {
		t.Errorf("%d data elements with %d names, want %d of both", len(now.Data), len(names), clients+1)
	}

	concurrently(http.StatusOK, func(int) request {
		return request{method: http.MethodPut, target: path + "/workflow", header: jsonHeader(), body: []byte(`{"currentStep":"Submit"}`)}
	})
	events := feedOf(t, sut.api, owner, org, 2)
	if len(events) != 2 || events[0].WorkflowStep != "FormFilling" || events[1].WorkflowStep != "Submit" {
		t.Errorf("the feed has %+v, want FormFilling and one Submit", events)
	}
}
