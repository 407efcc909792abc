package event

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"altinn.no/instanceapi/shared/rfc3339"
)

// packedSample returns the events in testdata/format1.hex, which were packed when format 1 was new.
// Every later version of the project must read the file as these events.
func packedSample(t *testing.T) (docs []Encoded) {
	t.Helper()
	second := sample()
	second.ID, second.EventType, second.PreviousStep = ID(guid, 3), InstanceDeleted, ""
	second.Hard, second.Cause = new(true), CauseOwner
	second.DataLinks = []DataLink{{FormID: "skjema-ø", DataLink: second.InstanceLink + "/data/692ee7df-82a9-4bba-b2f2-c8c4dac69aff"}}
	for _, ev := range []Event{sample(), second} {
		doc, err := Encode(ev)
		if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, doc)
	}
	return docs
}

func sameJSON(a, b []Encoded) bool {
	if len(a) != len(b) {
		return false
	}
	for n := range a {
		if string(a[n].JSON) != string(b[n].JSON) || a[n].InstanceGuid != b[n].InstanceGuid || a[n].Number != b[n].Number {
			return false
		}
	}
	return true
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
	if got, err := Unpack(packed); err != nil || !sameJSON(got, packedSample(t)) {
		t.Errorf("%v, %v", got, err)
	}
	// If one byte of the dictionary changes, stored events are read wrongly or not at all.
	const sum = "524f96f8b02213c596505b8fa36d1a0305f1289cd3582ce89f12ef99c84966a5"
	if got := fmt.Sprintf("%x", sha256.Sum256(dictionary1)); got != sum {
		t.Errorf("dictionary1.json has changed (%s): stored events can no longer be read; add a dictionary2 instead", got)
	}
}

func TestPack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var docs []Encoded
		for n := range rapid.IntRange(1, 20).Draw(t, "events") {
			ev := sample()
			ev.ID, ev.At = ID(guid, n+1), rfc3339.Time{Time: time.Unix(int64(n), 0).UTC()}
			ev.WorkflowStep = "s" + rapid.String().Draw(t, "step") // line breaks too
			doc, err := Encode(ev)
			if err != nil {
				t.Fatal(err)
			}
			docs = append(docs, doc)
		}
		packed, err := Pack(docs...)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Unpack(packed); err != nil || !sameJSON(got, docs) {
			t.Errorf("%v, %v; want %v", got, err, docs)
		}
		first := rapid.IntRange(0, len(docs)).Draw(t, "first")
		end := rapid.IntRange(first, len(docs)+1).Draw(t, "end")
		if got, count, err := UnpackRange(packed, first, end); err != nil || count != len(docs) || !sameJSON(got, docs[first:min(end, len(docs))]) {
			t.Errorf("%d to %d: %v of %d, %v", first, end, got, count, err)
		}
		if _, err := UnpackOne(packed); (err == nil) != (len(docs) == 1) {
			t.Errorf("one of %d events: %v", len(docs), err)
		}
	})
}

// TestPackedSize limits the size of usual events, which decides what they cost.
func TestPackedSize(t *testing.T) {
	var docs []Encoded
	for n := range 100 {
		ev := sample()
		id := fmt.Sprintf("%x", sha256.Sum256([]byte{byte(n)}))
		instance, element := id[:8]+"-"+id[8:12]+"-7"+id[12:15]+"-8"+id[15:18]+"-"+id[18:30], id[30:38]+"-"+id[38:42]+"-7"+id[42:45]+"-8"+id[45:48]+"-"+id[48:60]
		ev.ID, ev.InstanceOwnerID = ID(instance, 2), fmt.Sprint(5_000_000_000+n*7919)
		ev.InstanceLink = "https://platform.altinn.no/storage/instances/" + ev.InstanceOwnerID + "/" + instance
		ev.DataLinks = []DataLink{{FormID: "default", DataLink: ev.InstanceLink + "/data/" + element}}
		doc, err := Encode(ev)
		if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, doc)
	}
	for count, limit := range map[int]int{1: 130, 10: 80, 100: 70} {
		packed, err := Pack(docs[:count]...)
		if perEvent := len(packed) / count; err != nil || perEvent > limit {
			t.Errorf("%d events: %d bytes each, %v; want at most %d", count, perEvent, err, limit)
		}
	}
}

func TestUnpackRejectsDamagedEvents(t *testing.T) {
	packed, err := Pack(packedSample(t)...)
	if err != nil {
		t.Fatal(err)
	}
	for n := range packed {
		if _, err := Unpack(packed[:n]); err == nil {
			t.Errorf("accepted %d of %d bytes", n, len(packed))
		} else if strings.Contains(err.Error(), guid) {
			t.Errorf("the error repeats the content: %v", err)
		}
	}
}
