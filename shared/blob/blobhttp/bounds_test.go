package blobhttp

import (
	"runtime"
	"strings"
	"testing"

	"altinn.no/instanceapi/shared/cputest"
)

// A part of a form can have a Content-Disposition as long as the form. The cost of FileName must be
// linear in its length.
func TestFileNamesAreBounded(t *testing.T) {
	const length, maxTimes = 100_000, 50 // the slowest takes 3 times as long; a quadratic cost would take thousands
	baseline := cputest.Baseline(t, func() { FileName(`attachment; filename="` + strings.Repeat("a", length) + `"`) })
	for _, piece := range []string{"a", "%41", "%", `\"`, `\`, "../", "; filename=x", "; filename*=UTF-8''x", `; filename="`, "=", " ", ".", "ø", "\u00c3\u00b8", "\u202e", "\xff", "utf-8'"} {
		for _, header := range []string{`attachment; filename="#"`, `attachment; filename=#`, `attachment; filename*=UTF-8''#`, `attachment; filename="#`, `#`} {
			header = strings.Replace(header, "#", strings.Repeat(piece, length/len(piece)), 1)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			var name string
			took := cputest.Time(t, func() { name = FileName(header) })
			runtime.ReadMemStats(&after)
			if allocated := after.TotalAlloc - before.TotalAlloc; took > maxTimes*baseline || allocated > 50*length || len(name) > maxNameBytes {
				t.Errorf("%.40q of %q: %v, the baseline %v, %d bytes, %q", header, piece, took, baseline, allocated, name)
			}
		}
	}
}
