package authz

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"uuid"

	"altinn.no/instanceapi/tests/local/runtime"
)

// env is a running system with an issuer, applications, parties and instances.
type env struct {
	system *runtime.System
	issuer *issuer
	aws    *meter

	parties   map[string]party
	instances map[string]variables // by "nav kari", "nav kari deleted"
	registrar map[string]string    // an owner's token, by org

	unused atomic.Int64
	asked  atomic.Int64 // requests
}

// party is an instance owner.
type party struct {
	number   int64
	identity string
	reportee string // as a create names it
}

func (p party) numberText() string { return strconv.FormatInt(p.number, 10) }

// variables are the values of a route's variables, by name, and "reportee".
type variables map[string]string

var stop = func() {}

func TestMain(m *testing.M) {
	code := m.Run()
	stop()
	os.Exit(code)
}

// theWorld is the one world of all tests of the package.
var theWorld = sync.OnceValues(func() (*env, error) {
	w := &env{issuer: newIssuer(), aws: &meter{}, parties: map[string]party{}, instances: map[string]variables{}, registrar: map[string]string{}}
	system, err := runtime.Start(context.Background(), runtime.Options{
		Between:    w.aws.between,
		Parameters: map[string]string{"TokenIssuer": issuerName, "TokenAudience": audience, "TokenJwks": w.issuer.server.URL},
	})
	if err != nil {
		return nil, err
	}
	stop = func() { system.Stop(); w.issuer.server.Close() }
	w.system = system
	return w, w.populate()
})

func enter(t *testing.T) *env {
	t.Helper()
	w, err := theWorld()
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *env) populate() error {
	for _, org := range []string{"nav", "skd"} {
		w.registrar[org] = w.issuer.token(rsaKid, claims{"urn:altinn:org": org, "scope": ownerRead + " " + ownerWrite})
	}
	for _, id := range []string{"nav/app2018", "nav/other", "skd/app"} {
		org, _, _ := strings.Cut(id, "/")
		if _, err := w.succeed(org, "PUT", "/storage/applications/"+id, "{}"); err != nil {
			return err
		}
	}
	for name, p := range map[string]party{
		"kari":  {identity: "12247918309", reportee: `{"ssn":"12247918309"}`},
		"ola":   {identity: "01017012345", reportee: `{"ssn":"01017012345"}`},
		"firm":  {identity: "910010018", reportee: `{"organizationNumber":"910010018"}`},
		"named": {identity: "per.hansen", reportee: `{"userName":"per.hansen"}`},
	} {
		w.parties[name] = p
		for _, org := range []string{"nav", "skd"} {
			for _, state := range []string{"", "deleted", "gone", "second"} {
				made, err := w.make(org, name, state)
				if err != nil {
					return err
				}
				p.number, _ = strconv.ParseInt(made["instanceOwnerId"], 10, 64)
				w.parties[name] = p
				w.instances[strings.TrimSpace(org+" "+name+" "+state)] = made
			}
		}
	}
	w.parties["nobody"] = party{number: 599998}
	_, err := w.system.Deliver(context.Background())
	return err
}

// make makes an instance in a state, with a data element that its owner has downloaded.
func (w *env) make(org, party, state string) (variables, error) {
	v, err := w.makeWith(`[{"formId":"first","contentType":"text/plain","content":"Zmlyc3Q="}]`, org, party, state)
	if err == nil && state != "gone" {
		_, err = w.succeed(org, "GET", "/storage/instances/"+v["instanceOwnerId"]+"/"+v["instanceGuid"]+"/data/"+v["dataGuid"], "")
	}
	return v, err
}

func (w *env) makeWith(data, org, party, state string) (variables, error) {
	app := map[string]string{"nav": "app2018", "skd": "app"}[org]
	made, err := w.succeed(org, "POST", "/"+org+"/"+app+"/instances", `{"reportee":`+w.parties[party].reportee+`,"data":`+data+`}`)
	if err != nil {
		return nil, err
	}
	v := variables{"org": org, "app": app, "instanceOwnerId": made.InstanceOwnerID, "instanceGuid": made.ID, "reportee": w.parties[party].reportee}
	for _, d := range made.Data {
		v["dataGuid"] = d.ID
	}
	self := "/" + org + "/" + app + "/instances/" + made.InstanceOwnerID + "/" + made.ID
	switch state {
	case "deleted":
		_, err = w.succeed(org, "DELETE", self, "")
	case "gone":
		_, err = w.succeed(org, "DELETE", self+"?hard=true", "")
	}
	return v, err
}

// report is what a test needs to know of an instance.
type report struct {
	ID, InstanceOwnerID string
	Data                []struct{ ID string }
}

// succeed sends a request of an owner that has to succeed.
func (w *env) succeed(org, method, path, body string) (report, error) {
	media := ""
	if body != "" {
		media = "application/json"
	}
	a, err := w.ask(bearer(w.registrar[org]), method, path, media, body)
	if err != nil {
		return report{}, err
	}
	var made report
	if a.status >= 300 {
		return made, fmt.Errorf("%s %s: %d %s", method, path, a.status, a.body)
	}
	if strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
		err = json.Unmarshal([]byte(a.body), &made)
	}
	return made, err
}

// answer is a response.
type answer struct {
	status int
	header http.Header
	body   string
}

// host is what every request names in its Host header, which is the caller's to choose: no answer may repeat it.
const host = "evil.example"

var client = &http.Client{
	Transport:     &http.Transport{MaxIdleConnsPerHost: 16},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// ask sends a request. The path is as it goes over the wire.
func (w *env) ask(authorization []string, method, path, media, body string) (answer, error) {
	w.asked.Add(1)
	r, err := http.NewRequest(method, w.system.BaseURL+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	r.Host = host
	if len(authorization) > 0 {
		r.Header["Authorization"] = authorization
	}
	if media != "" {
		r.Header.Set("Content-Type", media)
	}
	response, err := client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(got)}, err
}

// code returns the code of a problem, "" for any other answer.
func (a answer) code() string {
	var p struct{ Code string }
	if a.header.Get("Content-Type") == "application/problem+json" {
		_ = json.Unmarshal([]byte(a.body), &p) // "" is seen by whoever asks
	}
	return p.Code
}

// nameOf returns the variables that a request says for an object: those of an instance, changed as the object has it.
func (w *env) nameOf(o object, home string, own variables) variables {
	v := variables{}
	for name, value := range own {
		v[name] = value
	}
	for name, value := range o.says {
		v[name] = w.fill(value, name, home, own)
	}
	return v
}

func (w *env) fill(value, name, home string, own variables) string {
	is := own[name]
	switch value {
	case upper:
		return strings.ToUpper(is)
	case bare:
		return strings.ReplaceAll(is, "-", "")
	case braces:
		return "{" + is + "}"
	case urn:
		return "urn:uuid:" + is
	case padded:
		return "0" + is
	case wide:
		return strings.Map(func(r rune) rune { return r - '0' + '０' }, is)
	case ofOla:
		return w.instances[own["org"]+" ola"][name]
	case ofOther:
		return w.instances[own["org"]+" "+home+" second"][name]
	case unused:
		return "unused-" + strconv.FormatInt(w.unused.Add(1), 10)
	case itself:
		return own["instanceGuid"]
	case nobodys:
		if name == "instanceOwnerId" {
			return w.parties["nobody"].numberText()
		}
		return uuid.New().String()
	}
	return value
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	return n
}
