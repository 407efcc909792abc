package blobhttp

import (
	"runtime"
	"strings"
	"testing"
	"time"
)

// maxDuration is many times the duration of a call on a busy machine. Quadratic cost would exceed
// it.
const maxDuration = 20 * time.Second

// A part of a form can have a Content-Disposition as long as the form. The cost of FileName must be
// linear in its length.
func TestFileNamesAreBounded(t *testing.T) {
	for _, piece := range []string{"a", "%41", "%", `\"`, `\`, "../", "; filename=x", "; filename*=UTF-8''x", `; filename="`, "=", " ", ".", "ø", "\u00c3\u00b8", "\u202e", "\xff", "utf-8'"} {
		for _, header := range []string{`attachment; filename="#"`, `attachment; filename=#`, `attachment; filename*=UTF-8''#`, `attachment; filename="#`, `#`} {
			header = strings.Replace(header, "#", strings.Repeat(piece, 400_000/len(piece)), 1)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			name := FileName(header)
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			if allocated := (after.TotalAlloc - before.TotalAlloc) >> 20; took > maxDuration || allocated > 20 || len(name) > maxNameBytes {
				t.Errorf("%.40q of %q: %v, %d MB, %q", header, piece, took, allocated, name)
			}
		}
	}
}
