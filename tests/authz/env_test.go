package authz

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"uuid"

	"altinn.no/instanceapi/tests/awsproxy"
	"altinn.no/instanceapi/tests/client"
	"altinn.no/instanceapi/tests/local/runtime"
	"altinn.no/instanceapi/tests/local/scanner"
	"altinn.no/instanceapi/tests/routes"
)

// env is a running system with an issuer, applications, parties and instances.
type env struct {
	client.Client
	system      *runtime.System
	issuer      *issuer
	dynamoCalls atomic.Int64 // calls that the functions have made to DynamoDB

	parties   map[string]party
	instances map[string]variables // by "nav kari", "nav kari deleted"
	registrar map[string]string    // an owner's token, by org

	subscription string // id of the subscription of nav that every caller tries

	unused atomic.Int64
}

// party is an instance owner.
type party struct {
	number   int64
	identity string
	reportee string // JSON, as the body of a create contains it
}

func (p party) numberText() string { return strconv.FormatInt(p.number, 10) }

// variables are the values of a route's variables, and of "reportee", by name.
type variables map[string]string

// host is the Host header of every request. The caller chooses it, so no response may contain it.
const host = "evil.example"

var stop = func() {}

func TestMain(m *testing.M) {
	code := m.Run()
	stop()
	os.Exit(code)
}

// sharedEnv starts the one env of all tests of the package.
var sharedEnv = sync.OnceValues(func() (*env, error) {
	e := &env{issuer: newIssuer(), parties: map[string]party{}, instances: map[string]variables{}, registrar: map[string]string{}}
	system, err := runtime.Start(context.Background(), runtime.Options{
		Between:    e.countCalls,
		Parameters: map[string]string{"TokenIssuer": issuerName, "TokenAudience": audience, "TokenJwks": e.issuer.server.URL, "TokenPartyClaim": partyClaim, "MalwareScan": "guardduty"},
	})
	if err != nil {
		return nil, err
	}
	stop = func() { system.Stop(); e.issuer.server.Close() }
	e.system, e.Client = system, client.Client{Base: system.BaseURL, Host: host}
	return e, e.populate()
})

func newEnv(t *testing.T) *env {
	t.Helper()
	e, err := sharedEnv()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// countCalls implements Options.Between: it counts the calls to DynamoDB.
func (e *env) countCalls(service, endpoint string) string {
	if service != "dynamodb" {
		return endpoint
	}
	proxy, err := awsproxy.Start(endpoint, func(c *awsproxy.Call, send awsproxy.Send) (*awsproxy.Response, error) {
		e.dynamoCalls.Add(1)
		return send(c.Body)
	})
	if err != nil {
		panic(err) // no free port
	}
	return proxy.URL
}

func (e *env) populate() error {
	for _, org := range []string{"nav", "skd"} {
		e.registrar[org] = e.issuer.token(rsaKid, claims{"urn:altinn:org": org, "scope": ownerRead + " " + ownerWrite})
	}
	for _, id := range []string{"nav/app2018", "nav/other", "skd/app"} {
		org, _, _ := strings.Cut(id, "/")
		if _, err := e.succeed(org, "PUT", "/storage/applications/"+id, unscannedTypes); err != nil {
			return err
		}
	}
	e.subscription = e.subscribe("altinn")
	for org := range e.registrar {
		const types = `{"events":["DataChanged"],"dataTypes":[{"formId":"first","scan":"off"},{"formId":"any","scan":"off"},{"formId":"decision","scan":"off","write":["owner"]},
			{"formId":"` + noteForm + `","scan":"off","read":["owner"],"write":["owner"]},{"formId":"` + boxForm + `","scan":"off","read":["owner"]}]}`
		if _, err := e.succeed(org, "PUT", "/storage/applications/"+org+"/feedback", types); err != nil {
			return err
		}
		if _, err := e.succeed(org, "PUT", "/storage/applications/"+org+"/scanned", "{}"); err != nil {
			return err
		}
	}
	for name, p := range map[string]party{
		"kari":  {identity: "12247918309", reportee: `{"ssn":"12247918309"}`},
		"ola":   {identity: "01017012345", reportee: `{"ssn":"01017012345"}`},
		"firm":  {identity: "910010018", reportee: `{"organizationNumber":"910010018"}`},
		"named": {identity: "per.åsen", reportee: `{"userName":"per.åsen"}`},
	} {
		e.parties[name] = p
		for _, org := range []string{"nav", "skd"} {
			for _, state := range []string{"", "deleted", "deleted-by-user", "hidden", "held", "submitted", "withdrawn", "gone", "second", "decided", "assessed", "unscanned", "infected", "unscannable"} {
				made, err := e.create(org, name, state)
				if err != nil {
					return err
				}
				p.number, _ = strconv.ParseInt(made["instanceOwnerId"], 10, 64)
				e.parties[name] = p
				e.instances[strings.TrimSpace(org+" "+name+" "+state)] = made
			}
		}
	}
	e.parties["unassigned"] = party{number: 599998}
	if err := e.link(); err != nil {
		return err
	}
	_, err := e.system.Deliver(context.Background())
	return err
}

// The identities of linkedTokens that no other party has.
const (
	newName, newPid, newerPid = "kari.nordmann", "30108299920", "02013299806"
)

// linkedTokens returns the claims of tokens with an identity that the register knows and one that
// is new to it.
func (e *env) linkedTokens() []claims {
	return []claims{
		{"pid": e.parties["kari"].identity, "urn:altinn:username": newName},
		{"pid": newPid, "urn:altinn:username": e.parties["named"].identity},
		{"pid": newerPid, "urn:altinn:orgNumber": e.parties["firm"].identity},
	}
}

// link sends a request with each of these tokens, which links their identities. The later requests
// of these callers then change nothing in the register.
func (e *env) link() error {
	for _, c := range e.linkedTokens() {
		response, err := e.send(bearer(e.issuer.token(ecKid, c.with(claims{"scope": userRead}))), "GET", "/storage/instances", "", "")
		if err != nil || response.Status != 200 {
			return fmt.Errorf("a query that links identities: %v (%w)", response, err)
		}
	}
	return nil
}

// The formIds and the file name of data that only the application owner sees: a note of the owner,
// and a box into which users drop data. No response to a user may contain them.
const (
	noteForm, boxForm = "owners-note", "owners-box"
	hiddenFile        = "owners.txt"
)

// subscribe returns the id of nav's subscription with an endpoint of this name, which it creates if
// necessary.
func (e *env) subscribe(name string) string {
	return routes.Subscribe(e.Client, e.registrar["nav"], map[string]string{"org": "nav", "app": "app2018", "endpoint": name})
}

// unscannedTypes is a registration whose content is handed out without a scan.
const unscannedTypes = `{"dataTypes":[{"formId":"first","scan":"off"},{"formId":"any","scan":"off"},{"formId":"page","scan":"off"},{"formId":"large","scan":"off"},{"formId":"a","scan":"off"}]}`

// scannedContent has content of an application whose content is scanned, by the state of instances.
var scannedContent = map[string]string{"unscanned": "SCAN-NEVER", "infected": scanner.EICAR(), "unscannable": "SCAN-UNSCANNABLE"}

// create creates an instance in a state, with a data element. Unless the API does not hand out its
// content, the application owner has downloaded it.
func (e *env) create(org, party, state string) (variables, error) {
	formID := "first"
	switch state {
	case "decided":
		formID = "decision"
	case "assessed":
		formID = noteForm
	}
	content, scanned := scannedContent[state]
	if !scanned {
		content = "first"
	}
	v, err := e.createWith(`[{"formId":"`+formID+`","contentType":"text/plain","fileName":"`+fileOf(state)+`","content":"`+base64.StdEncoding.EncodeToString([]byte(content))+`"}]`, org, party, state)
	switch {
	case err != nil || state == "gone":
	case scanned:
		_, err = e.system.Scan(context.Background())
	default:
		_, err = e.succeed(org, "GET", "/storage/instances/"+v["instanceOwnerId"]+"/"+v["instanceGuid"]+"/data/"+v["dataGuid"], "")
	}
	return v, err
}

// fileOf returns the file name of the data element of an instance in a state.
func fileOf(state string) string {
	if state == "assessed" {
		return hiddenFile
	}
	return "first.txt"
}

// createWith creates an instance in a state, with data elements.
func (e *env) createWith(data, org, party, state string) (variables, error) {
	app := map[string]string{"nav": "app2018", "skd": "app"}[org]
	if state == "decided" || state == "assessed" {
		app = "feedback"
	}
	if _, scanned := scannedContent[state]; scanned {
		app = "scanned"
	}
	visible := ""
	if state == "hidden" {
		visible = `,"visibleDateTime":"2099-01-01T00:00:00Z"`
	}
	made, err := e.succeed(org, "POST", "/"+org+"/"+app+"/instances", `{"reportee":`+e.parties[party].reportee+`,"data":`+data+visible+`}`)
	if err != nil {
		return nil, err
	}
	v := variables{"subscriptionId": e.subscription, "org": org, "app": app, "instanceOwnerId": made.InstanceOwnerID, "instanceGuid": made.ID, "reportee": e.parties[party].reportee, "formId": "any"}
	for _, d := range made.Data {
		v["dataGuid"] = d.ID
		if state == "assessed" {
			v["assessed"] = d.ID
		}
	}
	if state == "submitted" || state == "withdrawn" {
		if _, err := e.succeed(org, "PUT", made.Apps()+"/workflow", `{"currentStep":"Submit"}`); err != nil {
			return nil, err
		}
	}
	switch state {
	case "deleted-by-user", "withdrawn":
		err = e.deleteAs(e.parties[party], made)
	case "held":
		_, err = e.succeed(org, "PUT", made.Storage()+"/legalHold", `{"reason":"Tvist"}`)
	case "deleted":
		_, err = e.succeed(org, "DELETE", made.Apps(), "")
	case "gone":
		_, err = e.succeed(org, "DELETE", made.Apps()+"?hard=true", "")
	}
	return v, err
}

// deleteAs soft-deletes an instance as the user who is its party.
func (e *env) deleteAs(p party, i client.Instance) error {
	identity := claims{"scope": userRead + " " + userWrite}
	switch {
	case strings.Contains(p.reportee, "ssn"):
		identity["pid"] = p.identity
	case strings.Contains(p.reportee, "organizationNumber"):
		identity["urn:altinn:orgNumber"] = p.identity
	default:
		identity["urn:altinn:username"] = p.identity
	}
	response, err := e.send(bearer(e.issuer.token(ecKid, identity)), "DELETE", i.Apps(), "", "")
	if err == nil && response.Status != 200 {
		err = fmt.Errorf("a user's delete: %v", response)
	}
	return err
}

// succeed sends a request of an owner and fails if it is rejected.
func (e *env) succeed(org, method, path, body string) (client.Instance, error) {
	r := client.Request{Method: method, Path: path, Token: e.registrar[org], Body: body}
	if body != "" {
		r.Type = "application/json"
	}
	response, err := e.Do(context.Background(), r)
	if err == nil && response.Status >= 300 {
		err = fmt.Errorf("%s: %v", r, response)
	}
	if err != nil {
		return client.Instance{}, err
	}
	return response.Instance(), nil
}

// send sends a request with these Authorization headers. The path is sent as given.
func (e *env) send(authorization []string, method, path, media, body string) (*client.Response, error) {
	header := http.Header{}
	if len(authorization) > 0 {
		header["Authorization"] = authorization
	}
	return e.Do(context.Background(), client.Request{Method: method, Path: path, Header: header, Type: media, Body: body})
}

// valuesFor returns the variables of a request for an object: those of an instance, with the
// object's changes.
func (e *env) valuesFor(o object, home string, own variables) variables {
	v := variables{}
	for name, value := range own {
		v[name] = value
	}
	for name, value := range o.values {
		v[name] = e.resolve(value, name, home, own)
	}
	return v
}

// resolve replaces a placeholder by its value for one variable.
func (e *env) resolve(value, name, home string, own variables) string {
	current := own[name]
	switch value {
	case upper:
		return strings.ToUpper(current)
	case bare:
		return strings.ReplaceAll(current, "-", "")
	case braces:
		return "{" + current + "}"
	case urn:
		return "urn:uuid:" + current
	case padded:
		return "0" + current
	case wide:
		return strings.Map(func(r rune) rune { return r - '0' + '０' }, current)
	case ofOla:
		return e.instances[own["org"]+" ola"][name]
	case ofOther:
		return e.instances[own["org"]+" "+home+" second"][name]
	case unused:
		return "unused-" + strconv.FormatInt(e.unused.Add(1), 10)
	case itself:
		return own["instanceGuid"]
	case unassigned:
		if name == "instanceOwnerId" {
			return e.parties["unassigned"].numberText()
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
