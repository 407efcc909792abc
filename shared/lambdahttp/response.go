package lambdahttp

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
	"github.com/awslabs/aws-lambda-go-api-proxy/core"
)

const (
	// maxPayload is the largest response that Lambda accepts, in bytes of its JSON document.
	maxPayload = 6_291_556
	// headerReserve is the part of maxPayload that is reserved for the status and the header
	// fields. The gateway accepts 10,240 bytes of header fields.
	headerReserve = 16_384
)

var errTooLarge = errors.New("the response exceeds Lambda's limit")

// defaultHeader holds the fields that every response has unless the handler sets them. They prevent
// caches from storing a response, and browsers from guessing its type or framing, running or
// embedding it. Browsers also do not send the URL of a request, which names an instance, to other
// servers such as the store of a redirected download.
var defaultHeader = map[string]string{
	"Cache-Control":                "no-store",
	"Content-Security-Policy":      "default-src 'none'; frame-ancestors 'none'",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Referrer-Policy":              "no-referrer",
	"Strict-Transport-Security":    "max-age=31536000",
	"X-Content-Type-Options":       "nosniff",
}

// responseWriter is the http.ResponseWriter of one request. It follows net/http's rules: only the
// first WriteHeader counts, and header fields set after it have no effect. It ignores informational
// statuses. The status is 200 if the handler writes nothing. Responses with 204 or 304, and to
// HEAD, have no body.
type responseWriter struct {
	head        bool
	header      http.Header // owned by the handler; read only within its calls until it has ended
	superfluous int         // the last status that the handler set after the first one, or 0

	mu        sync.Mutex
	abandoned bool
	status    int         // 0 until WriteHeader
	sent      http.Header // a copy of header at the time of WriteHeader
	body      []byte
	size      int // bytes written, including bytes that are not in body
}

func newResponseWriter(method string) *responseWriter {
	return &responseWriter{head: method == http.MethodHead, header: http.Header{}}
}

func (w *responseWriter) Header() http.Header { return w.header }

// WriteHeader panics if the status is invalid, like the WriteHeader of net/http.
func (w *responseWriter) WriteHeader(status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writeHeader(status)
}

func (w *responseWriter) writeHeader(status int) {
	switch {
	case w.abandoned, 100 <= status && status < 200:
	case status < 100 || status > 599:
		panic(fmt.Sprintf("WriteHeader with status %d", status))
	case w.status != 0:
		w.superfluous = status
	default:
		w.status = status
		w.sent = w.header.Clone()
	}
}

func (w *responseWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.abandoned {
		return 0, http.ErrHandlerTimeout
	}
	if w.status == 0 {
		w.writeHeader(http.StatusOK)
	}
	if !bodyAllowed(w.status) {
		return 0, http.ErrBodyNotAllowed
	}
	w.size += len(p)
	if w.head {
		return len(p), nil
	}
	if w.size > maxPayload {
		w.body = nil // the response cannot be sent
		return 0, errTooLarge
	}
	w.body = append(w.body, p...)
	return len(p), nil
}

// abandon makes the writer discard everything that the handler writes from now on.
func (w *responseWriter) abandon() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.abandoned = true
}

// response returns the response in the gateway's form, and the size of its body before encoding.
// The handler must have ended. response fails if the response is too large or its body does not
// have the declared length.
func (w *responseWriter) response() (events.APIGatewayV2HTTPResponse, int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.status == 0 {
		w.writeHeader(http.StatusOK)
	}
	none := events.APIGatewayV2HTTPResponse{}
	if !w.head && w.size > maxPayload {
		return none, 0, tooLarge(w.size)
	}
	if err := w.checkContentLength(); err != nil {
		return none, 0, err
	}
	if w.size > 0 && w.sent.Get("Content-Type") == "" {
		w.sent.Set("Content-Type", "application/octet-stream") // no guess, which could be HTML
	}
	for name, value := range defaultHeader {
		if _, ok := w.sent[name]; !ok {
			w.sent.Set(name, value)
		}
	}
	for _, values := range w.sent {
		for i, v := range values {
			values[i] = oneLine.Replace(v)
		}
	}
	body, isBase64, wire := encode(w.body, w.sent.Get("Content-Type"))
	if wire > maxPayload-headerReserve {
		return none, 0, tooLarge(wire)
	}

	proxy := core.NewProxyResponseWriterV2() // joins header lines and separates cookies
	maps.Copy(proxy.Header(), w.sent)
	proxy.WriteHeader(w.status)
	response, err := proxy.GetProxyResponse()
	response.Body, response.IsBase64Encoded = body, isBase64
	return response, len(w.body), err
}

// checkContentLength fails if the body does not have the Content-Length that the handler declared,
// so that no truncated body is sent as complete. It deletes the field, because the gateway sets it,
// except in a response to HEAD, where nothing else states the length.
func (w *responseWriter) checkContentLength() error {
	declared := w.sent.Get("Content-Length")
	if !bodyAllowed(w.status) {
		w.sent.Del("Content-Length")
		return nil
	}
	if w.head {
		if declared == "" && w.size > 0 {
			w.sent.Set("Content-Length", strconv.Itoa(w.size))
		}
		return nil
	}
	if declared != "" && declared != strconv.Itoa(w.size) {
		return fmt.Errorf("the handler declared %q bytes and wrote %d", declared, w.size)
	}
	w.sent.Del("Content-Length")
	return nil
}

var oneLine = strings.NewReplacer("\r", " ", "\n", " ")

func bodyAllowed(status int) bool {
	return status != http.StatusNoContent && status != http.StatusNotModified
}

// encode returns the body as the text of a JSON string and whether the text is base64. wire is the
// size in the JSON document, or an upper bound for short text. The client gets the same bytes in
// both forms. Text stays text if that is no larger than base64 or the text is short, because it is
// readable in a log. A body that is not UTF-8 must be base64, because a JSON string would change
// it.
func encode(body []byte, contentType string) (text string, isBase64 bool, wire int) {
	if len(body) == 0 {
		return "", false, 0
	}
	size := base64.StdEncoding.EncodedLen(len(body))
	if isText(contentType) && utf8.Valid(body) {
		text := string(body)
		if len(text) <= short {
			return text, false, longestEscape * len(text)
		}
		if wire := wireSize(text); wire <= size {
			return text, false, wire
		}
	}
	return base64.StdEncoding.EncodeToString(body), true, size
}

const (
	// short is the length in bytes up to which text stays text, however many bytes its escapes add.
	short = 4 << 10
	// longestEscape is the number of bytes in the longest escape of one byte: \u001f.
	longestEscape = 6
)

func isText(contentType string) bool {
	t, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return false
	}
	switch t {
	case "application/json", "application/xml", "application/x-ndjson":
		return true
	}
	return strings.HasPrefix(t, "text/") || strings.HasSuffix(t, "+json") || strings.HasSuffix(t, "+xml")
}

// wireSize returns the number of bytes of s as a JSON string without its quotes.
func wireSize(s string) int {
	n := len(s)
	for i := range len(s) {
		n += int(escapeSize[s[i]])
	}
	for _, separator := range []string{"\u2028", "\u2029"} { // three bytes become six
		n += 3 * strings.Count(s, separator)
	}
	return n
}

// escapeSize is the number of bytes that JSON adds to each byte of a string.
var escapeSize = func() (added [256]uint8) {
	for c := range 0x20 {
		added[c] = 5
	}
	added[0x7f] = 5
	for _, c := range "\"\\\n\r\t\b\f" {
		added[c] = 1
	}
	return added
}()
