package leaks

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/instance/instancetable"
	"altinn.no/instanceapi/tests/client"
	"altinn.no/instanceapi/tests/local/scanner"
	"altinn.no/instanceapi/tests/routes"
	"altinn.no/instanceapi/tests/stored"
)

func TestNothingLeaks(t *testing.T) {
	e := newEnv(t)
	e.Must(t, 201, client.JSON("PUT", "/storage/applications/nav/app2018", e.owner, `{"deadline":{"label":"`+deadlineLabel+`"},
		"events":["DataChanged","DataScanned","InstanceChanged","DownloadConfirmed","InstanceDeleted","InstanceUndeleted","InstanceVisible","DeadlineNear","DeadlinePassed","LegalHoldChanged","SubstatusChanged","ReadStatusChanged"]}`))
	common := e.create(routes.Route{})

	var all []marker
	seen := map[string]bool{}
	statuses := map[int]int{}
	var mu sync.Mutex
	var wait sync.WaitGroup
	slots := make(chan struct{}, 4)
	for _, r := range routes.Of(t, e.Template) {
		seen[strings.Replace(r.Method, "HEAD", "GET", 1)+" "+r.Path] = true
		body := routes.Fill(r.Body, common, nil)
		for n, l := range locations(r, body) {
			if r.Method == "HEAD" && !strings.HasPrefix(l.name, "path ") {
				continue // the handler of GET serves it
			}
			// Identity numbers go into every location except headers. The other kinds alternate.
			chosen := []int{0, 1 + n%(len(kinds)-1)}
			if strings.HasPrefix(l.name, "header ") {
				chosen = []int{(n + len(seen)) % len(kinds)}
			}
			for _, k := range chosen {
				kind := kinds[k]
				m := marker{sentIn: fmt.Sprintf("%s: %s in %s", r, kind.name, l.name), text: kind.make(len(all)), clientText: l.clientText}
				all = append(all, m)
				values := common
				switch {
				case r.Subscribed:
					values = maps.Clone(common)
					values["subscriptionId"] = routes.Subscribe(e.Client, e.owner, common)
				case !r.Reads() && r.Has("instanceGuid"):
					values = e.create(r) // without the effects of other requests
				}
				slots <- struct{}{}
				wait.Go(func() {
					defer func() { <-slots }()
					status := e.send(r, body, l, m, values)
					mu.Lock()
					statuses[status]++
					mu.Unlock()
				})
			}
		}
	}
	wait.Wait()
	t.Logf("%d markers, responses by status: %v", len(all), statuses)

	// These secrets are in requests that succeed.
	all = append(all, marker{sentIn: "every request: the user's identity number", text: person},
		marker{sentIn: "every request: the user's name", text: userName},
		marker{sentIn: "every request: the user's token", text: e.user}, marker{sentIn: "every request: the owner's token", text: e.owner})
	all = append(all, e.identities()...)
	all = append(all, e.presigned()...)
	all = append(all, e.holds()...)
	e.scan()
	e.searchTexts("the outbox", all, e.items("Outbox"), false) // before webhooks empties it
	all = append(all, e.webhooks()...)
	e.search(all)
}

// scan adds infected content, and scans all content. Events of the scan are then in the outbox.
func (e *env) scan() {
	e.t.Helper()
	i := e.create(routes.Route{})
	e.Must(e.t, 201, client.Request{Method: "POST", Path: "/nav/app2018/instances/" + i["instanceOwnerId"] + "/" + i["instanceGuid"] + "/data?formId=virus", Token: e.user, Type: "text/plain", Body: scanner.EICAR()})
	if results, err := e.Scan(e.t.Context()); err != nil || results < 100 {
		e.t.Errorf("%d results of scans, %v", results, err)
	}
	if !slices.ContainsFunc(e.items("Outbox"), func(text string) bool { return strings.Contains(text, "infected") }) {
		e.t.Error("the outbox has no event of the scan")
	}
}

// send sends a request with a marker, searches the response for it and returns the status.
func (e *env) send(route routes.Route, body string, l location, m marker, values map[string]string) int {
	r := &request{method: route.Method, path: route.Path, values: maps.Clone(values), query: route.Query, header: http.Header{}, body: body}
	token := e.owner
	if route.User {
		token = e.user
	}
	r.header.Set("Authorization", "Bearer "+token)
	if route.Type != "" {
		r.header.Set("Content-Type", route.Type)
	}
	if route.Method == "PUT" && route.Path == "/storage/applications/{org}/{app}" {
		r.values["app"] = "registered" // app2018 must not change
	}
	l.put(r, m.text)
	got, err := e.Do(e.t.Context(), r.build())
	if err != nil {
		e.t.Errorf("%s: %v", m.sentIn, err)
		return 0
	}
	e.check(l, m, got)
	return got.Status
}

// check searches a response for a marker. A problem, a header or an address must not contain it.
// Content may contain it only if it is the client's own text.
func (e *env) check(l location, m marker, got *client.Response) {
	if got.Status >= 500 {
		e.t.Errorf("%s: %v", m.sentIn, got)
	}
	for name, values := range got.Header {
		named := name == "Content-Disposition" // a file name is the client's own text
		if inOwnLinks(l) && name == "Link" {
			continue
		}
		if m.in(strings.Join(values, " ")) && !(named && m.clientText) {
			e.t.Errorf("%s: found in the header %s: %s", m.sentIn, name, values)
		}
	}
	if !m.in(string(got.Body)) {
		return
	}
	var value any
	if got.Status >= 300 || json.Unmarshal(got.Body, &value) != nil {
		e.t.Errorf("%s: found in the response %v", m.sentIn, got)
		return
	}
	e.checkContent(l, m, "", value)
}

// inOwnLinks reports whether the links of a page may contain the text of a location. The links
// repeat the path and the filters of the request, which the caller itself has put into an address.
func inOwnLinks(l location) bool {
	return strings.HasPrefix(l.name, "query ") || l.name == "path instanceOwnerId"
}

func (e *env) checkContent(l location, m marker, at string, value any) {
	switch v := value.(type) {
	case map[string]any:
		for name, each := range v {
			if m.in(name) && !m.clientText {
				e.t.Errorf("%s: found as the name of %s", m.sentIn, at)
			}
			e.checkContent(l, m, at+"."+name, each)
		}
	case []any:
		for _, each := range v {
			e.checkContent(l, m, at, each)
		}
	case string:
		address := strings.Contains(v, "://")
		if inOwnLinks(l) && strings.HasPrefix(at, "._links.") {
			return
		}
		if m.in(v) && (address || !m.clientText) {
			e.t.Errorf("%s: found in %s: %.300s", m.sentIn, at, v)
		}
	}
}

// identities looks up unknown parties and creates instances for them, by every kind of identity.
func (e *env) identities() (sent []marker) {
	for n, reportee := range []map[string]string{{"ssn": "41999999901"}, {"organizationNumber": "919999901"}, {"userName": "hemmelig.navn.1"}} {
		for kind, value := range reportee {
			sent = append(sent, marker{sentIn: "POST " + appsInstances + ": a reportee's " + kind, text: value})
			lookup := client.JSON("POST", "/storage/parties/lookup", e.owner, fmt.Sprintf(`{"reportee":{%q:%q}}`, kind, value))
			e.Must(e.t, 404, lookup)
			i := e.Must(e.t, 201, client.JSON("POST", "/nav/app2018/instances", e.owner,
				fmt.Sprintf(`{"reportee":{%q:%q},"data":[{"formId":"a","contentType":"text/plain","content":"YQ=="}]}`, kind, value))).Instance()
			e.Must(e.t, 200, lookup)
			lookup.Token = e.user
			e.Must(e.t, 404, lookup)
			e.Must(e.t, 200, client.JSON("PUT", i.Apps()+"/workflow", e.owner, `{"currentStep":"Submit"}`))
			e.Must(e.t, 200, client.Request{Method: "GET", Path: fmt.Sprintf("/storage/instances?instanceOwnerId=%s&size=%d", i.InstanceOwnerID, n+1), Token: e.owner})
		}
	}
	return sent
}

// deadlineLabel is the label that instances get when their dueDateTime passes.
const deadlineLabel = "frist44999999901"

// holds puts an instance under legal hold and lets its dueDateTime pass. Only the owner may see the
// reason of the hold. Only documents may contain the label of the deadline.
func (e *env) holds() (sent []marker) {
	const reason = "Mistanke mot 45999999901"
	values := e.create(routes.Route{})
	apps := routes.Fill(appsInstance, values, nil)
	stored := routes.Fill(storedInstance, values, nil)
	e.Must(e.t, 200, client.JSON("PUT", stored+"/legalHold", e.owner, `{"reason":"`+reason+`"}`))
	e.Must(e.t, 200, client.JSON("PATCH", apps, e.owner, `{"dueDateTime":"2026-01-01T00:00:00Z"}`))
	if _, err := e.Function("agenda-run").Invoke(e.t.Context(), []byte(`{}`)); err != nil {
		e.t.Fatal(err)
	}
	added := e.Must(e.t, 201, client.Request{Method: "POST", Path: apps + "/data?formId=any", Token: e.user, Type: "text/plain", Body: "a"})
	if text := string(added.Body); !strings.Contains(text, deadlineLabel) || !strings.Contains(text, "legalHold") {
		e.t.Errorf("the instance is neither late nor held: %v", added)
	}
	refused := e.Must(e.t, 409, client.Request{Method: "DELETE", Path: apps + "?hard=true", Token: e.user})
	byUser := []*client.Response{added, refused}
	for _, path := range []string{apps, stored, stored + "/events", apps + "/workflow", apps + "/validate", "/storage/instances"} {
		byUser = append(byUser, e.Must(e.t, 200, client.Request{Method: "GET", Path: path, Token: e.user}))
	}
	for _, got := range byUser {
		if strings.Contains(string(got.Body), reason) {
			e.t.Errorf("a user sees the reason of a legal hold: %v", got)
		}
	}
	if got := e.Must(e.t, 200, client.Request{Method: "GET", Path: stored, Token: e.owner}); !strings.Contains(string(got.Body), reason) {
		e.t.Errorf("the owner does not see the reason of the legal hold: %v", got)
	}
	return []marker{
		{sentIn: "PUT " + storedInstance + "/legalHold: the reason", text: reason, clientText: true},
		{sentIn: "PUT of a registration: the label of the deadline", text: deadlineLabel, clientText: true},
	}
}

// webhooks subscribes an endpoint, which confirms the verification and then responds with 410. Only
// the table and the responses to the owner may contain its secrets and the query of its URL. The
// response of the endpoint may be nowhere.
func (e *env) webhooks() (sent []marker) {
	const query, response = "nokkel-46999999901", "svar-47999999901"
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // a part of a body has no challenge
		if strings.Contains(string(body), `"challenge"`) {
			_, _ = w.Write(body)
			return
		}
		w.Header().Set("X-Marker", response)
		w.WriteHeader(http.StatusGone)
		_, _ = w.Write([]byte(response))
	}))
	e.t.Cleanup(endpoint.Close)
	send := func() {
		if _, err := e.Deliver(e.t.Context()); err != nil {
			e.t.Fatal(err)
		}
		if err := e.SendWebhooks(e.t.Context()); err != nil {
			e.t.Fatal(err)
		}
	}
	send() // the events before
	made := e.Must(e.t, 201, client.JSON("POST", "/storage/subscriptions", e.owner, `{"endpoint":"`+endpoint.URL+"/?"+query+`","appIds":["nav/app2018"]}`))
	path := "/storage/subscriptions/" + made.Instance().ID // the member "id"
	rotated := e.Must(e.t, 200, client.Request{Method: "POST", Path: path + "/secret", Token: e.owner})
	send()
	e.create(routes.Route{})
	send()
	get := func(path string) *client.Response {
		return e.Must(e.t, 200, client.Request{Method: "GET", Path: path, Token: e.owner})
	}
	paused, deliveries := get(path), get(path+"/deliveries")
	if paused.Object()["pausedReason"] != "gone" || !strings.Contains(string(deliveries.Body), "410") {
		e.t.Errorf("the endpoint received no event: %v, %v", paused, deliveries)
	}
	for _, r := range []*client.Response{made, rotated} {
		secret := fmt.Sprint(r.Object()["secret"])
		sent = append(sent, marker{sentIn: "the secret of a subscription", text: strings.TrimPrefix(secret, "whsec_"), clientText: true})
	}
	sent = append(sent, marker{sentIn: "the response of an endpoint", text: response})
	for _, got := range []*client.Response{paused, deliveries, get("/storage/subscriptions"), e.Must(e.t, 200, client.JSON("PATCH", path, e.owner, `{}`))} {
		for _, m := range sent {
			if m.in(string(got.Body)) {
				e.t.Errorf("%s: found in the response %v", m.sentIn, got)
			}
		}
	}
	return append(sent, marker{sentIn: "the query of an endpoint", text: query, clientText: true})
}

// presigned sends and downloads a large file. Only the caller may see the signature of an address.
func (e *env) presigned() (sent []marker) {
	i, content := e.create(routes.Route{}), strings.Repeat("a", 4_400_001)
	self := routes.Fill("/nav/app2018/instances/{instanceOwnerId}/{instanceGuid}", i, nil)
	signed := func(request, address string) {
		_, signature, ok := strings.Cut(address, "X-Amz-Signature=")
		if !ok {
			e.t.Fatalf("%s: the address is not signed: %s", request, address)
		}
		sent = append(sent, marker{sentIn: request + ": the signature in its response", text: signature})
	}
	const fileName = "fnr43999999901.pdf"
	sent = append(sent, marker{sentIn: "POST " + appsInstance + "/uploads: the file name", text: fileName, clientText: true})
	announcement := strings.Replace(client.Announcement(content), "c.txt", fileName, 1)
	upload := e.Must(e.t, 201, client.JSON("POST", self+"/uploads?formId=a", e.user, announcement)).Upload()
	signed("POST "+appsInstance+"/uploads", upload.URL)
	e.Must(e.t, 200, upload.Put(content))
	made := e.Must(e.t, 201, client.Request{Method: "POST", Path: self + "/data?formId=a&upload=" + upload.ID, Token: e.user})
	data, _ := made.Object()["data"].([]any)
	for _, link := range data[1].(map[string]any)["dataLinks"].(map[string]any) {
		got := e.Must(e.t, 307, client.Request{Method: "GET", Path: fmt.Sprint(link), Token: e.owner})
		signed("GET of a large file", got.Header.Get("Location"))
		if sent[0].in(got.Header.Get("Location")) {
			e.t.Errorf("the address of a download contains the file name: %s", got.Header.Get("Location"))
		}
	}
	return sent
}

// search searches everything that outlives a request for the markers.
func (e *env) search(all []marker) {
	if _, err := e.Deliver(e.t.Context()); err != nil {
		e.t.Fatal(err)
	}
	var feeds []string
	for _, app := range []string{"app2018", "registered"} {
		got, err := e.Do(e.t.Context(), client.Request{Method: "GET", Path: "/storage/applications/nav/" + app + "/events?size=1000", Token: e.owner})
		if err != nil {
			e.t.Fatal(err)
		}
		feeds = append(feeds, string(got.Body))
	}
	e.searchTexts("the feed", all, feeds, false)
	e.searchTexts("the bus", all, []string{e.bus.String()}, false)
	log := strings.Split(e.log.String(), "\n")
	if len(log) < len(all) {
		e.t.Errorf("%d lines of log for more than %d requests", len(log), len(all))
	}
	e.searchTexts("the log", all, log, false)
	for _, table := range e.Template.Tables {
		if table != "Outbox" {
			e.searchTexts("the table "+table, all, e.items(table), true)
		}
	}
	e.searchTexts("the names of objects", all, e.objects(), false)
}

// searchTexts searches texts for the markers. With content, the texts may contain the client's own
// text.
func (e *env) searchTexts(where string, all []marker, texts []string, content bool) {
	if len(texts) == 0 || texts[0] == "" && len(texts) == 1 {
		e.t.Errorf("%s is empty, so the search proves nothing", where)
	}
	whole := strings.Join(texts, "\n")
	for _, m := range all {
		if m.clientText && content || !m.in(whole) {
			continue
		}
		for _, text := range texts {
			if m.in(text) {
				e.t.Errorf("%s: found in %s: %.600s", m.sentIn, where, text)
				break
			}
		}
	}
}

// items returns the items of a table as text, with their documents decompressed.
func (e *env) items(table string) (texts []string) {
	instances := instancetable.New(e.Dynamo, "Instances", "Outbox")
	items, err := stored.Items(e.t.Context(), e.Dynamo, table)
	if err != nil {
		e.t.Fatal(err)
	}
	for _, item := range items {
		var b strings.Builder
		for _, name := range slices.Sorted(maps.Keys(item)) {
			switch v := item[name].(type) {
			case *types.AttributeValueMemberS:
				b.WriteString(" " + name + "=" + v.Value)
			case *types.AttributeValueMemberB:
				b.WriteString(" " + name + "=" + string(v.Value))
			}
		}
		for _, doc := range item.Events() {
			b.WriteString(" " + string(doc.JSON))
		}
		if id, isInstance := strings.CutPrefix(item.Text("SK"), "INSTANCE#"); isInstance {
			i, err := instances.Get(e.t.Context(), item.Text("PK"), id)
			if err != nil {
				e.t.Fatal(err)
			}
			b.WriteString(" " + encode(i))
		}
		texts = append(texts, b.String())
	}
	return texts
}

func (e *env) objects() []string {
	objects, err := stored.Objects(e.t.Context(), e.S3, e.Bucket)
	if err != nil {
		e.t.Fatal(err)
	}
	return slices.Collect(maps.Keys(objects))
}
