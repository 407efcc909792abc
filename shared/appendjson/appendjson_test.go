package appendjson

import (
	"encoding/json/jsontext"
	"encoding/json/v2"
	"testing"
	"time"
)

func TestStringsAreWrittenAsJSONv2WritesThem(t *testing.T) {
	texts := []string{"", "plain", "Årsmelding", `"quoted" \`, `\ufffd`, "<b>&", "\u2028", "a\u2029b", "\xff", "\xff\xfe", "ok\xc3", "æ\xe2\x80", "𝄞"}
	for c := range 256 {
		texts = append(texts, string([]byte{'a', byte(c)}), string(rune(c)))
		for at := range 19 { // isPlainASCII tests eight bytes at a time
			long := []byte("0193511e-4a4c-7d5f-")
			long[at] = byte(c)
			texts = append(texts, string(long))
		}
	}
	for _, text := range texts {
		want, err := json.Marshal(text, jsontext.AllowInvalidUTF8(true))
		if err != nil {
			t.Fatal(err)
		}
		var w Writer
		w.String("prefix:", text)
		if w.Err != nil || string(w.Buf) != "prefix:"+string(want) {
			t.Errorf("%q: %s, %v, want %s", text, w.Buf, w.Err, want)
		}
	}
}

func TestOtherValues(t *testing.T) {
	at := time.Date(2026, 11, 23, 20, 11, 1, 123_456_000, time.UTC)
	var w Writer
	w.Bool(`{"b":`, true)
	w.Int(`,"i":`, -7)
	w.Time(`,"t":`, at)
	w.Times(`,"none":`, nil)
	w.Times(`,"empty":`, []time.Time{})
	w.Times(`,"two":`, []time.Time{at, at})
	w.Strings(`,"no names":`, nil)
	w.Strings(`,"names":`, []string{"a", "b\n"})
	w.Raw("}")
	const want = `{"b":true,"i":-7,"t":"2026-11-23T20:11:01.123456Z","none":null,"empty":[],"two":["2026-11-23T20:11:01.123456Z","2026-11-23T20:11:01.123456Z"],"no names":[],"names":["a","b\n"]}`
	if string(w.Buf) != want || w.Err != nil {
		t.Errorf("%s, %v, want %s", w.Buf, w.Err, want)
	}
	if w.Time("", at.AddDate(9000, 0, 0)); w.Err == nil {
		t.Error("a year with five digits sets no error")
	}
}
