package lambdahttp

import (
	"encoding/json/jsontext"
	"encoding/json/v2"

	"altinn.no/instanceapi/shared/appendjson"
	"github.com/aws/aws-lambda-go/events"
)

// readEvent decodes an HTTP API event. It fails if payload is not such an event. It accepts
// duplicate names and invalid UTF-8: if a client can make the gateway send them, the client must
// still get an HTTP response.
func readEvent(payload []byte) (events.APIGatewayV2HTTPRequest, error) {
	var event events.APIGatewayV2HTTPRequest
	err := json.Unmarshal(payload, &event, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	return event, err
}

// encodeResponse returns a response in the gateway's JSON. It does not escape for HTML, because the
// body could then exceed the limit that encode has checked.
func encodeResponse(response events.APIGatewayV2HTTPResponse) []byte {
	w := appendjson.Writer{Buf: make([]byte, 0, 1024+len(response.Body)+len(response.Body)/8)}
	w.Int(`{"statusCode":`, int64(response.StatusCode))
	w.Raw(`,"headers":{`)
	n := 0
	for name, value := range response.Headers {
		w.String(appendjson.Separator(n), name)
		w.String(":", value)
		n++
	}
	w.Strings(`},"cookies":`, response.Cookies)
	w.String(`,"body":`, response.Body)
	w.Bool(`,"isBase64Encoded":`, response.IsBase64Encoded)
	w.Raw("}")
	return w.Buf
}
