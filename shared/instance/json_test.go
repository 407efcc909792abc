package instance

import (
	"bytes"
	"encoding/json"
	"encoding/json/jsontext"
	jsonv2 "encoding/json/v2"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"altinn.no/instanceapi/shared/filltest"
)

// sixDecimals makes json/v2 write times as package rfc3339 does.
var sixDecimals = jsonv2.WithMarshalers(jsonv2.MarshalFunc(func(t time.Time) ([]byte, error) {
	if t = t.UTC(); t.Year() < 0 || t.Year() > 9999 {
		return nil, errors.New("no such year in RFC 3339")
	}
	return []byte(t.Format(`"2006-01-02T15:04:05.000000Z"`)), nil
}))

// TestAppendJSON: for any document, AppendJSON and encoding/json/v2 write the same.
func TestAppendJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.StringN(0, 20, -1), rapid.SampledFrom([]string{
			"", "Årsmelding", `"quoted" \`, "<b>&", "\u2028", "a\u2029b", "\x00\n\t", "\xff", "ok\xc3", "æ\xe2\x80", "𝄞", "\x7f",
		}))
		moment := rapid.Custom(func(t *rapid.T) time.Time {
			zone := rapid.SampledFrom([]*time.Location{time.UTC, time.FixedZone("", 3600), time.FixedZone("", -90*60)}).Draw(t, "zone")
			return time.Unix(rapid.Int64Range(-1e11, 3e11).Draw(t, "seconds"), rapid.Int64Range(0, 1e9-1).Draw(t, "nanoseconds")).In(zone)
		})
		links := rapid.Ptr(rapid.Custom(func(t *rapid.T) Links { return Links{text.Draw(t, "apps"), text.Draw(t, "platform")} }), true)
		element := rapid.Custom(func(t *rapid.T) DataElement {
			d := DataElement{
				ID: text.Draw(t, "id"), FormID: text.Draw(t, "form"), ContentType: text.Draw(t, "type"), StorageURL: text.Draw(t, "url"),
				DataLinks: links.Draw(t, "links"), FileName: text.Draw(t, "name"), CreatedDateTime: moment.Draw(t, "created"), CreatedBy: text.Draw(t, "by"),
				LastChangedDateTime: moment.Draw(t, "changed"), LastChangedBy: text.Draw(t, "by"), FileSize: rapid.Int64().Draw(t, "size"),
				IsLocked: rapid.Bool().Draw(t, "locked"), Revision: "hidden", SHA256: "hidden",
			}
			if rapid.Bool().Draw(t, "owner") {
				d.ApplicationOwner = &ApplicationOwner{rapid.SliceOfN(moment, 0, 3).Draw(t, "downloaded"), rapid.SliceOfN(moment, 0, 3).Draw(t, "confirmed")}
			}
			if rapid.Bool().Draw(t, "scanned") {
				d.Scan = &Scan{text.Draw(t, "status"), moment.Draw(t, "at")}
			}
			return d
		})
		note := rapid.Custom(func(t *rapid.T) Note {
			return Note{moment.Draw(t, "at"), text.Draw(t, "by"), text.Draw(t, "step"), text.Draw(t, "reason")}
		})
		substatus := rapid.Custom(func(t *rapid.T) Substatus {
			return Substatus{text.Draw(t, "label"), text.Draw(t, "description"), moment.Draw(t, "changed")}
		})
		i := &Instance{
			ID: text.Draw(t, "id"), SelfLinks: links.Draw(t, "links"), AppID: text.Draw(t, "app"),
			Labels: append([]string{}, rapid.SliceOfN(text, 0, 3).Draw(t, "labels")...), InstanceOwnerID: text.Draw(t, "owner"),
			CreatedDateTime: moment.Draw(t, "created"), CreatedBy: text.Draw(t, "by"), LastChangedDateTime: moment.Draw(t, "changed"),
			LastChangedBy: text.Draw(t, "by"), DueDateTime: rapid.Ptr(moment, true).Draw(t, "due"), VisibleDateTime: rapid.Ptr(moment, true).Draw(t, "visible"),
			PresentationField: text.Draw(t, "text"), Workflow: Workflow{text.Draw(t, "step"), rapid.Bool().Draw(t, "completed"), rapid.Ptr(moment, true).Draw(t, "submitted"),
				text.Draw(t, "reason"), rapid.SliceOfN(note, 0, 3).Draw(t, "notes")},
			Status: Status{rapid.Bool().Draw(t, "archived"), rapid.Bool().Draw(t, "deleted"), rapid.Bool().Draw(t, "marked"),
				rapid.Ptr(moment, true).Draw(t, "archived at"), rapid.Ptr(moment, true).Draw(t, "deleted at"), text.Draw(t, "read status"), rapid.Ptr(substatus, true).Draw(t, "substatus")},
			Data: append([]DataElement{}, rapid.SliceOfN(element, 0, 3).Draw(t, "data")...), Version: 7, EventCount: 3,
		}
		want, wantErr := jsonv2.Marshal(i, jsontext.AllowInvalidUTF8(true), jsonv2.FormatNilSliceAsNull(true), sixDecimals)
		got, err := i.AppendJSON([]byte("before"))
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%v, encoding/json: %v", err, wantErr)
		}
		if err == nil && string(got) != "before"+string(want) {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
	})
}

// TestAppendJSONWritesEveryField fails if AppendMembers lacks a field of the document.
func TestAppendJSONWritesEveryField(t *testing.T) {
	i := &Instance{}
	filltest.Fill(t, i)
	want, err := jsonv2.Marshal(i, sixDecimals)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := i.AppendJSON(nil); err != nil || string(got) != string(want) {
		t.Errorf("%v, got\n%s\nwant\n%s", err, got, want)
	}
}

func sample() *Instance {
	at := time.Date(2026, 11, 23, 20, 11, 1, 123_456_000, time.UTC)
	const apps, platform = "https://nav.apps.altinn.no/nav/app2018/instances/50012/0193511e-4a4c-7d5f-8a55-3f2f5a1f6f0e",
		"https://platform.altinn.no/storage/instances/50012/0193511e-4a4c-7d5f-8a55-3f2f5a1f6f0e"
	i := &Instance{
		ID: "0193511e-4a4c-7d5f-8a55-3f2f5a1f6f0e", SelfLinks: &Links{apps, platform}, AppID: "nav/app2018", Labels: []string{"gr", "x2"},
		InstanceOwnerID: "50012", CreatedDateTime: at, CreatedBy: "1001", LastChangedDateTime: at, LastChangedBy: "1001", DueDateTime: &at,
		PresentationField: "Årsmelding", Workflow: Workflow{CurrentStep: "FormFilling"},
	}
	for _, id := range []string{"0193511e-4a4c-7d5f-8a55-3f2f5a1f6f0f", "0193511e-4a4c-7d5f-8a55-3f2f5a1f6f11"} {
		i.Data = append(i.Data, DataElement{
			ID: id, FormID: "default", ContentType: "application/xml", StorageURL: "nav/app2018/" + i.ID + "/data/" + id,
			DataLinks: &Links{apps + "/data/" + id, platform + "/data/" + id}, FileName: "skjema.xml", CreatedDateTime: at, CreatedBy: "1001",
			LastChangedDateTime: at, LastChangedBy: "1001", FileSize: 20001, ApplicationOwner: &ApplicationOwner{Downloaded: []time.Time{at}},
		})
	}
	return i
}

// BenchmarkEncode compares AppendJSON with encoding/json and encoding/json/v2.
func BenchmarkEncode(b *testing.B) {
	i := sample()
	b.Run("own", func(b *testing.B) {
		b.ReportAllocs()
		var text []byte // reused, as responses do
		var err error
		for b.Loop() {
			if text, err = i.AppendJSON(text[:0]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		b.ReportAllocs()
		var text bytes.Buffer
		encoder := json.NewEncoder(&text)
		for b.Loop() {
			text.Reset()
			if err := encoder.Encode(i); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("json-v2", func(b *testing.B) {
		b.ReportAllocs()
		var text bytes.Buffer
		for b.Loop() {
			text.Reset()
			if err := jsonv2.MarshalWrite(&text, i); err != nil {
				b.Fatal(err)
			}
		}
	})
}
