package deflate

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const limit = 1000

var format = NewFormat(7, []byte(`{"id":"","eventType":"WorkflowStateChange"}`), limit)

func pack(t interface{ Fatal(...any) }, text string) []byte {
	packed, err := format.Pack(func(b []byte) ([]byte, error) { return append(b, text...), nil })
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

func unpack(packed []byte) (text string, err error) {
	err = format.Unpack(packed, func(b []byte) error { text = string(b); return nil })
	return text, err
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.StringN(0, -1, limit).Draw(t, "text")
		if got, err := unpack(pack(t, want)); err != nil || got != want {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	})
}

func TestDictionaryShortensText(t *testing.T) {
	if n := len(pack(t, `{"id":"1","eventType":"WorkflowStateChange"}`)); n > 20 {
		t.Errorf("%d bytes", n)
	}
}

func TestUnpackRejects(t *testing.T) {
	good := pack(t, strings.Repeat("x", limit))
	if _, err := unpack(good); err != nil {
		t.Errorf("the largest document: %v", err)
	}
	bad := map[string][]byte{
		"nothing": nil, "another format": append([]byte{6}, good[1:]...), "only the format": good[:1],
		"truncated": good[:len(good)-1], "too large": pack(t, strings.Repeat("x", limit+1)), "not deflated": []byte("\x07plain"),
	}
	for name, packed := range bad {
		if text, err := unpack(packed); err == nil {
			t.Errorf("%s: %q", name, text)
		}
	}
}

func TestErrorsOfTheCaller(t *testing.T) {
	failed := errors.New("failed")
	if _, err := format.Pack(func([]byte) ([]byte, error) { return nil, failed }); !errors.Is(err, failed) {
		t.Error(err)
	}
	if err := format.Unpack(pack(t, "x"), func([]byte) error { return failed }); !errors.Is(err, failed) {
		t.Error(err)
	}
	if text, err := unpack(pack(t, "still works")); text != "still works" || err != nil {
		t.Error(text, err)
	}
}
