package lambdahttp

import (
	"net/http"
	"strings"
	"testing"
)

// API Gateway decides which pages may read a response, by the template's parameter
// AllowedOrigins. By default none may. A function must not allow an origin itself, because the
// gateway would pass it on.
func TestNoResponseAllowsAnOrigin(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodOptions} {
		e := event("nav", "app2018")
		e.RequestContext.HTTP.Method = method
		e.Headers["origin"], e.Headers["access-control-request-method"] = "https://example.org", "PUT"
		response := handle(t, e, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) })
		for name := range response.Headers {
			if strings.HasPrefix(strings.ToLower(name), "access-control-") {
				t.Errorf("the response to %s has %s", method, name)
			}
		}
	}
}
