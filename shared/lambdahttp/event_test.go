package lambdahttp

import (
	"encoding/json"
	jsonv2 "encoding/json/v2"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
)

// TestReadEvent compares readEvent with encoding/json on the samples for local invocations, both
// those of the gateway and those of sam local.
func TestReadEvent(t *testing.T) {
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
		if got, err := readEvent(payload); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\n%+v\n%+v", sample, err, got, want)
		}
	}
	if read < 20 {
		t.Errorf("only %d samples are events of an HTTP API", read)
	}
}

// TestReadUnusualEvents reads events in forms that the gateway does not write today.
func TestReadUnusualEvents(t *testing.T) {
	for _, payload := range []string{
		`{}`, ` { "version" : "2.0" } `, `{"body":null,"cookies":null,"headers":null,"requestContext":null}`,
		`{"rawQueryString":"a=1&b=<2>","headers":{"x":"\u00e6\ud834\udd1e\ud834","y":"æ"},"cookies":["a=b", "c=d"],"isBase64Encoded":true}`,
		`{"later":[{}],"body":"x"}`, `{"headers":{"a":"1"},"headers":{"b":"2"}}`, `{"headers":{"a":"1","a":"2"}}`, `{"requestContext":{"timeEpoch":-12}}`,
		`{"requestContext":{"http":{"method":"GET","more":1},"authorizer":{"jwt":{"claims":{"sub":"x"},"scopes":null}}}}`,
		`{"cookies":[]}`, `{"headers":{"a":null}}`, `{"isBase64Encoded":null}`, `{"body":"` + "\xff" + `"}`,
	} {
		var want events.APIGatewayV2HTTPRequest
		if err := json.Unmarshal([]byte(payload), &want); err != nil {
			t.Fatal(err)
		}
		if got, err := readEvent([]byte(payload)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\n%+v\n%+v", payload, err, got, want)
		}
	}
	for _, payload := range []string{``, `null x`, `[]`, `{"body":"a`, `{"cookies":[}`, `{"isBase64Encoded":"true"}`} {
		if got, err := readEvent([]byte(payload)); err == nil {
			t.Errorf("%s is read as %+v", payload, got)
		}
	}
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

// BenchmarkEncode compares encodeResponse with encoding/json and encoding/json/v2 on a body of 2
// KB.
func BenchmarkEncode(b *testing.B) {
	response := events.APIGatewayV2HTTPResponse{
		StatusCode: 200, Body: `{` + strings.Repeat(`"createdDateTime":"2026-11-23T20:11:01.123456Z",`, 40) + `"data":[]}`,
		Headers: map[string]string{
			"Content-Type": "application/json", "Content-Length": "2010", "Cache-Control": "no-store", "Etag": `"7"`,
			"X-Content-Type-Options": "nosniff", "Strict-Transport-Security": "max-age=31536000",
		},
	}
	for name, write := range map[string]func() ([]byte, error){
		"own":           func() ([]byte, error) { return encodeResponse(response), nil },
		"encoding-json": func() ([]byte, error) { return json.Marshal(&response) },
		"json-v2":       func() ([]byte, error) { return jsonv2.Marshal(&response) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := write(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
