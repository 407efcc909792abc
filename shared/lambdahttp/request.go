package lambdahttp

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"altinn.no/instanceapi/shared/fault"
	"github.com/aws/aws-lambda-go/events"
	"github.com/awslabs/aws-lambda-go-api-proxy/core"
)

// contextHeaderPrefix is the canonical prefix of the header fields in which an older API of package
// core passes the gateway's data about the caller. Clients can forge these fields, so newRequest
// drops them. The request's context carries the same data in a form that no client can forge.
const contextHeaderPrefix = "X-Golambdaproxy-"

// newRequest converts an event. Its errors are *fault.Error of kind Invalid.
//
// Package core converts the body and the gateway's request context. newRequest converts the
// following parts itself, because core gets them wrong:
//   - the path: an HTTP API decodes rawPath, so a "?" or "#" in a path variable would end the
//     path, and a "%" would make the URL invalid. newRequest builds the path from the route key
//     and the variables.
//   - the query: it must reach the handler unchanged, so that the handler can reject an
//     invalid query.
//   - header fields: core splits them at every comma, even within an entity tag or a date.
//   - the remote address: core omits the port.
func newRequest(ctx context.Context, event events.APIGatewayV2HTTPRequest) (*http.Request, error) {
	if !isToken(event.RequestContext.HTTP.Method) || !isHost(event.RequestContext.DomainName) {
		return nil, malformed(errors.New("not an HTTP API event: invalid method or domain name"))
	}
	if bodyAltered(event) {
		return nil, fault.New(fault.Invalid, "body-not-utf8",
			"The body was sent as text but is not UTF-8, so API Gateway changed it. Send the body in UTF-8, with its Content-Length. "+
				"Send other content as application/octet-stream, in a multipart/form-data create, as base64 in a create, or in an announced upload.")
	}
	reduced := event
	reduced.RawPath = escapedPath(event)
	reduced.RawQueryString, reduced.QueryStringParameters, reduced.Headers, reduced.Cookies = "", nil, nil, nil
	r, err := new(core.RequestAccessorV2).EventToRequestWithContext(ctx, reduced)
	if err != nil {
		return nil, malformed(err)
	}

	r.URL.Scheme, r.URL.Host = "", "" // as in a request of net/http's server
	r.URL.RawQuery = rawQuery(event)
	r.RequestURI = r.URL.RequestURI()
	setHeader(r, event)
	r.RemoteAddr = remoteAddr(event.RequestContext.HTTP.SourceIP)
	if key := routeKey(event); strings.Contains(key, " /") {
		r.Pattern = key
	}
	for name, value := range event.PathParameters {
		r.SetPathValue(name, value)
	}
	return r, nil
}

func malformed(cause error) error {
	return fault.New(fault.Invalid, "request-malformed", "The request could not be read. Check its encoding.").WithCause(cause)
}

func routeKey(event events.APIGatewayV2HTTPRequest) string {
	if event.RouteKey != "" {
		return event.RouteKey
	}
	return event.RequestContext.RouteKey
}

// escapedPath returns the path in the escaped form that a valid client sends: the path of the route
// with the escaped variables. If the event has no such route (the key is $default, or missing in
// some emulators), it escapes rawPath, which it assumes to be decoded.
func escapedPath(event events.APIGatewayV2HTTPRequest) string {
	if _, template, ok := strings.Cut(routeKey(event), " "); ok && strings.HasPrefix(template, "/") {
		if path, ok := expand(template, event.PathParameters); ok {
			return path
		}
	}
	path := event.RawPath
	if path == "" {
		path = event.RequestContext.HTTP.Path
	}
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return (&url.URL{Path: path}).EscapedPath()
}

// expand replaces the variables of a route's path, such as "/{org}/{app}/files/{rest+}", by their
// escaped values. It returns false if a value is missing.
func expand(template string, values map[string]string) (string, bool) {
	segments := strings.Split(template, "/")
	for i, s := range segments {
		name, ok := strings.CutPrefix(s, "{")
		if !ok {
			segments[i] = url.PathEscape(s)
			continue
		}
		name, greedy := strings.CutSuffix(strings.TrimSuffix(name, "}"), "+")
		value, ok := values[name]
		if !ok {
			return "", false
		}
		segments[i] = url.PathEscape(value)
		if greedy { // a greedy variable spans segments
			segments[i] = strings.ReplaceAll(segments[i], "%2F", "/")
		}
	}
	return strings.Join(segments, "/"), true
}

// rawQuery returns the query that the client sent. If an emulator omits it, rawQuery encodes the
// decoded parameters.
func rawQuery(event events.APIGatewayV2HTTPRequest) string {
	if event.RawQueryString != "" || len(event.QueryStringParameters) == 0 {
		return event.RawQueryString
	}
	values := url.Values{}
	for name, value := range event.QueryStringParameters {
		values.Set(name, value)
	}
	return values.Encode()
}

// setHeader sets the header fields that the client sent, one line each. Like net/http, it moves
// Host to r.Host.
func setHeader(r *http.Request, event events.APIGatewayV2HTTPRequest) {
	r.Header = make(http.Header, len(event.Headers)+1)
	lines := make([]string, len(event.Headers)) // one allocation for all fields
	n := 0
	for name, value := range event.Headers {
		key := http.CanonicalHeaderKey(name)
		if strings.HasPrefix(key, contextHeaderPrefix) {
			continue
		}
		if r.Header[key] != nil {
			r.Header[key] = headerVariants(event.Headers, key)
			continue
		}
		lines[n] = value
		r.Header[key] = lines[n : n+1 : n+1]
		n++
	}
	if len(event.Cookies) > 0 { // some emulators also send them as a header field
		r.Header.Set("Cookie", strings.Join(event.Cookies, "; "))
	}
	r.Host = r.Header.Get("Host")
	if r.Host == "" {
		r.Host = event.RequestContext.DomainName
	}
	r.Header.Del("Host")
	r.Header.Del("Transfer-Encoding")
}

// headerVariants returns the lines of a field whose name occurs in several spellings, such as "a"
// and "A". It sorts them by spelling to make the order deterministic.
func headerVariants(fields map[string]string, key string) (lines []string) {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if http.CanonicalHeaderKey(name) == key {
			lines = append(lines, fields[name])
		}
	}
	return lines
}

// remoteAddr returns the client's address in the form that net.SplitHostPort accepts. The port is
// 0 unless sourceIP has one, and the address is 0.0.0.0 if sourceIP is invalid.
func remoteAddr(sourceIP string) string {
	if _, err := netip.ParseAddrPort(sourceIP); err == nil {
		return sourceIP
	}
	if ip, err := netip.ParseAddr(sourceIP); err == nil {
		return netip.AddrPortFrom(ip, 0).String()
	}
	return "0.0.0.0:0"
}

// bodyAltered reports whether the gateway decoded a body as UTF-8 that is not UTF-8. It must be
// rejected, because the stored content must be the content that the client sent. The gateway
// replaces invalid bytes by replacement characters, which changes the length. A chunked body has no
// length to compare, so with a replacement character it counts as altered.
func bodyAltered(event events.APIGatewayV2HTTPRequest) bool {
	if event.IsBase64Encoded || !strings.Contains(event.Body, "\uFFFD") {
		return false
	}
	for name, value := range event.Headers {
		if strings.EqualFold(name, "Content-Length") {
			sent, err := strconv.Atoi(value)
			return err != nil || sent != len(event.Body)
		}
	}
	return true
}

// isToken reports whether s can be a method (RFC 9110, section 5.6.2). Of the token characters, it
// accepts only letters and "-"; the gateway's methods have no others.
func isToken(s string) bool {
	return s != "" && strings.Trim(strings.ToUpper(s), "ABCDEFGHIJKLMNOPQRSTUVWXYZ-") == ""
}

// isHost reports whether s is valid as the host of an https URL.
func isHost(s string) bool {
	_, err := url.Parse("https://" + s + "/")
	return err == nil && !strings.ContainsAny(s, "/?#@%")
}
