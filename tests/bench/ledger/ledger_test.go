package ledger

import (
	"os"
	"testing"
)

func TestLedger(t *testing.T) {
	l, err := Measure(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l.Print(os.Stdout)
	for _, r := range append(append(l.Rows, l.Event), l.Ten...) {
		t.Log(r.Name, r.Plain, r.OnPaper, r.CallNames)
	}
}
