package lambdahttp

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/aws/aws-lambda-go/events"
)

// parsed returns e without the members that parseEvent omits.
func parsed(e events.APIGatewayV2HTTPRequest) events.APIGatewayV2HTTPRequest {
	e.StageVariables, e.RequestContext.Authorizer = nil, nil
	e.RequestContext.Authentication = events.APIGatewayV2HTTPRequestContextAuthentication{}
	return e
}

// parseEvent reads the events of the gateway and of sam local: all samples for a local invocation.
func TestParseEventReadsAllSamples(t *testing.T) {
	samples, err := filepath.Glob("../../events/*/*.json")
	if err != nil || len(samples) == 0 {
		t.Fatalf("no samples, %v", err)
	}
	read := 0
	for _, sample := range append(samples, "testdata/post-data.json") {
		payload, err := os.ReadFile(sample)
		if err != nil {
			t.Fatal(err)
		}
		var want events.APIGatewayV2HTTPRequest
		if err := json.Unmarshal(payload, &want); err != nil {
			t.Fatal(err)
		}
		if want.RequestContext.HTTP.Method == "" {
			continue // an event of a queue, a stream or a schedule
		}
		read++
		if got, ok := parseEvent(payload); !ok || !reflect.DeepEqual(got, parsed(want)) {
			t.Errorf("%s: %v\n%+v\n%+v", sample, ok, got, want)
		}
	}
	if read < 20 {
		t.Errorf("only %d samples are events of an HTTP API", read)
	}
}

// eventSeeds are events, some of which the gateway would not send.
var eventSeeds = []string{
	`{}`, ` { "version" : "2.0" } `, `{"body":null,"cookies":null,"headers":null,"requestContext":null}`,
	`{"rawQueryString":"a=1&b=<2>","headers":{"x":"\u00e6\ud834\udd1e\ud834","y":"æ"},"cookies":["a=b", "c=d"],"isBase64Encoded":true}`,
	`{"Body":"case"}`, `{"headers":{"a":"1"},"headers":{"b":"2"}}`, `{"requestContext":{"timeEpoch":1e3}}`, `{"requestContext":{"timeEpoch":-12}}`,
	`{"requestContext":{"http":{"method":"GET","more":1},"authorizer":{"jwt":{"claims":{"sub":"x"},"scopes":null}}}}`,
	`{"stageVariables":{"a":[{},[],{"b":[1,true,false,null]}]}}`, `{"stageVariables":1.5}`, `{"body":"a` + "\x01" + `"}`, `{"body":"\x"}`, `{"body":"a`,
	`{"cookies":["a",]}`, `{"cookies":[}`, `{"headers":{"a":null}}`, `{"isBase64Encoded":null}`, `{"body":"\"\\\\\""} x`, `{"body":"` + "\xff" + `"}`,
}

// FuzzReadEvent checks that parseEvent reads the same event as encoding/json.
func FuzzReadEvent(f *testing.F) {
	for _, seed := range eventSeeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		got, ok := parseEvent(payload)
		if !ok {
			return
		}
		if !json.Valid(payload) {
			t.Fatalf("parseEvent accepts invalid JSON: %s", payload)
		}
		var want events.APIGatewayV2HTTPRequest
		if err := json.Unmarshal(payload, &want); err == nil && !reflect.DeepEqual(got, parsed(want)) {
			t.Errorf("%s:\n%+v\n%+v", payload, got, want)
		}
	})
}

// FuzzEncodeResponse checks that encodeResponse writes the same response as encoding/json.
func FuzzEncodeResponse(f *testing.F) {
	f.Add(200, "Content-Type", "text/plain", `{"a":"b\n"}`, true)
	f.Add(404, "", "\"\\\x00\x1f\x7f\b\f\r\t", "<&>\u2028\u2029æ𝄞", false)
	f.Fuzz(func(t *testing.T, status int, name, value, body string, isBase64 bool) {
		response := events.APIGatewayV2HTTPResponse{
			StatusCode: status, Headers: map[string]string{name: value, "X": "y"}, Body: body, IsBase64Encoded: isBase64, Cookies: []string{value},
		}
		text, err := json.Marshal(response)
		if err != nil {
			t.Fatal(err)
		}
		var got, want events.APIGatewayV2HTTPResponse
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(encodeResponse(response), &got); err != nil {
			t.Fatalf("%v: %s", err, encodeResponse(response))
		}
		if !maps.Equal(got.Headers, want.Headers) || !slices.Equal(got.Cookies, want.Cookies) ||
			got.StatusCode != want.StatusCode || got.Body != want.Body || got.IsBase64Encoded != want.IsBase64Encoded {
			t.Errorf("%+v, want %+v", got, want)
		}
	})
}
