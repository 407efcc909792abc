package rfc3339

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	at := time.Date(2019, 3, 30, 11, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"2019-03-30T11:00:00Z": at, "2019-03-30T12:00:00+01:00": at, "2019-03-29T11:01:00-23:59": at, "2019-03-31T10:59:00+23:59": at,
		"2019-03-30t11:00:00z": at, "2019-03-30t12:00:00+01:00": at, "2019-03-30T11:00:00z": at, "2019-03-30t11:00:00Z": at,
		"2019-03-30T11:00:00.5Z": at.Add(time.Second / 2), "2019-03-30T12:00:00.500000001+01:00": at.Add(time.Second/2 + 1),
	} {
		if got, ok := Parse(text); !ok || !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("%s: %v, %v, want %v", text, got, ok, want)
		}
	}
	for _, text := range []string{
		"", "Z", "2019-03-30", "2019-03-30T11:00:00", "2019-03-30 11:00:00Z", "2019-02-30T11:00:00Z", "2019-03-30T1:00:00Z",
		"2019-03-30T11:00:00,5Z", "2019-03-30T11:00:00+24:00", "2019-03-30T11:00:00+00:60", "2019-03-30T11:00:00+0100", "2019-03-30T24:00:00Z",
		"2019-03-30T11:00:60Z", "02019-03-30T11:00:00Z", "2019-03-30T11:00:00Z ", "2019-03-30T11:00:00.Z",
	} {
		if got, ok := Parse(text); ok {
			t.Errorf("%q is accepted as %v", text, got)
		}
	}
}

func TestFormat(t *testing.T) {
	for want, at := range map[string]time.Time{
		"2019-03-30T11:00:00.000000Z": time.Date(2019, 3, 30, 12, 0, 0, 0, time.FixedZone("", 3600)),
		"2019-03-30T11:00:00.100000Z": time.Date(2019, 3, 30, 11, 0, 0, 100_000_000, time.UTC),
		"2019-03-30T11:00:00.123456Z": time.Date(2019, 3, 30, 11, 0, 0, 123_456_999, time.UTC), // truncated
		"0000-01-01T00:00:00.000000Z": time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC),
		"9999-12-31T23:59:59.999999Z": time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC),
		"":                            time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -3600)), // 10000 in UTC
	} {
		got := Format(at)
		text, err := json.Marshal(map[string]any{"at": Time{at}})
		if got != want || (err == nil) != (want != "") || err == nil && string(text) != `{"at":"`+want+`"}` {
			t.Errorf("%v: %q and %s, %v, want %q", at, got, text, err, want)
		}
	}
}

func TestParseParameter(t *testing.T) {
	for text, want := range map[string]string{
		"2019-03-30": "2019-03-30T00:00:00.000000Z", "2019-03-30T12:00:00 01:00": "2019-03-30T11:00:00.000000Z",
		"2019-03-30t11:00:00.5z": "2019-03-30T11:00:00.500000Z", "2019-03-30t12:00:00+01:00": "2019-03-30T11:00:00.000000Z",
		"2019-02-30": "", "2019-03-30 12:00:00Z": "", "2019-03-30T12:00:00  01:00": "", "": "",
	} {
		if at, ok := ParseParameter(text); ok != (want != "") || ok && Format(at) != want {
			t.Errorf("%q: %v, %v, want %s", text, at, ok, want)
		}
	}
}

func TestTime(t *testing.T) {
	for text, good := range map[string]bool{
		`{"at":"2019-03-30T12:00:00+01:00"}`: true, `{"at":"2019-03-30t11:00:00z"}`: true, `{"at":"2019-03-30T12:00:00,5+01:00"}`: false, `{"at":""}`: false, `{"at":1553943600}`: false,
	} {
		var v struct{ At *Time }
		if err := json.Unmarshal([]byte(text), &v); (err == nil) != good || good && !v.At.Equal(time.Date(2019, 3, 30, 11, 0, 0, 0, time.UTC)) {
			t.Errorf("%s: %v, %v", text, v.At, err)
		}
	}
	var v struct{ At *Time }
	if err := json.Unmarshal([]byte(`{"at":null}`), &v); err != nil || v.At != nil {
		t.Errorf("null: %v, %v", v.At, err)
	}
}

func TestOptional(t *testing.T) {
	at := time.Date(2019, 3, 30, 11, 0, 0, 0, time.UTC)
	for text, want := range map[string]*time.Time{
		`{}`: nil, `{"at":null}`: nil, `{"at":""}`: nil, `{"at":"2019-03-30T12:00:00+01:00"}`: &at, `{"at":"2019-03-30t11:00:00z"}`: &at,
	} {
		var v struct{ At Optional }
		err := json.Unmarshal([]byte(text), &v)
		if got := v.At.Pointer(); err != nil || (got == nil) != (want == nil) || got != nil && !got.Equal(*want) {
			t.Errorf("%s: %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{`{"at":" "}`, `{"at":"null"}`, `{"at":"2019-03-30"}`, `{"at":0}`, `{"at":false}`, `{"at":[]}`, `{"at":{}}`} {
		var v struct{ At Optional }
		if err := json.Unmarshal([]byte(text), &v); err == nil {
			t.Errorf("%s is accepted as %v", text, v.At.Pointer())
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"2019-03-30T12:00:00.5+01:00", "2019-03-30T1:00:00Z", "2019-03-30T11:00:00,5-24:60", "2019-03-30t11:00:00z"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := Parse(text)
		if !ok {
			return
		}
		if want, err := time.Parse(time.RFC3339, strings.ToUpper(text)); err != nil || !want.Equal(got) || len(text) < len("2019-03-30T12:00:00Z") {
			t.Errorf("%q: %v, package time: %v, %v", text, got, want, err)
		}
		if written := Format(got); written != got.Format("2006-01-02T15:04:05.000000Z") {
			t.Errorf("%q is written as %q", text, written)
		}
	})
}
