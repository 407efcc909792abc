package fault

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestErrors(t *testing.T) {
	cause := errors.New("the cause")
	f := New(Conflict, "data-locked", "Locked in %s, 100%%.", "Submit").WithCause(cause)
	if f.Error() != "data-locked: Locked in Submit, 100%.: the cause" || New(Invalid, "x", "y").Error() != "x: y" {
		t.Errorf("%v", f)
	}
	wrapped := fmt.Errorf("around: %w", f)
	for name, holds := range map[string]bool{
		"kind": Is(wrapped, Conflict), "code": HasCode(wrapped, "data-locked"), "cause": errors.Is(wrapped, cause),
		"not another kind": !Is(wrapped, Invalid), "not another code": !HasCode(wrapped, "data"), "not any error": !Is(cause, Internal) && !HasCode(cause, ""),
		"not nil": !Is(nil, Internal) && !HasCode(nil, ""),
	} {
		if !holds {
			t.Error(name)
		}
	}
}

func TestInvalidParameterNamesParameterAndValidValues(t *testing.T) {
	err := InvalidParameter("size", "a number from 1 to %d", 1000)
	if err.Kind != Invalid || err.Code != "parameter-invalid" || !strings.Contains(err.Detail, `"size"`) || !strings.Contains(err.Detail, "1 to 1000") {
		t.Errorf("%v", err)
	}
}

func TestBusy(t *testing.T) {
	cause := errors.New("ThrottlingException")
	waits := map[time.Duration]bool{}
	for range 100 {
		f := Busy(cause)
		if f.Kind != Unavailable || f.RetryAfter < time.Second || f.RetryAfter > maxRetryAfter || !errors.Is(f, cause) {
			t.Fatalf("%v, RetryAfter %v", f, f.RetryAfter)
		}
		waits[f.RetryAfter.Truncate(time.Second)] = true
	}
	if len(waits) < 3 {
		t.Errorf("callers return together: %v", waits)
	}
	if !IsBusy(fmt.Errorf("around: %w", Busy(cause))) || IsBusy(cause) || IsBusy(nil) {
		t.Error("IsBusy")
	}
}
