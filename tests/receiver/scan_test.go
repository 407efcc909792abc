package receiver

import (
	"bytes"
	"testing"
	"time"

	"altinn.no/instanceapi/tests/local/runtime"
	"altinn.no/instanceapi/tests/local/scanner"
)

// TestMalwareScan scans the content of submissions while each receiver waits for it. The receiver
// fetches the clean content and confirms the submissions without the rest.
func TestMalwareScan(t *testing.T) {
	system, err := runtime.Start(t.Context(), runtime.Options{Parameters: map[string]string{"MalwareScan": "guardduty"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(system.Stop)
	for _, r := range receivers {
		t.Run(r.name, func(t *testing.T) {
			o := newOwner(t, system, r)
			infected, unscannable := []byte("infected "+scanner.EICAR()), []byte("SCAN-UNSCANNABLE")
			clean := o.submit(1, true)
			mixed := o.submitContent([][]byte{randomBytes(3000), infected, unscannable}, false)
			blocked := o.submitContent([][]byte{infected}, false)
			for _, guid := range []string{mixed, blocked} {
				for element, content := range o.get(guid).files {
					if bytes.Equal(content, infected) || bytes.Equal(content, unscannable) {
						delete(o.get(guid).files, element)
						o.blocked++
					}
				}
			}
			scanned := make(chan error)
			go func() {
				time.Sleep(time.Second) // the receiver's first requests get data-unscanned
				_, err := system.Scan(t.Context())
				scanned <- err
			}()
			if o.run() {
				t.Fatal("the receiver was killed")
			}
			if err := <-scanned; err != nil {
				t.Fatal(err)
			}
			for _, guid := range []string{clean, mixed, blocked} {
				o.checkCurrent(guid)
			}
			o.checkQueue()
		})
	}
}
