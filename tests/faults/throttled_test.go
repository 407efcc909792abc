package faults_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/blob/blobbucket"
	"altinn.no/instanceapi/shared/busy"
	"altinn.no/instanceapi/shared/instance/instancetable"
	"altinn.no/instanceapi/shared/instance/sweep"
	"altinn.no/instanceapi/tests/awsproxy"
	"altinn.no/instanceapi/tests/client"
	"altinn.no/instanceapi/tests/faults"
	"altinn.no/instanceapi/tests/local/runtime"
	"altinn.no/instanceapi/tests/routes"
	"altinn.no/instanceapi/tests/stored"
	"altinn.no/instanceapi/tests/token/issuer"
)

// throttledSystem is a running system with an injector between each function and AWS.
type throttledSystem struct {
	client.Client
	*runtime.System
	instances           *instancetable.Table // without faults
	injectors           map[string]*faults.Injector
	owner, user, reader string          // tokens
	read                client.Instance // the only one of its application and of the reader; no request changes it
	party               string          // of the user, with an instance for each request that changes one
}

func startThrottled(t *testing.T) *throttledSystem {
	t.Helper()
	s := &throttledSystem{injectors: map[string]*faults.Injector{}}
	between := func(function, _, endpoint string) string {
		in := s.injectors[function]
		if in == nil {
			in = faults.New()
			s.injectors[function] = in
		}
		proxy, err := awsproxy.Start(endpoint, in.Proxy(callName))
		if err != nil {
			t.Error(err)
			return endpoint
		}
		t.Cleanup(proxy.Close)
		return proxy.URL
	}
	var err error
	if s.System, err = runtime.Start(t.Context(), runtime.Options{BetweenEach: between, Parameters: map[string]string{"CreatesPerHour": "100000"}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	s.Base = s.BaseURL
	s.instances = instancetable.New(s.Dynamo, "Instances", "")
	if s.owner, err = s.Authenticator.Owner("nav", "", time.Hour); err != nil {
		t.Fatal(err)
	}
	if s.user, err = s.Authenticator.User(issuer.User{SSN: throttledSSN}, "", time.Hour); err != nil {
		t.Fatal(err)
	}
	s.Must(t, 201, client.JSON("PUT", "/storage/applications/nav/app2018", s.owner,
		`{"dataTypes":[{"formId":"a","minCount":0,"maxCount":0,"schema":{"type":"object"}},{"formId":"any","minCount":0,"maxCount":0}]}`))
	if s.reader, err = s.Authenticator.User(issuer.User{Name: "reader"}, "", time.Hour); err != nil {
		t.Fatal(err)
	}
	s.Must(t, 201, client.JSON("PUT", "/storage/applications/nav/quiet", s.owner, `{}`))
	s.party = s.createForUser(t).InstanceOwnerID
	s.read = s.create(t, "quiet", s.reader, `{"userName":"reader"}`)
	return s
}

const throttledSSN = "12247918309"

// callName returns a name for every call except a warm-up.
func callName(c *awsproxy.Call) string {
	switch {
	case c.WarmUp:
		return ""
	case c.Operation == "":
		return c.Request.Method + " object"
	}
	return c.Operation
}

// exchange is a kind of request that succeeds.
type exchange struct {
	name     string
	function string
	status   int
	reads    bool
	batch    bool
	prepare  func(t *testing.T) prepared
}

// result returns the response, or the result of the only item of a batch.
func (x exchange) result(t *testing.T, response *client.Response) *client.Response {
	t.Helper()
	if !x.batch || response.Status != http.StatusOK {
		return response
	}
	item, err := response.Item()
	if err != nil {
		t.Fatal(err)
	}
	return item
}

// prepared is a request that is ready to be sent, and the instance that it is about.
type prepared struct {
	client.Request
	i client.Instance // empty if the request creates the instance
}

// exchanges returns the request of every route, for each caller that the function treats
// differently, and further requests that make other calls.
func (s *throttledSystem) exchanges(t *testing.T) []exchange {
	function := map[string]string{}
	for _, f := range s.Template.Functions {
		for _, r := range f.Routes {
			function[r.Method+" "+r.Path] = f.Folder
		}
	}
	var all []exchange
	for _, r := range routes.Of(t, s.Template) {
		if r.Open() {
			continue // makes no call
		}
		callers := map[string]string{"owner": s.owner}
		switch {
		case r.Reads() && r.Has("instanceGuid"):
			callers["user"] = s.reader
		case r.User && r.Reads():
			callers = map[string]string{"user": s.reader}
		case r.User:
			callers = map[string]string{"user": s.user}
		}
		for caller, token := range callers {
			all = append(all, exchange{r.String() + " by the " + caller, function[r.String()], cmp.Or(r.ItemStatus, r.Status), r.Reads(), r.Batch(), func(t *testing.T) prepared { return s.toRoute(t, r, token) }})
		}
	}
	about := func(method, suffix string) func(t *testing.T) prepared {
		return func(t *testing.T) prepared {
			i := s.createForUser(t)
			return prepared{client.Request{Method: method, Path: i.Apps() + suffix, Token: s.user}, i}
		}
	}
	return append(all,
		exchange{"instance by its id", "party-instances", 200, true, false, func(t *testing.T) prepared {
			return prepared{client.Request{Method: "GET", Path: "/storage/instances/" + s.read.ID, Token: s.owner}, s.read}
		}},
		exchange{"permanent deletion", "instance-delete", 200, false, false, about("DELETE", "?hard=true")},
		exchange{"commit of an upload", "data-create", 201, false, false, func(t *testing.T) prepared {
			p := about("POST", "/data?formId=any&upload=")(t)
			u := s.Must(t, 201, client.JSON("POST", p.i.Apps()+"/uploads?formId=any", s.user, client.Announcement("large"))).Upload()
			s.Must(t, 200, u.Put("large"))
			p.Path += u.ID
			return p
		}},
		exchange{"change of labels that share an index", "instance-update", 200, false, false, func(t *testing.T) prepared {
			p := about("PATCH", "")(t)
			p.Token, p.Type, p.Body = s.owner, "application/merge-patch+json", `{"labels":["x2","x3"]}`
			return p
		}},
	)
}

func (s *throttledSystem) createForUser(t *testing.T) client.Instance {
	t.Helper()
	return s.create(t, "app2018", s.user, `{"ssn":"`+throttledSSN+`"}`)
}

func (s *throttledSystem) create(t *testing.T, app, token, reportee string) client.Instance {
	t.Helper()
	return s.Must(t, 201, client.JSON("POST", "/nav/"+app+"/instances", token, `{"reportee":`+reportee+`,"labels":["gr","x3"],"data":[
		{"formId":"a","contentType":"application/json","content":"e30="},{"formId":"any","contentType":"text/plain","content":"YQ=="}]}`)).Instance()
}

// toRoute returns the request to a route. Each creation is for a new party, so that it makes every
// call that a creation can make.
func (s *throttledSystem) toRoute(t *testing.T, r routes.Route, token string) prepared {
	t.Helper()
	values := map[string]string{"org": "nav", "app": "app2018"}
	var i client.Instance
	switch {
	case r.String() == "GET /storage/instances/{instanceOwnerId}/{instanceGuid}/data/{dataGuid}" && token == s.owner, !r.Reads() && r.Has("instanceGuid"):
		i = s.createForUser(t)
	case r.Reads():
		i, values["app"] = s.read, "quiet"
	}
	if i.ID != "" {
		values["instanceOwnerId"], values["instanceGuid"], values["dataGuid"] = i.InstanceOwnerID, i.ID, i.Data[1].ID
	}
	switch {
	case r.Method == "PUT" && !r.Has("instanceGuid"):
		values["app"] = "app-" + strings.ToLower(rand.Text()[:12])
	case r.Lookup: // of a party that the process has not looked up before
		values["reportee"] = `{"userName":"` + rand.Text() + `"}`
		i = s.create(t, "app2018", s.owner, values["reportee"])
	case r.Method == "POST" && !r.Has("instanceGuid"):
		name := rand.Text()
		values["reportee"] = `{"userName":"` + name + `"}`
		if !r.User {
			break
		}
		var err error
		if token, err = s.Authenticator.User(issuer.User{Name: name}, "", time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	if r.Subscribed { // a separate owner, because each owner may have a few subscriptions only
		org := "org-" + strings.ToLower(rand.Text()[:12])
		var err error
		if token, err = s.Authenticator.Owner(org, "", time.Hour); err != nil {
			t.Fatal(err)
		}
		values["org"], values["app"] = org, "app2018"
		s.Must(t, 201, client.JSON("PUT", "/storage/applications/"+org+"/app2018", token, "{}"))
		values["subscriptionId"] = routes.Subscribe(s.Client, token, values)
	}
	if r.Downloaded {
		for _, d := range i.Data {
			s.Must(t, 200, client.Request{Method: "GET", Path: i.Storage() + "/data/" + d.ID, Token: s.owner})
		}
	}
	if r.Deleted {
		s.Must(t, 200, client.Request{Method: "DELETE", Path: i.Apps(), Token: s.user})
	}
	request := client.Request{Method: r.Method, Path: routes.Fill(r.Path, values, nil), Token: token, Type: r.Type, Body: routes.Fill(r.Body, values, nil)}
	if r.Path == "/storage/instances" {
		r.Query = "appId=nav/quiet" // a constant number of calls
	}
	if r.Query != "" {
		request.Path += "?" + r.Query
	}
	if r.Method == "POST" {
		request = request.With("Idempotency-Key", rand.Text())
	}
	return prepared{request, i}
}

// TestThrottledRequests throttles each call of each endpoint, once and then always. Throttled once,
// the request succeeds with one more call. Throttled always from that call on, the response is 503
// busy with Retry-After, and the function makes at most busy.MaxRetries more calls than an
// undisturbed request. The instance is then unchanged or completely changed. The same request
// succeeds as soon as AWS does not throttle.
func TestThrottledRequests(t *testing.T) {
	s := startThrottled(t)
	byFunction := map[string][]exchange{}
	for _, x := range s.exchanges(t) {
		byFunction[x.function] = append(byFunction[x.function], x)
	}
	// The preparations of one function use the other functions, so all of them come first.
	type job struct {
		exchange
		calls    int // of an undisturbed request
		requests []prepared
	}
	jobs := map[string][]*job{}
	for function, exchanges := range byFunction {
		for _, x := range exchanges {
			j := &job{exchange: x}
			first, in := x.prepare(t), s.injectors[function]
			in.Arm(func(int) faults.Mode { return faults.None })
			if response := x.result(t, s.do(t, first.Request)); response.Status != x.status {
				t.Fatalf("%s: %v", x.name, response)
			}
			if j.calls = len(in.Calls()); j.calls == 0 {
				t.Errorf("%s makes no call", x.name)
			}
			jobs[function] = append(jobs[function], j)
		}
	}
	t.Run("preparation", func(t *testing.T) {
		for function, all := range jobs {
			t.Run(function, func(t *testing.T) {
				t.Parallel()
				for _, j := range all {
					for range 2 * j.calls {
						j.requests = append(j.requests, j.prepare(t))
					}
				}
			})
		}
	})
	if t.Failed() {
		return
	}
	var mu sync.Mutex
	runs, calls := 0, 0
	t.Run("functions", func(t *testing.T) {
		for function, all := range jobs {
			t.Run(function, func(t *testing.T) {
				t.Parallel()
				in := s.injectors[function]
				for _, j := range all {
					for n := 1; n <= j.calls; n++ {
						once := s.throttleOnce(t, in, j.exchange, j.calls, n, j.requests[2*n-2])
						always := s.throttleAlways(t, in, j.exchange, j.calls, n, j.requests[2*n-1])
						mu.Lock()
						runs, calls = runs+2, calls+once+always
						mu.Unlock()
					}
				}
			})
		}
	})
	t.Logf("%d requests with %d calls", runs, calls)
	s.checkContent(t)
}

// throttleOnce throttles the first attempt of the n-th call of a request.
func (s *throttledSystem) throttleOnce(t *testing.T, in *faults.Injector, x exchange, undisturbed, n int, p prepared) (calls int) {
	t.Helper()
	in.ArmOne(n, faults.Throttled)
	response := s.do(t, p.Request)
	calls = len(in.Calls())
	in.Disarm()
	response = x.result(t, response)
	if response.Status != x.status {
		t.Errorf("%s: %v, faults %q, calls %q", x.name, response, in.Fired(), in.Calls())
	}
	if calls > undisturbed+1 {
		t.Errorf("%s: %d calls, undisturbed %d", x.name, calls, undisturbed)
	}
	return calls
}

// throttleAlways throttles every call of a request from the n-th on.
func (s *throttledSystem) throttleAlways(t *testing.T, in *faults.Injector, x exchange, undisturbed, n int, p prepared) (calls int) {
	t.Helper()
	before := s.version(t, p.i)
	in.Arm(func(call int) faults.Mode {
		if call >= n {
			return faults.Throttled
		}
		return faults.None
	})
	response := s.do(t, p.Request)
	made := in.Calls()
	calls = len(made)
	in.Disarm()
	if len(in.Fired()) == 0 {
		return calls // a cache of the function has made this call unnecessary
	}
	wait, err := strconv.Atoi(response.Header.Get("Retry-After"))
	if x.batch && response.Status == http.StatusOK { // an item has no header of its own
		response, wait, err = x.result(t, response), 1, nil
	}
	if made[n-1] == "PutEvents" && response.Status == x.status {
		return calls // the announcement of a subscription, without which the schedule finds it
	}
	if response.Status != http.StatusServiceUnavailable || p.Method != "HEAD" && response.Code() != "busy" || err != nil || wait < 1 || wait > 4 {
		t.Errorf("%s, always from call %d of %q: %v, Retry-After %q", x.name, n, made, response, response.Header.Get("Retry-After"))
	}
	if calls > undisturbed+busy.MaxRetries {
		t.Errorf("%s, always from call %d: %d calls, undisturbed %d: %q", x.name, n, calls, undisturbed, made)
	}
	if after := s.version(t, p.i); after != before {
		t.Errorf("%s, always from call %d of %q: version %d after 503, before %d", x.name, n, made, after, before)
	}
	if again := x.result(t, s.do(t, p.Request)); again.Status != x.status {
		t.Errorf("%s, after 503 from call %d of %q: %v", x.name, n, made, again)
	}
	return calls
}

func (s *throttledSystem) do(t *testing.T, r client.Request) *client.Response {
	t.Helper()
	response, err := s.Do(t.Context(), r)
	if err != nil {
		t.Fatalf("%s: %v", r, err)
	}
	return response
}

// version returns the stored version of an instance, or 0 for no instance.
func (s *throttledSystem) version(t *testing.T, i client.Instance) int64 {
	t.Helper()
	if i.ID == "" {
		return 0
	}
	current, err := s.instances.Get(t.Context(), i.InstanceOwnerID, i.ID)
	if err != nil {
		t.Fatal(err)
	}
	return current.Version
}

// checkContent checks that after the sweep a document refers to each object, that each data element
// has its object, and that no party has an instance twice.
func (s *throttledSystem) checkContent(t *testing.T) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	report, err := sweep.Run(ctx, s.instances, blobbucket.New(s.S3, s.Bucket), time.Now().Add(24*time.Hour+sweep.SettleTime))
	if err != nil || report.Listed == 0 {
		t.Errorf("the sweep of the next days: %+v, %v", report, err)
	}
	known, ofParty := map[string]bool{}, map[string]int{}
	items, err := stored.Items(ctx, s.Dynamo, "Instances")
	if err != nil {
		t.Fatal(err)
	}
	objects, err := stored.Objects(ctx, s.S3, s.Bucket)
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range items {
		id, isInstance := strings.CutPrefix(item.Text("SK"), "INSTANCE#")
		if !isInstance {
			continue
		}
		i, err := s.instances.Get(ctx, item.Text("PK"), id)
		if err != nil {
			t.Fatal(err)
		}
		ofParty[i.InstanceOwnerID]++
		for _, d := range i.Data {
			key := blob.KeyOf(i.AppID, i.InstanceOwnerID, i.ID, d.Revision).String()
			if known[key] = true; objects[key] == "" {
				t.Errorf("data element %s has no object %s", d.ID, key)
			}
		}
	}
	for key := range objects {
		if !known[key] {
			t.Errorf("the sweep left the object, to which no document refers: %s", key)
		}
	}
	for party, count := range ofParty {
		if count > 1 && party != s.party {
			t.Errorf("party %s has %d instances", party, count)
		}
	}
}
