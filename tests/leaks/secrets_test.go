package leaks

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"altinn.no/instanceapi/shared/instance/instancetable"
)

func TestNothingLeaks(t *testing.T) {
	s := newSite(t)
	s.must(s.owner, "PUT", "/storage/applications/nav/app2018", jsonType, `{}`)
	common := s.create()

	routes := map[string]bool{}
	var all []mark
	statuses := map[int]int{}
	var mu sync.Mutex
	var wait sync.WaitGroup
	slots := make(chan struct{}, 4)
	for _, f := range s.Template.Functions {
		for _, r := range f.Routes {
			method := strings.Replace(r.Method, "HEAD", "GET", 1)
			routes[method+" "+r.Path] = true
			row, ok := rows[method+" "+r.Path]
			if !ok {
				t.Errorf("%s %s has no row: say in rows how a request of it is granted", r.Method, r.Path)
				continue
			}
			for n, p := range places(r.Path, row) {
				if r.Method == "HEAD" && !strings.HasPrefix(p.name, "path ") {
					continue // it is the GET without its answer
				}
				// An identity number everywhere but in headers, and the other kinds by turns.
				chosen := []int{0, 1 + n%(len(kinds)-1)}
				if strings.HasPrefix(p.name, "header ") {
					chosen = []int{(n + len(routes)) % len(kinds)}
				}
				for _, k := range chosen {
					kind := kinds[k]
					m := mark{place: fmt.Sprintf("%s %s: %s in %s", r.Method, r.Path, kind.name, p.name), text: kind.make(len(all)), own: p.own}
					all = append(all, m)
					vars := common
					if r.Method != "GET" && r.Method != "HEAD" && strings.Contains(r.Path, "{instanceGuid}") {
						vars = s.create() // one that is not locked, nor deleted
					}
					slots <- struct{}{}
					wait.Go(func() {
						defer func() { <-slots }()
						a := s.ask(r.Method, r.Path, row, p, m, vars)
						mu.Lock()
						statuses[a.status]++
						mu.Unlock()
					})
				}
			}
		}
	}
	wait.Wait()
	for route := range rows {
		if !routes[route] {
			t.Errorf("rows has %s, which the template has not", route)
		}
	}
	t.Logf("%d marks, answered %v", len(all), statuses)

	// What is secret in every request that was granted.
	all = append(all, mark{place: "every request: the user's identity number", text: person},
		mark{place: "every request: the user's token", text: s.user}, mark{place: "every request: the owner's token", text: s.owner})
	all = append(all, s.identities()...)
	all = append(all, s.presigned()...)
	s.look(all)
}

// ask sends a request with a mark, and looks for it in the answer.
func (s *env) ask(method, route string, row row, p location, m mark, vars map[string]string) *answer {
	r := &request{method: method, route: route, vars: maps.Clone(vars), query: row.query, header: http.Header{}}
	token := s.owner
	if row.user {
		token = s.user
	}
	r.header.Set("Authorization", "Bearer "+token)
	if row.kind != "" {
		r.header.Set("Content-Type", row.kind)
	}
	switch body := row.body.(type) {
	case string:
		r.body = []byte(body)
	case map[string]any:
		r.body = encode(body)
	}
	if method == "PUT" && strings.HasPrefix(route, "/storage/applications/") {
		r.vars["app"] = "registered"
	}
	p.put(r, m.text)
	a, err := s.send(s.t.Context(), r.method, r.target(), r.header, r.body)
	if err != nil {
		s.t.Errorf("%s: %v", m.place, err)
		return &answer{}
	}
	s.judge(p, m, a)
	return a
}

// judge looks for a mark in an answer: not in a refusal, not in a header, not in an address, and in content only where it is
// the client's own.
func (s *env) judge(p location, m mark, a *answer) {
	if a.status >= 500 {
		s.t.Errorf("%s: answered %d", m.place, a.status)
	}
	for name, values := range a.header {
		named := name == "Content-Disposition" // a file name is the client's own
		if repeats(p) && name == "Link" {
			continue
		}
		if m.in(strings.Join(values, " ")) && !(named && m.own) {
			s.t.Errorf("%s: it is in the header %s: %s", m.place, name, values)
		}
	}
	if !m.in(string(a.body)) {
		return
	}
	if a.status >= 300 {
		s.t.Errorf("%s: it is in the refusal %s", m.place, a.body)
		return
	}
	var value any
	if json.Unmarshal(a.body, &value) != nil {
		s.t.Errorf("%s: it is in the answer %.300s", m.place, a.body)
		return
	}
	s.inContent(p, m, "", value)
}

// repeats reports whether the links of a page have what is in this place: they are the caller's own request, its path and its
// filters, or following them would find something else. Whoever put a secret there has put it in an address already.
func repeats(p location) bool {
	return strings.HasPrefix(p.name, "query ") || p.name == "path instanceOwnerId"
}

func (s *env) inContent(p location, m mark, at string, value any) {
	switch v := value.(type) {
	case map[string]any:
		for name, each := range v {
			if m.in(name) && !m.own {
				s.t.Errorf("%s: it is the name of %s", m.place, at)
			}
			s.inContent(p, m, at+"."+name, each)
		}
	case []any:
		for _, each := range v {
			s.inContent(p, m, at, each)
		}
	case string:
		address := strings.Contains(v, "://")
		if repeats(p) && strings.HasPrefix(at, "._links.") {
			return
		}
		if m.in(v) && (address || !m.own) {
			s.t.Errorf("%s: it is in %s: %.300s", m.place, at, v)
		}
	}
}

// identities names parties by every kind of identity, known and not, by owners and by users.
func (s *env) identities() (sent []mark) {
	for n, reportee := range []map[string]string{{"ssn": "41999999901"}, {"organizationNumber": "919999901"}, {"userName": "hemmelig.navn.1"}} {
		for kind, value := range reportee {
			sent = append(sent, mark{place: "POST " + app + ": a reportee's " + kind, text: value})
			o := s.must(s.owner, "POST", "/nav/app2018/instances", jsonType, fmt.Sprintf(`{"reportee":{%q:%q},"data":[{"formId":"a","contentType":"text/plain","content":"YQ=="}]}`, kind, value))
			path := fmt.Sprintf("/nav/app2018/instances/%s/%s", o["instanceOwnerId"], o["id"])
			s.must(s.owner, "PUT", path+"/workflow", jsonType, `{"currentStep":"Submit"}`)
			s.must(s.owner, "GET", fmt.Sprintf("/storage/instances?instanceOwnerId=%s&size=%d", o["instanceOwnerId"], n+1), "", "")
		}
	}
	return sent
}

// presigned sends a large file and fetches it: what addresses are signed with is for who asked alone.
func (s *env) presigned() (sent []mark) {
	i, content := s.create(), strings.Repeat("a", 4_400_001)
	sum := sha256.Sum256([]byte(content))
	at := fmt.Sprintf("/nav/app2018/instances/%s/%s", i["instanceOwnerId"], i["instanceGuid"])
	upload := s.must(s.user, "POST", at+"/uploads", jsonType, string(encode(map[string]any{
		"fileName": "a.txt", "contentType": "text/plain", "size": len(content), "sha256": hex.EncodeToString(sum[:]),
	})))
	signed := func(place, address string) {
		_, signature, ok := strings.Cut(address, "X-Amz-Signature=")
		if !ok {
			s.t.Fatalf("%s: the address is not signed: %s", place, address)
		}
		sent = append(sent, mark{place: place + ": the signature of its answer", text: signature})
	}
	signed("POST "+one+"/uploads", fmt.Sprint(upload["url"]))
	header := http.Header{}
	for name, value := range upload["headers"].(map[string]any) {
		header.Set(name, fmt.Sprint(value))
	}
	if a, err := s.send(s.t.Context(), "PUT", fmt.Sprint(upload["url"]), header, []byte(content)); err != nil || a.status != http.StatusOK {
		s.t.Fatalf("sending the file: %v %v", err, a)
	}
	data := s.must(s.user, "POST", at+fmt.Sprintf("/data?formId=a&upload=%s", upload["id"]), "", "")["data"].([]any)
	for _, link := range data[1].(map[string]any)["dataLinks"].(map[string]any) {
		a, err := s.send(s.t.Context(), "GET", fmt.Sprint(link), http.Header{"Authorization": {"Bearer " + s.owner}}, nil)
		if err != nil || a.status != http.StatusTemporaryRedirect {
			s.t.Fatalf("fetching the file: %v %v", err, a)
		}
		signed("GET of a large file", a.header.Get("Location"))
	}
	return sent
}

// look searches everything that outlives a request.
func (s *env) look(all []mark) {
	s.inTexts("the outbox", all, s.items("Outbox"), false)
	if _, err := s.Deliver(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	var feeds []string
	for _, app := range []string{"app2018", "registered"} {
		a, err := s.send(s.t.Context(), "GET", "/storage/applications/nav/"+app+"/events?size=1000", http.Header{"Authorization": {"Bearer " + s.owner}}, nil)
		if err != nil {
			s.t.Fatal(err)
		}
		feeds = append(feeds, string(a.body))
	}
	s.inTexts("the feed", all, feeds, false)
	s.inTexts("the bus", all, []string{s.bus.String()}, false)
	log := strings.Split(s.log.String(), "\n")
	if len(log) < len(all) {
		s.t.Errorf("%d lines of log for more than %d requests", len(log), len(all))
	}
	s.inTexts("the log", all, log, false)
	for _, table := range s.Template.Tables {
		if table != "Outbox" {
			s.inTexts("the table "+table, all, s.items(table), true)
		}
	}
	s.inTexts("the names of objects", all, s.objects(), false)
}

// inTexts looks for marks. With content, the client's own text may be there.
func (s *env) inTexts(where string, all []mark, texts []string, content bool) {
	if len(texts) == 0 || texts[0] == "" && len(texts) == 1 {
		s.t.Errorf("%s has nothing in it: this shows nothing", where)
	}
	whole := strings.Join(texts, "\n")
	for _, m := range all {
		if m.own && content || !m.in(whole) {
			continue
		}
		for _, text := range texts {
			if m.in(text) {
				s.t.Errorf("%s: it is in %s: %.600s", m.place, where, text)
				break
			}
		}
	}
}

// items returns the items of a table as text, documents unpacked.
func (s *env) items(table string) (texts []string) {
	instances := instancetable.New(s.Dynamo, "Instances", "Outbox")
	pages := dynamodb.NewScanPaginator(s.Dynamo, &dynamodb.ScanInput{TableName: &table, ConsistentRead: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(s.t.Context())
		if err != nil {
			s.t.Fatal(err)
		}
		for _, item := range page.Items {
			var b strings.Builder
			for _, name := range slices.Sorted(maps.Keys(item)) {
				switch v := item[name].(type) {
				case *types.AttributeValueMemberS:
					b.WriteString(" " + name + "=" + v.Value)
				case *types.AttributeValueMemberB:
					b.WriteString(" " + name + "=" + string(v.Value))
				}
			}
			key, _ := item["SK"].(*types.AttributeValueMemberS)
			if key != nil && strings.HasPrefix(key.Value, "INSTANCE#") {
				i, err := instances.Get(s.t.Context(), item["PK"].(*types.AttributeValueMemberS).Value, strings.TrimPrefix(key.Value, "INSTANCE#"))
				if err != nil {
					s.t.Fatal(err)
				}
				b.WriteString(" " + string(encode(i)))
			}
			texts = append(texts, b.String())
		}
	}
	return texts
}

func (s *env) objects() (keys []string) {
	pages := s3.NewListObjectsV2Paginator(s.S3, &s3.ListObjectsV2Input{Bucket: &s.Bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(s.t.Context())
		if err != nil {
			s.t.Fatal(err)
		}
		for _, o := range page.Contents {
			keys = append(keys, aws.ToString(o.Key))
		}
	}
	return keys
}
