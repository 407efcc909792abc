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

// contextHeaderPrefix begins the header fields in which package core's older half passes the gateway's word on
// who calls, in the spelling that http.Header has them. A client may send them too, so none reaches a handler; the
// context carries the same, unforgeable.
const contextHeaderPrefix = "X-Golambdaproxy-"

// newRequest converts an event. The errors are *fault.Error of kind Invalid.
//
// The body and the gateway's request context are taken over by package core. All else it would read wrongly is kept
// from it and set here:
//   - the path, because an HTTP API has decoded rawPath: a "?" or "#" in a path variable would end the path there, a
//     "%" be no URL at all. It is put together again from the route key and the variables.
//   - the query, which must reach the handler unchanged, for the handler to refuse what is wrong with it.
//   - header fields, which core splits at every comma: an entity tag or a date is then in pieces.
//   - the remote address, which core leaves without a port.
func newRequest(ctx context.Context, event events.APIGatewayV2HTTPRequest) (*http.Request, error) {
	if !isToken(event.RequestContext.HTTP.Method) || !isHost(event.RequestContext.DomainName) {
		return nil, malformed(errors.New("no HTTP API event: method or domain name"))
	}
	if bodyAltered(event) {
		return nil, fault.New(fault.Invalid, "body-not-utf8",
			"The body was sent as text but is not UTF-8, and would not be kept as you sent it. Send it in UTF-8, with its Content-Length.")
	}
	bare := event
	bare.RawPath = escapedPath(event)
	bare.RawQueryString, bare.QueryStringParameters, bare.Headers, bare.Cookies = "", nil, nil, nil
	r, err := new(core.RequestAccessorV2).EventToRequestWithContext(ctx, bare)
	if err != nil {
		return nil, malformed(err)
	}

	r.URL.Scheme, r.URL.Host = "", "" // as in any request that a server gets
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
	return fault.New(fault.Invalid, "request-malformed", "The request could not be read; check its encoding.").WithCause(cause)
}

func routeKey(event events.APIGatewayV2HTTPRequest) string {
	if event.RouteKey != "" {
		return event.RouteKey
	}
	return event.RequestContext.RouteKey
}

// escapedPath returns the path as a valid client would have written it: the route's own, with the variables escaped
// into it. Where the event has no such route (the key $default, or none at all in some emulators), it is rawPath,
// taken as decoded.
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

// expand puts values into a route's path, "/{org}/{app}/files/{rest+}". It reports false when a value is missing.
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
		if greedy { // its slashes are slashes
			segments[i] = strings.ReplaceAll(segments[i], "%2F", "/")
		}
	}
	return strings.Join(segments, "/"), true
}

// rawQuery returns the query as sent. The decoded map stands in where an emulator gives no other.
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

// setHeader sets the fields as sent, one line each, and as net/http does takes Host out of them.
func setHeader(r *http.Request, event events.APIGatewayV2HTTPRequest) {
	r.Header = make(http.Header, len(event.Headers)+1)
	lines := make([]string, len(event.Headers)) // of all fields, in one piece
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
	if len(event.Cookies) > 0 { // some emulators give them in both places
		r.Header.Set("Cookie", strings.Join(event.Cookies, "; "))
	}
	r.Host = r.Header.Get("Host")
	if r.Host == "" {
		r.Host = event.RequestContext.DomainName
	}
	r.Header.Del("Host")
	r.Header.Del("Transfer-Encoding")
}

// headerVariants returns the lines of a field that is there in several spellings, "a" and "A", by spelling: not by chance.
func headerVariants(fields map[string]string, key string) (lines []string) {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if http.CanonicalHeaderKey(name) == key {
			lines = append(lines, fields[name])
		}
	}
	return lines
}

// remoteAddr returns the client's address in the form that net.SplitHostPort takes; the port is not known.
func remoteAddr(sourceIP string) string {
	if _, err := netip.ParseAddrPort(sourceIP); err == nil {
		return sourceIP
	}
	if ip, err := netip.ParseAddr(sourceIP); err == nil {
		return netip.AddrPortFrom(ip, 0).String()
	}
	return "0.0.0.0:0"
}

// bodyAltered reports whether the gateway took a body for UTF-8 text that was not, which leaves replacement
// characters where bytes were, and another length than the client's. A body that came in chunks has no length to compare, and is
// taken for altered. What is stored must be what was sent.
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

// isToken reports whether s can be a method (RFC 9110, section 5.6.2; letters are all that the gateway's are made of).
func isToken(s string) bool {
	return s != "" && strings.Trim(strings.ToUpper(s), "ABCDEFGHIJKLMNOPQRSTUVWXYZ-") == ""
}

// isHost reports whether s can stand between "https://" and the path.
func isHost(s string) bool {
	_, err := url.Parse("https://" + s + "/")
	return err == nil && !strings.ContainsAny(s, "/?#@%")
}
