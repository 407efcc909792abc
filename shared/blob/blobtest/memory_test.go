package blobtest

import (
	"errors"
	"slices"
	"testing"

	"altinn.no/instanceapi/shared/blob"
)

func TestMemoryConformance(t *testing.T) {
	Conformance(t, func(*testing.T) Store { return &Memory{} })
}

func TestMemoryFailsBeforeOrAfterTheEffect(t *testing.T) {
	broken := errors.New("broken")
	first, second := blob.NewKey("nav/app", "50001", "i"), blob.NewKey("nav/app", "50001", "i")
	for _, test := range []struct {
		afterEffect bool
		want        []string
	}{
		{false, []string{first.String()}},
		{true, []string{first.String(), second.String()}},
	} {
		m := &Memory{Hook: FailCall(2, test.afterEffect, broken)}
		if _, err := m.Put(t.Context(), first, "text/plain", "", []byte("1")); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Put(t.Context(), second, "text/plain", "", []byte("2")); !errors.Is(err, broken) {
			t.Errorf("afterEffect %v: error %v, want the error of the hook", test.afterEffect, err)
		}
		slices.Sort(test.want)
		if got := m.Keys(); !slices.Equal(got, test.want) {
			t.Errorf("afterEffect %v: keys %v, want %v", test.afterEffect, got, test.want)
		}
	}
}
