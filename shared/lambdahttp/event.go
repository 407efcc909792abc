package lambdahttp

import (
	"encoding/json"

	"altinn.no/instanceapi/shared/appendjson"
	"github.com/aws/aws-lambda-go/events"
)

// readEvent reads an HTTP API event: with parseEvent, which omits the authorizer, the
// authentication and the stage variables because no handler uses them, else with encoding/json,
// which takes ten times as long.
func readEvent(payload []byte) (events.APIGatewayV2HTTPRequest, error) {
	if event, ok := parseEvent(payload); ok {
		return event, nil
	}
	var event events.APIGatewayV2HTTPRequest
	err := json.Unmarshal(payload, &event)
	return event, err
}

// parseEvent reads an event without encoding/json. ok is false if the event has a member or a
// value that the gateway does not send.
func parseEvent(payload []byte) (event events.APIGatewayV2HTTPRequest, ok bool) {
	r := eventReader{appendjson.NewReader(string(payload))} // a copy: Lambda reuses payload for the next event
	r.event(&event)
	r.End()
	return event, r.Done()
}

type eventReader struct{ *appendjson.Reader }

func (r eventReader) event(e *events.APIGatewayV2HTTPRequest) {
	r.Object(func(name string) {
		switch name {
		case "version":
			r.text(&e.Version)
		case "routeKey":
			r.text(&e.RouteKey)
		case "rawPath":
			r.text(&e.RawPath)
		case "rawQueryString":
			r.text(&e.RawQueryString)
		case "cookies":
			r.texts(&e.Cookies)
		case "headers":
			r.pairs(&e.Headers)
		case "queryStringParameters":
			r.pairs(&e.QueryStringParameters)
		case "pathParameters":
			r.pairs(&e.PathParameters)
		case "requestContext":
			r.context(&e.RequestContext)
		case "body":
			r.text(&e.Body)
		case "isBase64Encoded":
			e.IsBase64Encoded = r.Bool("")
		case "stageVariables":
			r.Skip()
		default:
			r.Lose()
		}
	})
}

func (r eventReader) context(c *events.APIGatewayV2HTTPRequestContext) {
	r.Object(func(name string) {
		switch name {
		case "routeKey":
			r.text(&c.RouteKey)
		case "accountId":
			r.text(&c.AccountID)
		case "stage":
			r.text(&c.Stage)
		case "requestId":
			r.text(&c.RequestID)
		case "apiId":
			r.text(&c.APIID)
		case "domainName":
			r.text(&c.DomainName)
		case "domainPrefix":
			r.text(&c.DomainPrefix)
		case "time":
			r.text(&c.Time)
		case "timeEpoch":
			c.TimeEpoch = r.Int("")
		case "http":
			r.http(&c.HTTP)
		case "authorizer", "authentication":
			r.Skip()
		default:
			r.Lose()
		}
	})
}

func (r eventReader) http(h *events.APIGatewayV2HTTPRequestContextHTTPDescription) {
	r.Object(func(name string) {
		switch name {
		case "method":
			r.text(&h.Method)
		case "path":
			r.text(&h.Path)
		case "protocol":
			r.text(&h.Protocol)
		case "sourceIp":
			r.text(&h.SourceIP)
		case "userAgent":
			r.text(&h.UserAgent)
		default:
			r.Lose()
		}
	})
}

// text reads a string into s. null does not change s.
func (r eventReader) text(s *string) {
	if !r.Next("null") {
		*s = r.String("")
	}
}

func (r eventReader) texts(all *[]string) {
	if *all = nil; r.Next("null") {
		return
	}
	*all = []string{}
	r.Array(func() { *all = append(*all, r.String("")) })
}

func (r eventReader) pairs(all *map[string]string) {
	if *all != nil { // the event has the object twice
		r.Lose()
	}
	if r.Next("null") {
		return
	}
	*all = make(map[string]string, 16)
	r.Object(func(name string) { (*all)[name] = r.String("") })
}

// encodeResponse returns a response in the gateway's JSON. It does not escape HTML, which would
// make the body larger than the size that response has checked.
func encodeResponse(response events.APIGatewayV2HTTPResponse) []byte {
	w := appendjson.Writer{B: make([]byte, 0, 1024+len(response.Body)+len(response.Body)/8)}
	w.Int(`{"statusCode":`, int64(response.StatusCode))
	w.Raw(`,"headers":{`)
	n := 0
	for name, value := range response.Headers {
		w.String(appendjson.Comma(n), name)
		w.String(":", value)
		n++
	}
	w.Strings(`},"cookies":`, response.Cookies)
	w.String(`,"body":`, response.Body)
	w.Bool(`,"isBase64Encoded":`, response.IsBase64Encoded)
	w.Raw("}")
	return w.B
}
