package authz

import (
	"fmt"
	"strings"

	"altinn.no/instanceapi/tests/client"
)

// always lists the header fields that every response has.
var always = map[string]string{
	"Cache-Control":                "no-store", // an application needs a token, and a cached copy would outlive a change
	"Cross-Origin-Resource-Policy": "same-origin",
	"Referrer-Policy":              "no-referrer",
	"Strict-Transport-Security":    "max-age=31536000",
	"X-Content-Type-Options":       "nosniff",
}

// never lists the header fields that no response may have: they reveal the software, or the gateway
// sets them.
var never = []string{
	"Server", "X-Powered-By", "Via", "Set-Cookie", "X-Local-Cause",
	"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Allow-Headers", "Access-Control-Expose-Headers",
}

// downloads reports whether the endpoint returns content as a client has sent it.
func (e endpoint) downloads() bool {
	return strings.HasSuffix(e.route, "/data/{dataGuid}") && (e.method() == "GET" || e.method() == "HEAD")
}

// checkHeader returns an error if the header of a response is wrong. The status is checked already.
func checkHeader(c cell, got *client.Response) error {
	is := got.Header.Get
	for name, value := range always {
		if is(name) != value || len(got.Header[name]) != 1 {
			return fmt.Errorf("%s: %q, want %q", name, got.Header[name], value)
		}
	}
	for _, name := range never {
		if got.Header[name] != nil {
			return fmt.Errorf("the response has the header %s: %q", name, got.Header[name])
		}
	}
	exactly := map[string]string{"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "WWW-Authenticate": "", "Retry-After": "", "Location": "", "Vary": ""}
	switch {
	case got.Status >= 400:
		exactly["Content-Type"] = "application/problem+json"
		exactly["ETag"] = ""
		if got.Code() == "data-unscanned" {
			exactly["Retry-After"] = "5"
		}
	case c.downloads():
		exactly["Content-Type"] = "text/plain"
		exactly["Content-Security-Policy"] = "default-src 'none'; sandbox"
		exactly["Content-Disposition"] = fmt.Sprintf(`attachment; filename=%q; filename*=UTF-8''%[1]s`, fileOf(c.object.state))
	case got.Status == 204:
		exactly["Content-Type"] = ""
	default:
		exactly["Content-Type"] = "application/json"
		exactly["Content-Disposition"] = ""
	}
	switch {
	case c.want.code == "token-missing":
		exactly["WWW-Authenticate"] = `Bearer realm="altinn"`
	case got.Status == 401:
		exactly["WWW-Authenticate"] = `Bearer realm="altinn", error="invalid_token"`
	case c.want.scope != "":
		exactly["WWW-Authenticate"] = `Bearer realm="altinn", error="insufficient_scope", scope="` + c.want.scope + `"`
	}
	if got.Status == 201 {
		delete(exactly, "Location") // a created resource has one, an upload does not
	}
	if got.Status < 300 {
		switch {
		case c.does == "finds", c.does == "lists a party", strings.HasSuffix(c.path(), "{instanceGuid}/events"):
			exactly["Vary"] = "Accept"
		case c.does == "follows events":
			exactly["Vary"] = "Accept, Prefer"
		}
	}
	for name, value := range exactly {
		if is(name) != value {
			return fmt.Errorf("%s: %q, want %q", name, is(name), value)
		}
	}
	if whole := fmt.Sprint(got.Header) + string(got.Body); strings.Contains(whole, host) {
		return fmt.Errorf("the response repeats the Host header: %.500s", whole)
	}
	return nil
}
