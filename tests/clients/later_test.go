package clients

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

// laterStatus and laterCode are the status and the code of every problem of the later version.
const (
	laterStatus = 423
	laterCode   = "added-later"
)

// startLaterVersion starts a proxy that makes a later version of the system. Every object in a
// response has one more member, and every list of callers an unknown kind. Every problem has an
// unknown status and code, and every list of events begins with an event of an unknown type.
func startLaterVersion(t *testing.T, base string) *httptest.Server {
	t.Helper()
	target, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ModifyResponse: addMembers,
	})
	t.Cleanup(server.Close)
	return server
}

// addMembers changes the JSON body of a response of the API into that of the later version. Content
// that is JSON stays unchanged.
func addMembers(r *http.Response) error {
	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	isJSON := mediaType == "application/json" || strings.HasSuffix(mediaType, "+json")
	if !isJSON || r.Header.Get("Content-Disposition") != "" {
		return nil
	}
	decoder := json.NewDecoder(r.Body)
	decoder.UseNumber()
	var body any
	if err := decoder.Decode(&body); err != nil {
		return err
	}
	if events, isList := body.([]any); isList && len(events) > 0 {
		event := map[string]any{}
		for name, value := range events[0].(map[string]any) {
			event[name] = value
		}
		event["id"], event["eventType"] = "later", "AddedLater"
		body = append([]any{event}, events...)
	}
	if problem, isObject := body.(map[string]any); isObject && mediaType == "application/problem+json" {
		problem["status"], problem["code"], problem["type"] = laterStatus, laterCode, "urn:altinn:problem:"+laterCode
		r.StatusCode = laterStatus
	}
	addMember(body)
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(text))
	r.Header.Set("Content-Length", strconv.Itoa(len(text)))
	return nil
}

// maps are the members whose objects have names of the caller's choice.
var maps = map[string]bool{"title": true, "schema": true, "xsd": true}

// addMember adds a member to every object below a value, and a kind to every list of callers.
func addMember(value any) {
	switch value := value.(type) {
	case []any:
		for _, item := range value {
			addMember(item)
		}
	case map[string]any:
		for name, member := range value {
			if callers, isList := member.([]any); isList && name == "by" {
				value[name] = append(callers, "auditor")
			}
			if !maps[name] {
				addMember(member)
			}
		}
		value["addedLater"] = map[string]any{"version": json.Number("2")}
	}
}
