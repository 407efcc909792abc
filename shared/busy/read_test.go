package busy_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/busy"
	"altinn.no/instanceapi/shared/fault"
)

func TestRead(t *testing.T) {
	failed := errors.New("failed")
	whole := func() io.Reader { return strings.NewReader("0123456789") }
	cut := func() io.Reader {
		return io.MultiReader(strings.NewReader("01234"), iotest.ErrReader(io.ErrUnexpectedEOF))
	}
	for name, test := range map[string]struct {
		bodies []func() io.Reader // of the responses, in order
		size   int64              // of each response
		calls  int
		want   error // that the result wraps; nil: any or none
		kind   string
	}{
		"whole":                       {[]func() io.Reader{whole}, 10, 1, nil, "none"},
		"broken off":                  {[]func() io.Reader{cut, whole}, 10, 2, nil, "none"},
		"broken off twice":            {[]func() io.Reader{cut, cut, whole}, 10, 2, io.ErrUnexpectedEOF, "busy"},
		"short without an error":      {[]func() io.Reader{func() io.Reader { return strings.NewReader("01234") }, whole}, 10, 2, nil, "none"},
		"a wrong checksum at the end": {[]func() io.Reader{func() io.Reader { return io.MultiReader(whole(), iotest.ErrReader(failed)) }}, 10, 1, failed, "other"},
		"more than announced":         {[]func() io.Reader{func() io.Reader { return strings.NewReader("0123456789a") }}, 10, 1, nil, "other"},
		"another size":                {[]func() io.Reader{whole}, 11, 1, nil, "other"},
		"no such content":             {[]func() io.Reader{nil}, 10, 1, blob.ErrNotFound, "other"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				body, err := busy.Read(t.Context(), 10, func(context.Context) (blob.Object, error) {
					open := test.bodies[calls]
					calls++
					if open == nil {
						return blob.Object{}, blob.ErrNotFound
					}
					return blob.Object{Body: io.NopCloser(open()), Size: test.size}, nil
				})
				kind := "other"
				switch {
				case err == nil && string(body) == "0123456789":
					kind = "none"
				case fault.IsBusy(err):
					kind = "busy"
				}
				if kind != test.kind || calls != test.calls || test.want != nil && !errors.Is(err, test.want) {
					t.Errorf("%q, %v after %d calls, want %s after %d", body, err, calls, test.kind, test.calls)
				}
			})
		})
	}
}
