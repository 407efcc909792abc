package filltest

import (
	"slices"
	"testing"
	"time"
)

type inner struct {
	Name  string
	Times []time.Time
	Outer *outer
}

type outer struct {
	Number  int
	Large   int64
	Flag    bool
	At      *time.Time
	Inner   inner
	Inners  []inner
	Pointer *inner
}

func TestFill(t *testing.T) {
	var v outer
	Fill(t, &v)
	// Fill stops at a recursive type.
	if got, want := Zero(v), []string{"outer.Inner.Outer", "outer.Inners[0].Outer", "outer.Inners[1].Outer", "outer.Pointer.Outer"}; !slices.Equal(got, want) {
		t.Errorf("zero: %q, want %q", got, want)
	}
	if v.Inner.Name != "outer.Inner.Name" || v.Inners[1].Name != "outer.Inners[1].Name" || v.Number == int(v.Large) || v.Inner.Times[0].Equal(v.Inner.Times[1]) {
		t.Errorf("%+v", v)
	}
}

func TestZero(t *testing.T) {
	v := outer{Number: 1, Inners: []inner{{Name: "x"}}, Pointer: &inner{}}
	want := []string{"outer.Large", "outer.Flag", "outer.At", "outer.Inner", "outer.Inners[0].Times", "outer.Inners[0].Outer", "outer.Pointer"}
	if got := Zero(v); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
