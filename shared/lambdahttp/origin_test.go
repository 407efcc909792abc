package lambdahttp

import (
	"net/http"
	"strings"
	"testing"
)

// Which pages may read an answer is API Gateway's to say, by the parameter AllowedOrigins, and by default none may. A
// function that named an origin itself would be believed there.
func TestNoAnswerNamesAnOrigin(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodOptions} {
		e := event("nav", "app2018")
		e.RequestContext.HTTP.Method = method
		e.Headers["origin"], e.Headers["access-control-request-method"] = "https://example.org", "PUT"
		response := handle(t, e, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) })
		for name := range response.Headers {
			if strings.HasPrefix(strings.ToLower(name), "access-control-") {
				t.Errorf("%s is answered %s", method, name)
			}
		}
	}
}
