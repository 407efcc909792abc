package structure

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// With GatewayTokens API Gateway checks a token on every route except those of the documentation.
// Without GatewayTokens it checks none.
func TestGatewayTokens(t *testing.T) { report(t, checkGatewayTokens(readTemplate(t))) }

func checkGatewayTokens(tpl *template) (found []string) {
	for _, on := range []bool{false, true} {
		add := func(format string, arguments ...any) {
			found = append(found, fmt.Sprintf(format, arguments...)+fmt.Sprintf(" (GatewayTokens is %v)", on))
		}
		d := deployment{tpl, map[string]string{"GatewayTokens": fmt.Sprint(on), "TokenIssuer": "issuer", "TokenAudience": "audience"}}
		for _, api := range tpl.ofType("AWS::Serverless::HttpApi") {
			body := d.property(api, "DefinitionBody")
			var routes []string
			for _, f := range tpl.functions() {
				for _, r := range f.Routes {
					if r.API != api.Name {
						continue
					}
					method := strings.ToLower(r.Method)
					routes = append(routes, method+" "+r.Path)
					want := []any{}
					if on && !strings.HasPrefix(r.Path, "/storage/docs") {
						want = append(want, map[string]any{"Token": []any{}})
					}
					security := list(at(body, "paths", r.Path, method, "security"))
					if len(security) != len(want) || len(want) > 0 && !reflect.DeepEqual(security, want) {
						add("%s %s of %s has the security %v, want %v", method, r.Path, api.Name, security, want)
					}
				}
			}
			for path, operations := range object(at(body, "paths")) {
				for method := range object(operations) {
					if !slices.Contains(routes, method+" "+path) {
						add("%s: DefinitionBody has %s %s, which is not a route of any function", api.Name, method, path)
					}
				}
			}
			scheme := at(body, "components", "securitySchemes", "Token")
			if (scheme != nil) != on {
				add("%s has the authorizer %v", api.Name, scheme)
			}
			want := map[string]any{"issuer": "issuer", "audience": []any{"audience"}}
			if got := at(scheme, "x-amazon-apigateway-authorizer", "jwtConfiguration"); on && !reflect.DeepEqual(got, want) {
				add("the authorizer of %s has the configuration %v, want %v", api.Name, got, want)
			}
		}
	}
	return found
}
