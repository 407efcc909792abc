// Package sample fills the sample events under events/ with a token and with the ids of a real
// instance of the running system. A function that gets such an event responds with success.
package sample

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"altinn.no/instanceapi/tests/client"
	"altinn.no/instanceapi/tests/routes"
	"altinn.no/instanceapi/tests/token/issuer"
)

// The values of the sample events, which Fill replaces.
const (
	InstanceOwnerID = "5064120983"
	InstanceGUID    = "0192d3c4-5a6b-7c8d-9e0f-1a2b3c4d5e6f"
	DataGUID        = "0192d3c4-5b01-7000-8a3e-6f2d1c0b9a88" // a data element of the formId default
	AttachmentGUID  = "0192d3c4-5a6b-7c8d-9e0f-1a2b3c4d5e70" // a data element of the formId attachment
	SubscriptionID  = "0192d3c4-6a6b-7c8d-9e0f-1a2b3c4d5e6f"
	UploadID        = "ff4085ad157354dc8ea67a848e7c2270b4a19282713cf3a7ecf8e0ffbb159ed1"
)

// Lifetime is the lifetime of the token in a filled event.
const Lifetime = time.Hour

const (
	app = "nav/app2018" // which `make run` registers
	org = "nav"
	ssn = "12247918309"
	// content is the content of each element and upload.
	content = "<melding/>"
)

// System is a running system.
type System struct {
	client client.Client
	owner  string // token of the application's owner
	user   string // token of the reportee
}

// NewSystem returns the system at an address, whose functions accept the tokens of the signer.
func NewSystem(base string, signer *issuer.Signer) (*System, error) {
	s := &System{client: client.Client{Base: base}}
	var err error
	if s.owner, err = signer.Owner(org, "", Lifetime); err != nil {
		return nil, err
	}
	s.user, err = signer.User(issuer.User{SSN: ssn}, "", Lifetime)
	return s, err
}

// event is a request of API Gateway, with the members that Fill reads.
type event struct {
	RouteKey       string            `json:"routeKey"`
	RawQueryString string            `json:"rawQueryString"`
	Headers        map[string]string `json:"headers"`
	PathParameters map[string]string `json:"pathParameters"`
}

// Fill creates an instance and returns a sample event with its ids, with a token, and with a new
// Idempotency-Key. It sends the requests that the event needs before it: a download, a deletion, a
// legal hold or an upload. A sample of a stream, a queue or a schedule needs none and is returned
// unchanged.
func (s *System) Fill(ctx context.Context, sample []byte) ([]byte, error) {
	var e event
	if err := json.Unmarshal(sample, &e); err != nil {
		return nil, err
	}
	if e.RouteKey == "" {
		return sample, nil
	}
	method, path, _ := strings.Cut(e.RouteKey, " ")
	route := routes.Get(strings.Replace(method, "HEAD", "GET", 1), path)
	token := s.owner
	if route.User {
		token = s.user
	}
	v, err := s.prepare(ctx, route, e, token)
	if err != nil {
		return nil, err
	}
	return fill(sample, v)
}

// values are what Fill writes into an event.
type values struct {
	text    map[string]string // by the text of the sample that each one replaces
	headers map[string]string // by name
}

// prepare creates an instance, sends the requests that the event needs before it, and returns the
// values of the event.
func (s *System) prepare(ctx context.Context, route routes.Route, e event, token string) (values, error) {
	response, err := s.send(ctx, client.JSON(http.MethodPost, "/"+app+"/instances", s.user, fmt.Sprintf(`{"reportee": {"ssn": %q}, "labels": ["gr", "x2"], "data": [
		{"formId": "default", "contentType": "application/xml", "content": %[2]q},
		{"formId": "attachment", "contentType": "application/xml", "content": %[2]q}]}`, ssn, base64.StdEncoding.EncodeToString([]byte(content)))))
	if err != nil {
		return values{}, err
	}
	instance := response.Instance()
	if len(instance.Data) != 2 {
		return values{}, fmt.Errorf("the new instance has %d data elements, want 2", len(instance.Data))
	}
	element, attachment := instance.Data[0].ID, instance.Data[1].ID
	v := values{headers: map[string]string{}, text: map[string]string{
		InstanceOwnerID: instance.InstanceOwnerID, InstanceGUID: instance.ID, DataGUID: element, AttachmentGUID: attachment,
	}}
	if route.Subscribed {
		v.text[SubscriptionID] = routes.Subscribe(s.client, s.owner, map[string]string{"org": org, "app": strings.TrimPrefix(app, org+"/")})
	}
	if !route.Open() {
		v.headers["authorization"] = "Bearer " + token
	}
	if e.Headers["idempotency-key"] != "" {
		v.headers["idempotency-key"] = rand.Text()
	}
	var before []client.Request
	if route.Downloaded {
		for _, id := range []string{element, attachment} {
			before = append(before, client.Request{Method: http.MethodGet, Path: instance.Storage() + "/data/" + id, Token: s.owner})
		}
	}
	if route.Deleted {
		before = append(before, client.Request{Method: http.MethodDelete, Path: instance.Apps(), Token: s.user})
	}
	if route.Substatus {
		before = append(before, client.JSON(http.MethodPut, instance.Apps()+"/substatus", s.owner, `{"label": "Sample"}`))
	}
	if route.Held {
		before = append(before, client.JSON(http.MethodPut, instance.Storage()+"/legalHold", s.owner, `{"reason": "Sample"}`))
	}
	for _, r := range before {
		if _, err := s.send(ctx, r); err != nil {
			return values{}, err
		}
	}
	if strings.Contains(e.RawQueryString, UploadID) {
		if v.text[UploadID], err = s.upload(ctx, instance, e.PathParameters["dataGuid"] != "", element); err != nil {
			return v, err
		}
	}
	for _, name := range []string{"if-match", "if-none-match"} {
		if e.Headers[name] != "" {
			current, err := s.send(ctx, client.Request{Method: http.MethodGet, Path: routes.Fill(route.Path, map[string]string{
				"org": org, "app": strings.TrimPrefix(app, org+"/"), "instanceOwnerId": instance.InstanceOwnerID, "instanceGuid": instance.ID, "dataGuid": element,
			}, nil), Token: token})
			if err != nil {
				return v, err
			}
			v.headers[name] = current.Header.Get("ETag")
		}
	}
	return v, nil
}

// upload announces an upload to the instance and sends its content. The upload replaces the content
// of the element, or becomes a new attachment.
func (s *System) upload(ctx context.Context, instance client.Instance, replaces bool, element string) (id string, err error) {
	query := "?formId=attachment"
	if replaces {
		query = "?formId=default&dataGuid=" + element
	}
	announcement := strings.NewReplacer("c.txt", "c.xml", "text/plain", "application/xml").Replace(client.Announcement(content))
	response, err := s.send(ctx, client.JSON(http.MethodPost, instance.Apps()+"/uploads"+query, s.user, announcement))
	if err != nil {
		return "", err
	}
	upload := response.Upload()
	_, err = s.send(ctx, upload.Put(content))
	return upload.ID, err
}

// send sends a request that must succeed.
func (s *System) send(ctx context.Context, r client.Request) (*client.Response, error) {
	response, err := s.client.Do(ctx, r)
	if err != nil {
		return nil, err
	}
	if response.Status > 299 {
		return nil, fmt.Errorf("%s %s: %v", r.Method, strings.SplitN(r.Path, "?", 2)[0], response)
	}
	return response, nil
}

// fill returns the sample with its values replaced, also in an encoded body, and with the length of
// its body.
func fill(sample []byte, v values) ([]byte, error) {
	var pairs []string
	for old, value := range v.text {
		pairs = append(pairs, old, value)
	}
	replacer := strings.NewReplacer(pairs...)
	var members map[string]any
	decoder := json.NewDecoder(bytes.NewReader(sample))
	decoder.UseNumber()
	if err := decoder.Decode(&members); err != nil {
		return nil, err
	}
	for name, value := range members {
		members[name] = replaceAll(value, replacer)
	}
	headers, ok := members["headers"].(map[string]any)
	if !ok {
		return nil, errors.New("the sample has no headers")
	}
	for name, value := range v.headers {
		headers[name] = value
	}
	if body, ok := members["body"].(string); ok {
		if members["isBase64Encoded"] == true {
			decoded, err := base64.StdEncoding.DecodeString(body)
			if err != nil {
				return nil, err
			}
			body = replacer.Replace(string(decoded))
			members["body"] = base64.StdEncoding.EncodeToString([]byte(body))
		}
		headers["content-length"] = strconv.Itoa(len(body))
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(members)
	return out.Bytes(), err
}

// replaceAll returns a JSON value with the replacer applied to each text in it.
func replaceAll(value any, replacer *strings.Replacer) any {
	switch value := value.(type) {
	case string:
		return replacer.Replace(value)
	case []any:
		for n, item := range value {
			value[n] = replaceAll(item, replacer)
		}
	case map[string]any:
		for name, item := range value {
			value[name] = replaceAll(item, replacer)
		}
	}
	return value
}

// Check returns an error if the response of a function to a sample event is no success.
func Check(sample, response []byte) error {
	var e event
	if err := json.Unmarshal(sample, &e); err != nil {
		return err
	}
	var got struct {
		StatusCode        int
		ErrorType         string
		BatchItemFailures []any
	}
	if err := json.Unmarshal(response, &got); err != nil && len(response) > 0 {
		return fmt.Errorf("%w in %s", err, response)
	}
	isRequest := e.RouteKey != ""
	success := got.StatusCode >= 200 && got.StatusCode < 300 || got.StatusCode == http.StatusNotModified
	if got.ErrorType != "" || len(got.BatchItemFailures) > 0 || isRequest && !success {
		return fmt.Errorf("the response is %s", response)
	}
	return nil
}
