package instancetable

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/json/jsontext"
	jsonv2 "encoding/json/v2"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
	"uuid"

	"pgregory.net/rapid"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/filltest"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/rfc3339"
)

// golden returns the instance in testdata/format1.hex, which was packed when format 1 was new.
// Every later version of the project must read the file as this instance.
func golden() *instance.Instance {
	at := func(seconds int) time.Time {
		return time.Date(2026, 11, 23, 20, 11, seconds, 123_456_000, time.UTC)
	}
	due, visible := at(7), at(8)
	return &instance.Instance{
		ID: "0193511e-4a4c-7d5f-8a55-3f2f5a1f6f0e", AppID: "nav/app2018", Labels: []string{"gr", "æ #1"}, InstanceOwnerID: "50012",
		CreatedDateTime: at(1), CreatedBy: "1001", LastChangedDateTime: at(2), LastChangedBy: "nav", DueDateTime: &due, VisibleDateTime: &visible,
		PresentationField: "Arbeidsmelding «ø»", Workflow: instance.Workflow{CurrentStep: "Submit", IsCompleted: true},
		Status: instance.Status{IsArchived: true, IsSoftDeleted: true},
		Data: []instance.DataElement{
			{ID: "0193511e-4a4c-7d5f-8a55-3f2f5a1f6f0f", FormID: "default", ContentType: "application/xml; charset=utf-8", FileName: "skjema.xml",
				CreatedDateTime: at(1), CreatedBy: "1001", LastChangedDateTime: at(2), LastChangedBy: "1001", FileSize: 20001, IsLocked: true,
				ApplicationOwner: &instance.ApplicationOwner{Downloaded: []time.Time{at(3), at(4)}, DownloadConfirmed: []time.Time{at(5)}},
				Revision:         "0193511e-4a4c-7d5f-8a55-3f2f5a1f6f10", SHA256: strings.Repeat("0f", 32)},
			{ID: "0193511e-4a4c-7d5f-8a55-3f2f5a1f6f11", FormID: "attachment", ContentType: "application/pdf", FileName: "vedlegg <1>.pdf",
				CreatedDateTime: at(2), CreatedBy: "nav", LastChangedDateTime: at(2), LastChangedBy: "nav", FileSize: 1 << 40,
				Revision: "0193511e-4a4c-7d5f-8a55-3f2f5a1f6f12", SHA256: strings.Repeat("a0", 32)},
		},
		Version: 7, EventCount: 3, StepEntered: at(2), Shard: 5,
	}
}

func TestFormat1StaysReadable(t *testing.T) {
	text, err := os.ReadFile("testdata/format1.hex")
	if err != nil {
		t.Fatal(err)
	}
	packed, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	got, err := unpack(packed, 7)
	if err != nil {
		t.Fatal(err)
	}
	if want := golden(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	// If one byte of the dictionary changes, stored items are read wrongly or not at all.
	const sum = "8efa0a9454f9fb1991001c7fa3232a39e70e9bbb6f2b0e7e17b2ebbc723ebcc9"
	if got := fmt.Sprintf("%x", sha256.Sum256(dictionary1)); got != sum {
		t.Errorf("dictionary1.json has changed (%s): stored items can no longer be read; add a dictionary2 instead", got)
	}
}

// TestOlderDocuments: a member that is missing in a stored document is read as absent.
func TestOlderDocuments(t *testing.T) {
	for text, check := range map[string]func(*instance.Instance) bool{
		`{}`: func(i *instance.Instance) bool { return i.Labels != nil && i.Data != nil && len(i.Data) == 0 },
		`{"labels":null,"data":null}`: func(i *instance.Instance) bool {
			return i.Labels != nil && len(i.Labels) == 0 && i.Data != nil
		},
		`{"data":[{"id":"d"}]}`:        func(i *instance.Instance) bool { return len(i.Data) == 1 && i.Data[0].ApplicationOwner == nil },
		`{"id":"i","later":{"x":[1]}}`: func(i *instance.Instance) bool { return i.ID == "i" && i.Version == 3 },
	} {
		if i, err := unpack(deflated(t, text), 3); err != nil || !check(i) {
			t.Errorf("%s: %+v, %v", text, i, err)
		}
	}
}

func deflated(t testing.TB, text string) []byte {
	t.Helper()
	packed := bytes.NewBuffer([]byte{format1})
	w, err := flate.NewWriterDict(packed, flate.BestCompression, dictionary1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

func TestDamagedDocuments(t *testing.T) {
	good, err := pack(golden())
	if err != nil {
		t.Fatal(err)
	}
	damaged := map[string][]byte{
		"nil": nil, "no bytes": {}, "format 0": append([]byte{0}, good[1:]...), "format 2": append([]byte{2}, good[1:]...),
		"only the format": good[:1], "plain JSON": []byte(`{"id":"x"}`), "not an object": deflated(t, `[]`), "a string for a time": deflated(t, `{"createdDateTime":"x"}`),
		"truncated JSON": deflated(t, `{"id":"x"`), "two documents": deflated(t, `{}{}`), "a bomb": deflated(t, `{"id":"`+strings.Repeat("x", 2*maxDocument)+`"}`),
	}
	for n := 1; n < len(good); n++ {
		damaged[fmt.Sprintf("truncated to %d bytes", n)] = good[:n]
	}
	for name, packed := range damaged {
		if i, err := unpack(packed, 1); err == nil {
			t.Errorf("%s: read as %+v", name, i)
		} else if strings.Contains(err.Error(), "50012") {
			t.Errorf("%s: the error contains part of the document: %v", name, err)
		}
	}
}

func FuzzUnpack(f *testing.F) {
	good, err := pack(golden())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add(deflated(f, `{"data":[{}],"labels":[""]}`))
	f.Add([]byte{format1})
	f.Add([]byte{2, 0xff, 0x00})
	f.Fuzz(func(t *testing.T, packed []byte) {
		i, err := unpack(packed, 1)
		if err != nil {
			return
		}
		if i.Labels == nil || i.Data == nil {
			t.Error("a list is null")
		}
		again, err := pack(i)
		if err != nil {
			return // JSON has no form for the year
		}
		if got, err := unpack(again, 1); err != nil || !reflect.DeepEqual(got, bare(i)) {
			t.Errorf("read %+v, written and read again %+v, %v", i, got, err)
		}
	})
}

// FuzzReadDocument: readDocument never returns a different instance than encoding/json.
func FuzzReadDocument(f *testing.F) {
	text, err := appendDocument(nil, golden())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(text))
	f.Add(strings.ReplaceAll(string(text), "1001", `10\"\\"`))
	f.Add(strings.ReplaceAll(string(text), "20001", "020001"))
	f.Add(strings.ReplaceAll(string(text), "skjema", "\xff\u2028"))
	f.Add(strings.ReplaceAll(string(text), "gr", "\n"))
	f.Add(string(text) + " ")
	f.Fuzz(func(t *testing.T, text string) {
		got := readDocument(text)
		if got == nil {
			return
		}
		if want, err := decodeCompatible([]byte(text)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v, %v", got, want, err)
		}
	})
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		moment := rapid.Custom(func(t *rapid.T) time.Time {
			return time.UnixMicro(rapid.Int64Range(-2e15, 2e17).Draw(t, "time")).UTC()
		})
		text := rapid.StringN(0, 40, -1)
		want := &instance.Instance{
			ID: text.Draw(t, "id"), AppID: text.Draw(t, "app"), InstanceOwnerID: text.Draw(t, "owner"), PresentationField: text.Draw(t, "text"),
			Labels:          append([]string{}, rapid.SliceOf(text).Draw(t, "labels")...),
			CreatedDateTime: moment.Draw(t, "created"), LastChangedDateTime: moment.Draw(t, "changed"), StepEntered: moment.Draw(t, "entered"),
			DueDateTime: rapid.Ptr(moment, true).Draw(t, "due"), VisibleDateTime: rapid.Ptr(moment, true).Draw(t, "visible"),
			Workflow: instance.Workflow{
				CurrentStep: text.Draw(t, "step"), IsCompleted: rapid.Bool().Draw(t, "completed"), SubmittedDateTime: rapid.Ptr(moment, true).Draw(t, "submission"),
				Reason: text.Draw(t, "reason"),
			},
			Status: instance.Status{
				IsArchived: rapid.Bool().Draw(t, "archived"), IsSoftDeleted: rapid.Bool().Draw(t, "deleted"),
				ArchivedDateTime: rapid.Ptr(moment, true).Draw(t, "archived at"), SoftDeletedDateTime: rapid.Ptr(moment, true).Draw(t, "deleted at"),
				ReadStatus: text.Draw(t, "read status"),
			},
			Submitted: rapid.Bool().Draw(t, "submitted"), LabelsHidden: rapid.Bool().Draw(t, "labels hidden"), AllConfirmed: rapid.OneOf(moment, rapid.Just(time.Time{})).Draw(t, "all confirmed"),
			Data: []instance.DataElement{}, Version: rapid.Int64().Draw(t, "version"), EventCount: rapid.Int().Draw(t, "events"),
			ScanWrites: rapid.Int64().Draw(t, "scans"),
			Shard:      rapid.IntRange(0, 63).Draw(t, "shard"),
		}
		for range rapid.IntRange(0, 12).Draw(t, "elements") {
			d := instance.DataElement{
				ID: text.Draw(t, "id"), FormID: text.Draw(t, "form"), ContentType: text.Draw(t, "type"), FileName: text.Draw(t, "name"),
				CreatedDateTime: moment.Draw(t, "created"), LastChangedDateTime: moment.Draw(t, "changed"), FileSize: rapid.Int64().Draw(t, "size"),
				IsLocked: rapid.Bool().Draw(t, "locked"), Revision: text.Draw(t, "revision"), SHA256: text.Draw(t, "hash"),
				OnlyWriter: application.Role(text.Draw(t, "only writer")), OwnerOnly: rapid.Bool().Draw(t, "owner only"),
			}
			if rapid.Bool().Draw(t, "downloaded") {
				d.ApplicationOwner = &instance.ApplicationOwner{Downloaded: rapid.SliceOfN(moment, 1, 5).Draw(t, "times")}
			}
			if rapid.Bool().Draw(t, "scanned") {
				d.Scan, d.AllowUnscannable = &instance.Scan{Status: text.Draw(t, "status"), At: moment.Draw(t, "at")}, rapid.Bool().Draw(t, "allowed")
			}
			want.Data = append(want.Data, d)
		}
		for range rapid.IntRange(0, 3).Draw(t, "notes") {
			want.Workflow.Notes = append(want.Workflow.Notes, instance.Note{
				At: moment.Draw(t, "at"), By: text.Draw(t, "by"), Step: text.Draw(t, "step"), Reason: text.Draw(t, "reason"),
			})
		}
		if rapid.Bool().Draw(t, "has a seen change") {
			want.SeenChange = &instance.Change{At: moment.Draw(t, "seen at"), By: text.Draw(t, "seen by")}
		}
		if rapid.Bool().Draw(t, "has a substatus") {
			want.Status.Substatus = &instance.Substatus{
				Label: text.Draw(t, "label"), Description: text.Draw(t, "description"), ChangedDateTime: moment.Draw(t, "set"),
			}
		}
		stored := want.Clone()
		stored.SelfLinks = &instance.Links{Apps: "https://never.stored", Platform: "https://never.stored"}
		for n := range stored.Data {
			stored.Data[n].StorageURL, stored.Data[n].DataLinks = "never/stored", stored.SelfLinks
		}
		before := stored.Clone()
		items, err := itemsOf(stored, want.Version)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(stored, before) {
			t.Fatal("itemsOf changed the document")
		}
		got, err := decode(items.own)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %+v, %v\nwant %+v", got, err, want)
		}
		written, err := appendDocument(nil, stored)
		if err != nil {
			t.Fatal(err)
		}
		if readDocument(string(written)) == nil {
			t.Fatalf("readDocument does not read the current form: %s", written)
		}
	})
}

// bare returns a copy of i without its recorded downloads, which the stored document does not
// contain.
func bare(i *instance.Instance) *instance.Instance {
	i = i.Clone()
	for n, d := range i.Data {
		i.Data[n] = d.WithDownloads(nil)
	}
	return i
}

// TestRoundTripKeepsEveryField fails if the stored form, or one of its two readers, lacks a
// field. The derived links and the idempotency record are not stored. The version and the recorded
// downloads are attributes of the item.
func TestRoundTripKeepsEveryField(t *testing.T) {
	want := &instance.Instance{}
	filltest.Fill(t, want)
	want.SelfLinks, want.IdempotencyRecord = nil, nil
	for n := range want.Data {
		want.Data[n].DataLinks, want.Data[n].StorageURL = nil, ""
	}
	items, err := itemsOf(want, want.Version)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := decode(items.own); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
	}
	want = bare(want)
	text, err := appendDocument(nil, want)
	if err != nil {
		t.Fatal(err)
	}
	fast := readDocument(string(text))
	slow, err := decodeCompatible(text)
	if err != nil || fast == nil {
		t.Fatalf("%s: %v, %v", text, fast, err)
	}
	fast.Version, slow.Version = want.Version, want.Version
	if !reflect.DeepEqual(fast, want) || !reflect.DeepEqual(slow, want) {
		t.Errorf("fast %+v\nslow %+v\nwant %+v", fast, slow, want)
	}
}

// TestStoredFormIsThatOfDocument: appendDocument writes the same as encoding/json for the type
// document, with the times of package rfc3339.
func TestStoredFormIsThatOfDocument(t *testing.T) {
	for _, shard := range []int{0, 5} {
		i := bare(golden())
		i.Shard = shard
		doc := document{Instance: *i, EventCount: i.EventCount, StepEntered: i.StepEntered, Shard: i.Shard, Data: []element{}}
		for _, d := range i.Data {
			doc.Data = append(doc.Data, element{DataElement: d, Revision: d.Revision, SHA256: d.SHA256})
		}
		times := jsonv2.WithMarshalers(jsonv2.MarshalFunc(func(t time.Time) ([]byte, error) { return rfc3339.Time{Time: t}.MarshalJSON() }))
		want, err := jsonv2.Marshal(doc, jsontext.AllowInvalidUTF8(true), jsonv2.FormatNilSliceAsNull(true), times)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := appendDocument(nil, i); err != nil || string(got) != string(want) {
			t.Errorf("got  %s, %v\nwant %s", got, err, want)
		}
	}
	i := golden()
	i.CreatedDateTime = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)
	if _, err := pack(i); err == nil {
		t.Error("pack accepted a time without a JSON form")
	}
}

// typical returns a typical instance, and its stored form for encoding/json.
func typical() (*instance.Instance, *document) {
	i := golden()
	i.PresentationField, i.Labels, i.Data[1].FileName = "Arbeidsmelding", []string{"gr", "x2"}, "vedlegg.pdf"
	doc := document{Instance: *i, EventCount: i.EventCount, StepEntered: i.StepEntered, Shard: i.Shard}
	for _, d := range i.Data {
		doc.Data = append(doc.Data, element{DataElement: d, Revision: d.Revision, SHA256: d.SHA256})
	}
	return i, &doc
}

// BenchmarkDecode compares readDocument, on the inflated stored form, with encoding/json and
// encoding/json/v2.
func BenchmarkDecode(b *testing.B) {
	i, _ := typical()
	text, err := appendDocument(nil, i)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("own", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if readDocument(string(text)) == nil {
				b.Fatal("not read")
			}
		}
	})
	for name, unmarshal := range map[string]func(text []byte, doc *document) error{
		"encoding-json": func(text []byte, doc *document) error { return json.Unmarshal(text, doc) },
		"json-v2":       func(text []byte, doc *document) error { return jsonv2.Unmarshal(text, doc) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var doc document
				if err := unmarshal(text, &doc); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkEncode compares appendDocument with encoding/json and encoding/json/v2.
func BenchmarkEncode(b *testing.B) {
	i, doc := typical()
	b.Run("own", func(b *testing.B) {
		b.ReportAllocs()
		var text []byte // reused, as in pack
		var err error
		for b.Loop() {
			if text, err = appendDocument(text[:0], i); err != nil {
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
			if err := encoder.Encode(doc); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("json-v2", func(b *testing.B) {
		b.ReportAllocs()
		var text bytes.Buffer
		for b.Loop() {
			text.Reset()
			if err := jsonv2.MarshalWrite(&text, doc); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// TestTypicalSizes: a write unit is one kilobyte of an item, including its keys. An instance must
// fit in one unit with nine data elements created with it. It must also fit with seven elements
// added one at a time, whose ids and times differ more. The hash and most of the id of each
// element, 50 bytes, do not compress.
func TestTypicalSizes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	guid := func(at time.Time) string { // a UUID version 7
		var id uuid.UUID
		for n := range id {
			id[n] = byte(random.Uint32())
		}
		for n := range 6 {
			id[n] = byte(at.UnixMilli() >> (40 - 8*n))
		}
		return id.String()
	}
	for _, test := range []struct {
		elements  int
		apart     time.Duration // maximum time between two elements
		wantUnits int
	}{{1, 0, 1}, {9, 0, 1}, {7, time.Hour, 1}, {10, time.Hour, 2}} {
		i := golden()
		at := i.CreatedDateTime
		i.ID, i.Data = guid(at), nil
		for n := range test.elements {
			d := golden().Data[0]
			d.ID, d.ApplicationOwner = guid(at), nil
			d.Revision = d.ID // as in blob.FirstKey
			sum := sha256.Sum256([]byte(d.ID))
			d.SHA256, d.FileName, d.FileSize = hex.EncodeToString(sum[:]), fmt.Sprintf("vedlegg-%d.pdf", n), random.Int64N(5_000_000)
			d.CreatedDateTime, d.LastChangedDateTime = at, at
			i.Data = append(i.Data, d)
			if test.apart > 0 {
				at = at.Add(time.Duration(random.Int64N(int64(test.apart)))).Truncate(time.Microsecond)
			}
		}
		packed, err := pack(i)
		if err != nil {
			t.Fatal(err)
		}
		size := len(packed) + len(attrPartition+attrSort+attrDocument+attrVersion+attrWriteID+attrChanged+attrStep+attrUnconfirmed) +
			len(i.InstanceOwnerID) + len(InstanceKey(i.ID)) + 2 + 8 + len("2026-11-23T20:11:02.123456Z#") + len(i.ID) + 2*len(StepKey(i.AppID, "FormFilling", 10))
		t.Logf("%d data elements: %d bytes packed, an item of %d bytes", test.elements, len(packed), size)
		if size > 1024*test.wantUnits {
			t.Errorf("an item with %d data elements has %d bytes, more than %d units", test.elements, size, test.wantUnits)
		}
	}
}
