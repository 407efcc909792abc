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
	// maxPayload is the largest answer in bytes that Lambda takes, as the JSON document that it is sent as.
	maxPayload = 6_291_556
	// headerReserve is kept free of it for status and header fields; the gateway takes 10,240 bytes of these.
	headerReserve = 16_384
)

var errTooLarge = errors.New("the answer is larger than Lambda can send")

// defaultHeader holds the fields that every answer has unless the handler has set them: nobody keeps, guesses at, frames,
// runs or embeds what is answered, and the address that was asked, which names an instance, is told to nobody: not to the
// store that a download is sent on to either.
var defaultHeader = map[string]string{
	"Cache-Control":                "no-store",
	"Content-Security-Policy":      "default-src 'none'; frame-ancestors 'none'",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Referrer-Policy":              "no-referrer",
	"Strict-Transport-Security":    "max-age=31536000",
	"X-Content-Type-Options":       "nosniff",
}

// responseWriter is the http.ResponseWriter of one request. It keeps net/http's rules: the first WriteHeader counts, header
// fields set after it do not, informational statuses are no answer, nothing written at all is a 200, and
// 204, 304 and HEAD have no body.
type responseWriter struct {
	head        bool
	header      http.Header // the handler's; not read here before the handler is done, except by itself
	superfluous int         // the last status that came too late, 0 when none did

	mu        sync.Mutex
	abandoned bool
	status    int         // 0 until WriteHeader
	sent      http.Header // what header was at that time
	body      []byte
	size      int // bytes written, whether kept or not
}

func newResponseWriter(method string) *responseWriter {
	return &responseWriter{head: method == http.MethodHead, header: http.Header{}}
}

func (w *responseWriter) Header() http.Header { return w.header }

// WriteHeader panics when status cannot be one, as net/http's does.
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
		w.body = nil // of no more use
		return 0, errTooLarge
	}
	w.body = append(w.body, p...)
	return len(p), nil
}

// abandon makes whatever the handler still writes go nowhere.
func (w *responseWriter) abandon() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.abandoned = true
}

// response returns the answer as the gateway takes it, and the size of its body before encoding, once the handler is done.
// The error says why the answer cannot be sent.
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
		w.sent.Set("Content-Type", "application/octet-stream") // never guessed: a guess may be HTML
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

	out := core.NewProxyResponseWriterV2() // joins header lines, sets cookies apart
	maps.Copy(out.Header(), w.sent)
	out.WriteHeader(w.status)
	response, err := out.GetProxyResponse()
	response.Body, response.IsBase64Encoded = body, isBase64
	return response, len(w.body), err
}

// checkContentLength checks the body against the Content-Length that the handler has declared: a body that broke off half-way
// must not pass for a whole one. The field itself is the gateway's to set, except in the answer to HEAD, where nothing
// but the field tells the length.
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

// encode returns the body as the JSON string of the answer, and whether that is base64. Either way the client gets
// the very same bytes. Text goes as it is, since that is smaller and can be read in a log of the gateway; but only when
// it is UTF-8, which alone survives a JSON string.
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
	// short is the length in bytes up to which text goes as text, however many of its characters have to be escaped.
	short = 4 << 10
	// longestEscape is the most bytes that one byte of a string takes: \u001f.
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

// wireSize returns how many bytes s takes as a JSON string without its quotes.
func wireSize(s string) int {
	n := len(s)
	for i := range len(s) {
		n += int(escape[s[i]])
	}
	for _, separator := range []string{"\u2028", "\u2029"} { // three bytes become six
		n += 3 * strings.Count(s, separator)
	}
	return n
}

// escape is how many bytes each byte of a string takes beside itself when it is written as JSON.
var escape = func() (more [256]uint8) {
	for c := range 0x20 {
		more[c] = 5
	}
	more[0x7f] = 5
	for _, c := range "\"\\\n\r\t\b\f" {
		more[c] = 1
	}
	return more
}()
