package cursor

import (
	"bytes"
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
)

func TestRoundTrip(t *testing.T) {
	for _, payload := range [][]byte{{}, {0}, {255, 254, 253}, []byte("a longer payload"), bytes.Repeat([]byte{0xfb}, 40)} {
		text := Encode("scope", payload)
		if url.QueryEscape(text) != text {
			t.Errorf("%q needs percent-encoding", text)
		}
		if got, ok := Decode("scope", text); !ok || !bytes.Equal(got, payload) {
			t.Errorf("%q decodes to %v, %v, want %v", text, got, ok, payload)
		}
	}
}

// TestOtherScopes also moves the boundary between scope and payload.
func TestOtherScopes(t *testing.T) {
	text := Encode("scope", []byte("payload"))
	for _, scope := range []string{"", "scop", "scopep", "Scope", "scope\x00"} {
		if _, ok := Decode(scope, text); ok {
			t.Errorf("scope %q accepts a cursor of another scope", scope)
		}
	}
	if checksum("ab", []byte("c")) == checksum("a", []byte("bc")) {
		t.Error("the checksum does not depend on the boundary between scope and payload")
	}
}

// TestDamage replaces each character of cursors of every length modulo 3 by every other byte,
// removes characters and adds some.
func TestDamage(t *testing.T) {
	for _, payload := range []string{"", "1", "12", "123"} {
		text := Encode("scope", []byte(payload))
		var damaged []string
		for n := range len(text) {
			damaged = append(damaged, text[:n], text[n+1:], text[:n]+"\n"+text[n:])
			for c := range 256 {
				damaged = append(damaged, text[:n]+string([]byte{byte(c)})+text[n+1:])
			}
		}
		damaged = append(damaged, text+"=", text+"==", text+"A", text+"\r\n", " "+text, text+text, strings.Repeat("A", len(text)))
		for _, other := range damaged {
			if _, ok := Decode("scope", other); ok && other != text {
				t.Errorf("%q is accepted instead of %q", other, text)
			}
		}
	}
}

// FuzzDecode decodes any text, and any payload with its correct checksum. Encode must write every
// accepted text.
func FuzzDecode(f *testing.F) {
	f.Add("scope", Encode("scope", []byte("payload")))
	f.Add("", "AAAAAA")
	f.Fuzz(func(t *testing.T, scope, text string) {
		raw, _ := base64.RawURLEncoding.DecodeString(text)
		for _, text := range []string{text, Encode(scope, raw)} {
			payload, ok := Decode(scope, text)
			if !ok {
				continue
			}
			if again := Encode(scope, payload); again != text {
				t.Errorf("%q is accepted, and its payload is written as %q", text, again)
			}
		}
	})
}
