package authz

import (
	"fmt"
	"strings"
)

// always is what every answer says, whatever it is.
var always = map[string]string{
	"Cache-Control":                "no-store", // an application's too: it is behind a token, and a copy would outlive a change
	"Cross-Origin-Resource-Policy": "same-origin",
	"Referrer-Policy":              "no-referrer",
	"Strict-Transport-Security":    "max-age=31536000",
	"X-Content-Type-Options":       "nosniff",
}

// never is what no answer says: what it was made by, and what is the gateway's to decide.
var never = []string{
	"Server", "X-Powered-By", "Via", "Set-Cookie", "X-Local-Cause",
	"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Allow-Headers", "Access-Control-Expose-Headers",
}

// downloads are the routes that answer with bytes as somebody has sent them.
func (e endpoint) downloads() bool {
	return strings.HasSuffix(e.route, "/data/{dataGuid}") && (e.method() == "GET" || e.method() == "HEAD")
}

// checkHeader returns what is wrong with the header of an answer, given that its status is right.
func checkHeader(c cell, got answer) error {
	is := got.header.Get
	for name, value := range always {
		if is(name) != value || len(got.header[name]) != 1 {
			return fmt.Errorf("%s: %q, want %q", name, got.header[name], value)
		}
	}
	for _, name := range never {
		if got.header[name] != nil {
			return fmt.Errorf("it says %s: %q", name, got.header[name])
		}
	}
	exactly := map[string]string{"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "WWW-Authenticate": "", "Retry-After": "", "Location": "", "Vary": ""}
	switch {
	case got.status >= 400:
		exactly["Content-Type"] = "application/problem+json"
		exactly["ETag"] = ""
	case c.downloads():
		exactly["Content-Type"] = "text/plain"
		exactly["Content-Security-Policy"] = "default-src 'none'; sandbox"
		exactly["Content-Disposition"] = `attachment; filename="first.txt"; filename*=UTF-8''first.txt`
	default:
		exactly["Content-Type"] = "application/json"
		exactly["Content-Disposition"] = ""
	}
	switch {
	case c.want.code == "token-missing":
		exactly["WWW-Authenticate"] = `Bearer realm="altinn"`
	case got.status == 401:
		exactly["WWW-Authenticate"] = `Bearer realm="altinn", error="invalid_token"`
	case c.want.scope != "":
		exactly["WWW-Authenticate"] = `Bearer realm="altinn", error="insufficient_scope", scope="` + c.want.scope + `"`
	}
	if got.status == 201 {
		delete(exactly, "Location") // of what was created; an upload has none
	}
	if got.status < 300 {
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
	if whole := fmt.Sprint(got.header) + got.body; strings.Contains(whole, host) {
		return fmt.Errorf("it repeats the Host header: %.500s", whole)
	}
	return nil
}
