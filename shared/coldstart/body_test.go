package coldstart

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// observed is a client that returns no response and keeps the request.
type observed struct{ request *http.Request }

func (o *observed) Do(r *http.Request) (*http.Response, error) {
	o.request = r
	return nil, io.ErrUnexpectedEOF
}

func TestPlainBodies(t *testing.T) {
	for _, tt := range []struct {
		name string
		body io.Reader
		want string
	}{
		{"a body that has WriteTo", strings.NewReader("content"), "content"},
		{"no body", nil, ""},
		{"an empty body", http.NoBody, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost", tt.body)
			if err != nil {
				t.Fatal(err)
			}
			body, client := r.Body, &observed{}
			_, _ = PlainBodies(client).Do(r)
			if r.Body != body {
				t.Error("the caller's request has another body")
			}
			sent := client.request.Body
			if sent == nil || sent == http.NoBody {
				if tt.want != "" {
					t.Error("the request has no body")
				}
				return
			}
			if _, ok := sent.(io.WriterTo); ok {
				t.Error("the body has WriteTo")
			}
			if got, err := io.ReadAll(sent); err != nil || string(got) != tt.want || client.request.ContentLength != int64(len(tt.want)) {
				t.Errorf("body %q, length %d, %v", got, client.request.ContentLength, err)
			}
		})
	}
}
