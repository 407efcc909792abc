package baseline

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/application/applicationtable"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancetable"
	"altinn.no/instanceapi/shared/rfc3339"
	"altinn.no/instanceapi/tests/local/runtime"
	"altinn.no/instanceapi/tests/local/tables"
)

// The routes of the measured requests.
const (
	instanceRoute = "/{org}/{app}/instances/{instanceOwnerId}/{instanceGuid}"
	dataRoute     = instanceRoute + "/data/{dataGuid}"
)

// content is the content of the sample's data element: 1 KB.
var content = []byte(strings.Repeat("<melding/>", 100))

// size is the size of a data element in bytes: the sample has one of 1 KB, largeSample has one of
// each size.
type size int64

const (
	small  size = 1000
	inline size = 4_400_000 // the largest that a function sends itself
	large  size = 100_000_000
)

// sizes are the sizes of largeSample's data elements, in order.
var sizes = []size{small, inline, large}

// Sample returns an instance of a common size: 2 KB as its owner receives it, with labels and one
// data element.
func Sample() *instance.Instance {
	at := time.Date(2026, 11, 23, 20, 11, 1, 123_456_000, time.UTC)
	return &instance.Instance{
		ID: "0193511e-4a4c-7d5f-8a55-3f2f5a1f6f0e", AppID: "nav/app2018", Labels: []string{"gr", "x2"}, InstanceOwnerID: "5064120983",
		CreatedDateTime: at, CreatedBy: "1001", LastChangedDateTime: at, LastChangedBy: "1001", StepEntered: at,
		PresentationField: "Arbeidsmelding", Workflow: instance.Workflow{CurrentStep: "FormFilling"}, EventCount: 1,
		Data: []instance.DataElement{{
			ID: "0193511e-4a4c-7d5f-8a55-3f2f5a1f6f0f", FormID: "default", ContentType: "application/xml", FileName: "skjema.xml",
			CreatedDateTime: at, CreatedBy: "1001", LastChangedDateTime: at, LastChangedBy: "1001", FileSize: int64(len(content)),
			Revision: "0193511e-4a4c-7d5f-8a55-3f2f5a1f6f0f", SHA256: fmt.Sprintf("%x", sha256.Sum256(content)),
		}},
	}
}

// largeSample returns another instance of the same party, with a data element of each size.
func largeSample() *instance.Instance {
	i := Sample()
	i.ID = "0193511e-4a4c-7d5f-8a55-3f2f5a1f6f20"
	for n, bytes := range sizes {
		d := i.Data[0]
		d.ID = fmt.Sprintf("0193511e-4a4c-7d5f-8a55-3f2f5a1f6f3%d", n)
		d.Revision = d.ID // like blob.FirstKey
		d.FileSize = int64(bytes)
		i.Data = append(i.Data, d)
	}
	i.Data = i.Data[1:]
	return i
}

// store stores an application and the samples in the tables at an endpoint, and the content in
// the emulator.
func (b *Bench) store(ctx context.Context, endpoint string) error {
	client := tables.Client(endpoint, runtime.Region, accessKey)
	app := &application.Application{ID: Sample().AppID}
	app.SetDefaults()
	if err := applicationtable.New(client, "Applications").Put(ctx, app); err != nil {
		return err
	}
	b.cloud.putBlob(Sample().Data[0].Revision, content)
	for _, i := range []*instance.Instance{Sample(), largeSample()} {
		err := instancetable.New(client, "Instances", "Outbox").Create(ctx, i, event.Event{
			ID: event.ID(i.ID, 1), At: rfc3339.Time{Time: i.StepEntered}, AppID: i.AppID, InstanceOwnerID: i.InstanceOwnerID, Org: "nav", App: "app2018",
			EventType: event.WorkflowStateChange, WorkflowStep: i.Workflow.CurrentStep, InstanceVersion: 1, SchemaVersion: event.SchemaVersion,
		})
		if err != nil {
			return err
		}
		for _, d := range i.Data {
			if d.FileSize <= int64(inline) {
				b.cloud.putBlob(d.Revision, bytes.Repeat(content, int(d.FileSize)/len(content)))
			}
		}
	}
	return nil
}

// readEvent returns the event of a GET of the sample, or of its data element.
func (b *Bench) readEvent(route string) ([]byte, error) {
	i := Sample()
	return b.event(http.MethodGet, route, i, i.Data[0].ID, "")
}

// downloadEvent returns the event of a GET of a data element of size s.
func (b *Bench) downloadEvent(s size) ([]byte, error) {
	i := largeSample()
	return b.event(http.MethodGet, dataRoute, i, i.Data[slices.Index(sizes, s)].ID, "")
}

// uploadEvent returns the event of a POST that starts an upload of size s.
func (b *Bench) uploadEvent(s size) ([]byte, error) {
	return b.event(http.MethodPost, instanceRoute+"/uploads?formId=default", Sample(), "",
		fmt.Sprintf(`{"contentType":"application/pdf","size":%d,"sha256":"%x"}`, s, sha256.Sum256(content)))
}

// event returns the event that API Gateway makes of a request of the owner nav for an instance.
func (b *Bench) event(method, route string, i *instance.Instance, dataGuid, body string) ([]byte, error) {
	token, err := b.issuer.Owner("nav", "", time.Hour)
	if err != nil {
		return nil, err
	}
	route, query, _ := strings.Cut(route, "?")
	path := route
	values := map[string]string{}
	for name, value := range map[string]string{
		"org": "nav", "app": "app2018", "instanceOwnerId": i.InstanceOwnerID, "instanceGuid": i.ID, "dataGuid": dataGuid,
	} {
		if variable := "{" + name + "}"; strings.Contains(route, variable) {
			values[name] = value
			path = strings.ReplaceAll(path, variable, value)
		}
	}
	r := httptest.NewRequest(method, "https://nav.apps.altinn.no"+path+"?"+query, strings.NewReader(body))
	r.Header = http.Header{
		"Authorization": {"Bearer " + token}, "Accept": {"*/*"}, "User-Agent": {"curl/8.5.0"}, "Accept-Encoding": {"gzip, br"},
		"X-Amzn-Trace-Id": {"Root=1-67891233-abcdef012345678912345678"}, "X-Forwarded-Port": {"443"},
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return json.Marshal(runtime.NewEvent(r, []byte(body), runtime.Route{API: "AppsApi", Method: method, Path: route}, values))
}

// invoke invokes a program with an event. It returns an error for an HTTP error response.
func invoke(ctx context.Context, e *runtime.Environment, event []byte) error {
	response, err := e.Invoke(ctx, event)
	if err != nil {
		return err
	}
	var out struct {
		StatusCode int    `json:"statusCode"`
		Body       string `json:"body"`
	}
	if err := json.Unmarshal(response, &out); err != nil {
		return err
	}
	if out.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("status %d: %s", out.StatusCode, out.Body)
	}
	return nil
}
