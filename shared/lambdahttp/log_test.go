package lambdahttp

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/logging"
	"altinn.no/instanceapi/shared/metric/metrictest"
)

func TestLogLineHasMetrics(t *testing.T) {
	for name, test := range map[string]struct {
		handler http.Handler
		class   string
		code    string // the dimension of the counted error; "": none
	}{
		"a response": {http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "twelve bytes") }), "2xx", ""},
		"a response without a body": {
			http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNotModified) }), "3xx", ""},
		"a problem": {
			httpapi.HandlerFunc(func(http.ResponseWriter, *http.Request) error {
				return fault.New(fault.NotFound, "instance-not-found", "There is none.")
			}), "4xx", "instance-not-found"},
		"a panic": {http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("no") }), "5xx", "internal"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			before := slog.Default()
			slog.SetDefault(logging.New(&out, slog.LevelInfo))
			t.Cleanup(func() { slog.SetDefault(before) })
			a := New(test.handler)
			a.metrics = newMetrics("a-stack")
			response := a.Handle(t.Context(), event("nav", "app2018"))
			got := map[string]metrictest.Metric{}
			for _, m := range metrictest.Read(t, out.Bytes()) {
				if m.Namespace != "a-stack" {
					t.Errorf("%v", m)
				}
				got[m.Name] = m
			}
			if d := got["durationMs"]; d.Dimensions["route"] != "GET /{org}/{app}" || d.Dimensions["statusClass"] != test.class || d.Unit != "Milliseconds" || d.Values[0] < 0 {
				t.Errorf("%v", d)
			}
			if b := got["bytesOut"]; len(b.Dimensions) != 0 || b.Values[0] != float64(len(bytesOf(t, response))) {
				t.Errorf("%v", b)
			}
			if e, counted := got["errors"]; counted != (test.code != "") || e.Dimensions["code"] != test.code || counted && e.Values[0] != 1 {
				t.Errorf("%v", e)
			}
		})
	}
}

// BenchmarkLogRequest measures the log line without metrics ("bare") and with them.
func BenchmarkLogRequest(b *testing.B) {
	before := slog.Default()
	slog.SetDefault(logging.New(io.Discard, slog.LevelInfo))
	b.Cleanup(func() { slog.SetDefault(before) })
	for name, a := range map[string]*Adapter{"bare": {}, "metrics": {metrics: newMetrics("a-stack")}} {
		b.Run(name, func(b *testing.B) {
			ctx, line := logging.NewContext(b.Context())
			e := event("nav", "app2018")
			b.ReportAllocs()
			for b.Loop() {
				a.logRequest(ctx, line, e, http.StatusOK, 1000, time.Now())
			}
		})
	}
}
