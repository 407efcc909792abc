package scanner

import (
	"bytes"
	"errors"
	"io"
	"strings"
)

// Markers in the content. The first four choose the verdict; content without them is clean. The
// others choose when the scanner publishes the result, and can follow one of the first four.
const (
	unscannable = "SCAN-UNSCANNABLE" // UNSUPPORTED, as for an encrypted archive
	denied      = "SCAN-DENIED"      // ACCESS_DENIED
	failed      = "SCAN-FAILED"      // FAILED
	never       = "SCAN-NEVER"       // no result
	late        = "SCAN-LATE"        // the result waits, see Scanner.Late
	twice       = "SCAN-TWICE"       // the result comes twice
)

// EICAR returns the test file that every scanner reports as malware, see https://www.eicar.org. The
// function joins it at run time, so that no source and no binary contains it.
func EICAR() string {
	return strings.Join([]string{`X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD`, `-ANTIVIRUS-TEST-FILE!$H+H*`}, "")
}

// verdict is the outcome of a scan.
type verdict struct {
	scanStatus, status string // scanStatus and scanResultStatus of the result
	threats            []Threat
	times              int // how often the result is published
}

// verdictOf returns the verdict of content with these markers.
func verdictOf(found map[string]bool) verdict {
	v := verdict{scanStatus: "COMPLETED", status: "NO_THREATS_FOUND", times: 1}
	switch {
	case found[EICAR()]:
		v.status, v.threats = "THREATS_FOUND", []Threat{{"EICAR-Test-File (not a virus)"}}
	case found[unscannable]:
		v.scanStatus, v.status = "SKIPPED", "UNSUPPORTED"
	case found[denied]:
		v.scanStatus, v.status = "SKIPPED", "ACCESS_DENIED"
	case found[failed]:
		v.scanStatus, v.status = "FAILED", "FAILED"
	}
	if found[twice] {
		v.times = 2
	}
	return v
}

// findMarkers returns the markers in the content.
func findMarkers(content io.Reader) (found map[string]bool, err error) {
	markers := []string{EICAR(), unscannable, denied, failed, never, late, twice}
	const window, overlap = 64 << 10, 100 // overlap is longer than every marker
	found = map[string]bool{}
	buffer, kept := make([]byte, window), 0
	for err == nil {
		var n int
		n, err = content.Read(buffer[kept:])
		read := buffer[:kept+n]
		for _, marker := range markers {
			found[marker] = found[marker] || bytes.Contains(read, []byte(marker))
		}
		kept = copy(buffer, read[max(0, len(read)-overlap):])
	}
	if errors.Is(err, io.EOF) {
		return found, nil
	}
	return nil, err
}
