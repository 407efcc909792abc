package acceptance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"altinn.no/instanceapi/tests/client"
	"altinn.no/instanceapi/tests/contract"
)

// A request is the request of a script line.
type request struct {
	method string
	target string // a path, or an absolute link
	as     string // name of a token, or ""
	header http.Header
	body   []byte
}

// An exchange is a request with its response.
type exchange struct {
	request request
	url     string
	status  int
	header  http.Header
	body    []byte
}

// api is the system under test as a client sees it.
type api struct {
	base     string // the Storage API, without a trailing slash
	appsBase string // the Application API; may hold {org}

	contract *contract.Document // checks every exchange; nil checks nothing
}

// resolve returns the address of a target. A path under /storage belongs to the Storage API, any
// other path to the Application API. Of an absolute link only path and query are used, so that the
// suite runs where the configured hosts do not resolve. Separate checks compare the hosts of links.
func (a api) resolve(target string) (string, error) {
	if !strings.HasPrefix(target, "/") {
		link, err := url.Parse(target)
		if err != nil || link.Host == "" {
			return "", fmt.Errorf("%q is neither a path nor an absolute link", target)
		}
		target = link.RequestURI()
	}
	if strings.HasPrefix(target, "/storage/") || target == "/storage" {
		return a.base + target, nil
	}
	org, _, _ := strings.Cut(strings.TrimPrefix(target, "/"), "/")
	return strings.ReplaceAll(a.appsBase, "{org}", org) + target, nil
}

// do sends a request, with a token unless it is "", and checks the response against the contract.
func (a api) do(ctx context.Context, req request, token string) (*exchange, error) {
	address, err := a.resolve(req.target)
	if err != nil {
		return nil, err
	}
	response, err := client.Client{}.Do(ctx, client.Request{Method: req.method, Path: address, Token: token, Header: req.header, Body: string(req.body)})
	if err != nil {
		return nil, err
	}
	x := &exchange{request: req, url: address, status: response.Status, header: response.Header, body: response.Body}
	if a.contract != nil {
		sent := response.Request // with the header fields that the client adds
		if err := a.contract.Check(contract.Exchange{
			Method: sent.Method, Target: sent.URL.RequestURI(), RequestHeader: sent.Header, RequestBody: req.body,
			Status: x.status, Header: x.header, Body: x.body,
		}); err != nil {
			return nil, fmt.Errorf("%s does not allow this exchange:\n%w\n%v", contract.File, err, x)
		}
	}
	return x, nil
}

// next returns the target of the next page of a list: _links.next of a HAL document, or Link
// rel="next" with a bare array; "" if there is none. Even the empty last page of a feed has a
// Link.
func (x *exchange) next() string {
	var page struct {
		Links struct {
			Next struct {
				Href string `json:"href"`
			} `json:"next"`
		} `json:"_links"`
	}
	if json.Unmarshal(x.body, &page) == nil {
		return page.Links.Next.Href
	}
	for _, link := range strings.Split(strings.Join(x.header.Values("Link"), ","), ",") {
		target, params, ok := strings.Cut(strings.TrimSpace(link), ">")
		if ok && strings.HasPrefix(target, "<") && strings.Contains(params, `rel="next"`) {
			return target[1:]
		}
	}
	return ""
}

// items returns the items of a page of a list, HAL or bare.
func (x *exchange) items() ([]json.RawMessage, error) {
	var bare []json.RawMessage
	if json.Unmarshal(x.body, &bare) == nil && bare != nil {
		return bare, nil
	}
	var page struct {
		Embedded struct {
			Instances []json.RawMessage `json:"instances"`
		} `json:"_embedded"`
	}
	if err := json.Unmarshal(x.body, &page); err != nil || page.Embedded.Instances == nil {
		return nil, fmt.Errorf("the body is not a page of a list")
	}
	return page.Embedded.Instances, nil
}

// maxPages bounds a crawl, so that an endless list fails the test instead of blocking it.
const maxPages = 500

// crawl reads a list to its end. It returns the last exchange with all items as its body, and the
// number of pages that had items. A HAL list ends at a page without next. A feed always has next:
// it ends at an empty page whose next was already read, because a filter may leave a page empty
// before the end.
func (a api) crawl(ctx context.Context, req request, token string) (*exchange, int, error) {
	all := []json.RawMessage{}
	seen := map[string]bool{}
	filled := 0
	for page := 1; page <= maxPages; page++ {
		x, err := a.do(ctx, req, token)
		if err != nil {
			return nil, 0, err
		}
		if x.status != http.StatusOK {
			return x, 0, fmt.Errorf("page %d: status %d", page, x.status)
		}
		items, err := x.items()
		if err != nil {
			return x, 0, fmt.Errorf("page %d: %w", page, err)
		}
		all = append(all, items...)
		seen[req.target] = true
		feed := bytes.HasPrefix(bytes.TrimSpace(x.body), []byte("["))
		target := x.next()
		switch {
		case len(items) > 0:
			filled++
		case !feed && page > 1:
			return x, 0, fmt.Errorf("page %d is empty, but the page before it has a next link", page)
		}
		if target == "" || feed && len(items) == 0 && seen[target] {
			if x.body, err = json.Marshal(all); err != nil {
				return x, 0, err
			}
			return x, filled, nil
		}
		if seen[target] {
			return x, 0, fmt.Errorf("page %d: its next link leads back to an earlier page", page)
		}
		req.target = target
	}
	return nil, 0, fmt.Errorf("the list does not end within %d pages", maxPages)
}

// String renders an exchange for a failure, without tokens, with binary bodies left out and long
// ones shortened.
func (x *exchange) String() string {
	if x == nil {
		return "(no exchange yet)"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "> %s %s\n", x.request.method, x.url)
	if x.request.as != "" {
		fmt.Fprintf(&b, "> Authorization: (token of %s)\n", x.request.as)
	}
	writeMessage(&b, "> ", x.request.header, x.request.body)
	fmt.Fprintf(&b, "< %d %s\n", x.status, http.StatusText(x.status))
	writeMessage(&b, "< ", x.header, x.body)
	return b.String()
}

// secretHeaders are never printed.
var secretHeaders = []string{"Authorization", "Cookie", "Set-Cookie"}

func writeMessage(b *strings.Builder, prefix string, header http.Header, body []byte) {
	names := make([]string, 0, len(header))
	for name := range header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range header[name] {
			if slices.Contains(secretHeaders, http.CanonicalHeaderKey(name)) {
				value = "(redacted)"
			}
			fmt.Fprintf(b, "%s%s: %s\n", prefix, name, value)
		}
	}
	const maxPrinted = 6000
	switch {
	case len(body) == 0:
	case !utf8.Valid(body):
		fmt.Fprintf(b, "%s\n%s(%d bytes, not text)\n", prefix, prefix, len(body))
	default:
		text := string(body)
		if len(text) > maxPrinted {
			text = text[:maxPrinted] + fmt.Sprintf("… (%d bytes)", len(body))
		}
		fmt.Fprintf(b, "%s\n%s%s\n", prefix, prefix, strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n"+prefix))
	}
}
