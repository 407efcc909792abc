package runtime

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"uuid"

	"github.com/aws/aws-lambda-go/events"
)

// Limits of an HTTP API.
const (
	maxRequest = 10 << 20 // bytes of a body
	maxHeader  = 10_240   // bytes of the request line and all header fields together
)

// Gateway serves the two HTTP APIs at one address: paths below /storage belong to the Storage
// API, all others to the Application API. It treats a request like API Gateway: it decodes the
// path, joins header fields of one name, removes cookies, and encodes bodies of non-text types in
// base64. It responds itself to requests that match no route. It has no throttling and no
// authorizers.
type Gateway struct {
	routes []gatewayRoute
}

type gatewayRoute struct {
	Route
	segments []string
	invoke   func(ctx context.Context, payload []byte) ([]byte, error)
}

// NewGateway returns a gateway with the routes of the template. Each route invokes its function.
func NewGateway(t *Template, function func(folder string) *Function) *Gateway {
	g := &Gateway{}
	for _, f := range t.Functions {
		for _, r := range f.Routes {
			g.routes = append(g.routes, gatewayRoute{r, strings.Split(r.Path, "/"), function(f.Folder).Invoke})
		}
	}
	return g
}

// ServeHTTP implements http.Handler.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if headerSize(r) > maxHeader {
		message(w, http.StatusRequestHeaderFieldsTooLarge, "Request Header Fields Too Large")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		message(w, http.StatusRequestEntityTooLarge, "Request Entity Too Large")
		return
	}
	if err != nil { // such as a malformed chunk
		message(w, http.StatusBadRequest, "Bad Request")
		return
	}
	route, parameters := g.match(r)
	if route == nil {
		message(w, http.StatusNotFound, "Not Found")
		return
	}
	payload, err := json.Marshal(NewEvent(r, body, route.Route, parameters))
	if err != nil {
		message(w, http.StatusInternalServerError, "Internal Server Error")
		return
	}
	response, err := route.invoke(r.Context(), payload)
	if err == nil {
		err = writeResponse(w, r.Method, response)
	}
	if err != nil {
		// API Gateway sends no details, either. The cause is for the messages of failed tests.
		w.Header().Set("X-Local-Cause", strings.Map(printable, fmt.Sprintf("%.500s", err)))
		message(w, http.StatusInternalServerError, "Internal Server Error")
	}
}

func printable(r rune) rune {
	if r < ' ' || r > '~' {
		return ' '
	}
	return r
}

// message sends a response of the gateway itself.
func message(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"message": text})
}

func headerSize(r *http.Request) int {
	size := len(r.Method) + len(r.RequestURI) + len(r.Host) + 20
	for name, values := range r.Header {
		for _, v := range values {
			size += len(name) + len(v) + 4
		}
	}
	return size
}

// match returns the route for a request and the decoded values of its variables. A literal
// segment has priority over a variable.
func (g *Gateway) match(r *http.Request) (*gatewayRoute, map[string]string) {
	api := "AppsApi"
	if r.URL.Path == "/storage" || strings.HasPrefix(r.URL.Path, "/storage/") {
		api = "StorageApi"
	}
	path := strings.Split(r.URL.EscapedPath(), "/")
	var best *gatewayRoute
	var values map[string]string
	for n := range g.routes {
		route := &g.routes[n]
		if route.API != api || route.Method != r.Method {
			continue
		}
		if got, ok := route.matches(path); ok && (best == nil || len(got) < len(values)) {
			best, values = route, got
		}
	}
	return best, values
}

func (r *gatewayRoute) matches(path []string) (map[string]string, bool) {
	if len(path) != len(r.segments) {
		return nil, false
	}
	values := map[string]string{}
	for n, s := range r.segments {
		got, err := url.PathUnescape(path[n])
		if err != nil {
			return nil, false
		}
		if name, ok := strings.CutPrefix(s, "{"); ok {
			if got == "" {
				return nil, false
			}
			values[strings.TrimSuffix(name, "}")] = got
		} else if got != s {
			return nil, false
		}
	}
	return values, true
}

// NewEvent returns the event, in payload format 2.0, that API Gateway creates from a request.
func NewEvent(r *http.Request, body []byte, route Route, parameters map[string]string) events.APIGatewayV2HTTPRequest {
	now := time.Now()
	key := route.Method + " " + route.Path
	ip, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		ip = "127.0.0.1"
	}
	e := events.APIGatewayV2HTTPRequest{
		Version: "2.0", RouteKey: key, RawPath: r.URL.Path, RawQueryString: r.URL.RawQuery,
		Headers: map[string]string{"host": r.Host, "content-length": strconv.Itoa(len(body)), "x-forwarded-for": ip, "x-forwarded-proto": "https"},
		RequestContext: events.APIGatewayV2HTTPRequestContext{
			RouteKey: key, AccountID: "123456789012", Stage: "$default", RequestID: uuid.New().String(), APIID: strings.ToLower(route.API),
			DomainName: strings.ToLower(route.API) + ".execute-api." + Region + ".amazonaws.com", DomainPrefix: strings.ToLower(route.API),
			Time: now.UTC().Format("02/Jan/2006:15:04:05 -0700"), TimeEpoch: now.UnixMilli(),
			HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{
				Method: r.Method, Path: r.URL.Path, Protocol: r.Proto, SourceIP: ip, UserAgent: r.UserAgent(),
			},
		},
	}
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		if name == "Cookie" {
			for _, line := range r.Header[name] {
				e.Cookies = append(e.Cookies, strings.Split(line, "; ")...)
			}
			continue
		}
		e.Headers[strings.ToLower(name)] = strings.Join(r.Header[name], ",")
	}
	if query, err := url.ParseQuery(r.URL.RawQuery); err == nil && len(query) > 0 {
		e.QueryStringParameters = map[string]string{}
		for name, values := range query {
			e.QueryStringParameters[name] = strings.Join(values, ",")
		}
	}
	if len(parameters) > 0 {
		e.PathParameters = parameters
	}
	if len(body) > 0 {
		e.Body, e.IsBase64Encoded = string(body), !isText(r.Header.Get("Content-Type"))
		if e.IsBase64Encoded {
			e.Body = base64.StdEncoding.EncodeToString(body)
		}
	}
	return e
}

// isText reports whether API Gateway passes a body of this type as text.
func isText(contentType string) bool {
	kind, _, _ := strings.Cut(strings.ToLower(contentType), ";")
	switch kind = strings.TrimSpace(kind); kind {
	case "", "application/json", "application/xml", "application/javascript":
		return true
	}
	return strings.HasPrefix(kind, "text/")
}

// writeResponse sends a function's response to the client.
func writeResponse(w http.ResponseWriter, method string, payload []byte) error {
	var response events.APIGatewayV2HTTPResponse
	if err := json.Unmarshal(payload, &response); err != nil {
		return fmt.Errorf("the function's response is not an HTTP response: %w", err)
	}
	if response.StatusCode < 100 || response.StatusCode > 599 {
		return fmt.Errorf("the function's response has status %d", response.StatusCode)
	}
	body := []byte(response.Body)
	if response.IsBase64Encoded {
		decoded, err := base64.StdEncoding.DecodeString(response.Body)
		if err != nil {
			return fmt.Errorf("the body of the function's response is not base64: %w", err)
		}
		body = decoded
	}
	for name, value := range response.Headers {
		w.Header().Set(name, value)
	}
	for name, values := range response.MultiValueHeaders {
		w.Header()[http.CanonicalHeaderKey(name)] = values
	}
	for _, cookie := range response.Cookies {
		w.Header().Add("Set-Cookie", cookie)
	}
	if method == http.MethodHead || response.StatusCode == http.StatusNoContent || response.StatusCode == http.StatusNotModified {
		w.WriteHeader(response.StatusCode)
		return nil
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(response.StatusCode)
	_, _ = w.Write(body)
	return nil
}
