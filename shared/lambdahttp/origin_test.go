package lambdahttp

import (
	"net/http"
	"strings"
	"testing"
)

// TestNoResponseAllowsAnOrigin checks that no function sends CORS header fields, because the
// gateway would pass them on. API Gateway alone decides which origins may read a response (template
// parameter AllowedOrigins; by default none).
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
