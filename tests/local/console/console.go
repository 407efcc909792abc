// Package console serves a page on which a developer uses both APIs of the local system. It is
// part of the local front and is never deployed.
//
// The page calls the APIs with access tokens that the endpoint /console/token issues. That endpoint
// gives a token only to a script of the page itself. Package issuer describes the tokens.
package console

import (
	"embed"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"time"

	"altinn.no/instanceapi/tests/token/issuer"
)

//go:embed site
var site embed.FS

// files are the paths of the page, each with its file. No API has a route with one of these paths,
// because a route has at least three segments or begins with /storage.
var files = map[string]struct{ name, contentType string }{
	"/":                    {"site/index.html", "text/html; charset=utf-8"},
	"/console/console.css": {"site/console.css", "text/css; charset=utf-8"},
	"/console/console.js":  {"site/console.js", "text/javascript; charset=utf-8"},
}

const tokenPath = "/console/token"

// contentSecurityPolicy lets the page run its own script, use its own style sheet and call its own
// origin. The directives for trusted types make a browser reject innerHTML and similar setters.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; " +
	"form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// The person of the page, as in the README, and the lifetime of the tokens.
const (
	personSSN = "12247918309"
	lifetime  = time.Hour
)

// Handler returns a handler that serves the page and its tokens, and passes all other requests to
// apis.
func Handler(tokens *issuer.Signer, apis http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		file, isFile := files[r.URL.Path]
		switch {
		case r.URL.Path == tokenPath:
			setHeaders(w.Header())
			serveToken(w, r, tokens)
		case isFile && (r.Method == http.MethodGet || r.Method == http.MethodHead):
			setHeaders(w.Header())
			content, err := site.ReadFile(file.name)
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			w.Header().Set("Content-Type", file.contentType)
			_, _ = w.Write(content)
		default:
			apis.ServeHTTP(w, r)
		}
	})
}

func setHeaders(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", contentSecurityPolicy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
}

// issued is the response of the token endpoint. Command prints such a token in a terminal.
type issued struct {
	Token     string `json:"token"`
	Command   string `json:"command"`
	ExpiresIn int    `json:"expiresIn"` // seconds
}

// orgPattern is the format of an organisation's short name.
var orgPattern = regexp.MustCompile(`^[a-z][a-z0-9-]{1,30}$`)

// serveToken responds with a token of the person (as=person) or of an owner (as=owner&org=nav).
func serveToken(w http.ResponseWriter, r *http.Request, tokens *issuer.Signer) {
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		http.Error(w, "Use GET.", http.StatusMethodNotAllowed)
		return
	}
	if reason := untrusted(r); reason != "" {
		http.Error(w, reason+" Only the console of this machine gets a token. In a terminal, use `make -s token`.", http.StatusForbidden)
		return
	}
	response := issued{ExpiresIn: int(lifetime.Seconds())}
	var err error
	switch query := r.URL.Query(); {
	case query.Get("as") == "person":
		response.Command = "make -s token SSN=" + personSSN
		response.Token, err = tokens.User(issuer.User{SSN: personSSN}, "", lifetime)
	case query.Get("as") == "owner" && orgPattern.MatchString(query.Get("org")):
		response.Command = "make -s token ORG=" + query.Get("org")
		response.Token, err = tokens.Owner(query.Get("org"), "", lifetime)
	default:
		http.Error(w, "Set as=person, or as=owner and org to the short name of the owner.", http.StatusBadRequest)
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(response)
}

// untrusted returns why a request is not from a script of the page on this machine, or "". The
// check of Host rejects a page whose own host name resolves to this machine (DNS rebinding): the
// browser counts its requests as same-origin.
func untrusted(r *http.Request) string {
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !remote.Addr().Unmap().IsLoopback() {
		return "The client is not on this machine."
	}
	if !isLoopbackHost(r) {
		return fmt.Sprintf("%q is not the local address of this server.", r.Host)
	}
	if origin := r.Header.Get("Origin"); origin != "" && origin != "http://"+r.Host {
		return "The request is from another origin."
	}
	if r.Header.Get("Sec-Fetch-Site") != "same-origin" {
		return "The request is not from a page of this origin."
	}
	return ""
}

// isLoopbackHost reports whether the Host header is a name of the loopback interface with the port
// of the server.
func isLoopbackHost(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if !ok || !local.IP.IsLoopback() {
		return false
	}
	for _, name := range []string{"localhost", "127.0.0.1", "[::1]"} {
		if r.Host == fmt.Sprintf("%s:%d", name, local.Port) || r.Host == name && local.Port == 80 { // a browser omits 80
			return true
		}
	}
	return false
}
