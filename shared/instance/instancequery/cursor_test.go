package instancequery

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
	"uuid"

	"pgregory.net/rapid"

	"altinn.no/instanceapi/shared/fault"
)

func TestCursorRoundTrip(t *testing.T) {
	form := regexp.MustCompile(`^[A-Za-z0-9_-]{50}$`)
	rapid.Check(t, func(t *rapid.T) {
		moment := func(name string) time.Time {
			return time.UnixMicro(rapid.Int64Range(1, latest.UnixMicro()).Draw(t, name)).UTC()
		}
		want := position{key: uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id")).String()}
		orderedByChange := rapid.Bool().Draw(t, "timed")
		if orderedByChange {
			want.key = ChangedKey(moment("changed"), want.key)
		}
		if rapid.Bool().Draw(t, "marked") {
			want.unsettledSince = moment("mark")
		}
		values := url.Values{"label": {"gr", "x2"}}
		cursor, err := encodeCursor(want, scope("", values))
		if err != nil || !form.MatchString(cursor) || url.QueryEscape(cursor) != cursor {
			t.Fatalf("%q, %v", cursor, err)
		}
		got, err := decodeCursor(cursor, scope("", values), orderedByChange)
		if err != nil || got.key != want.key || !got.unsettledSince.Equal(want.unsettledSince) {
			t.Fatalf("got %v, %v, want %v", got, err, want)
		}
		if _, err := decodeCursor(cursor, scope("", values), !orderedByChange); !fault.Is(err, fault.Invalid) {
			t.Fatalf("in the other order: %v", err)
		}
	})
}

func newCursor(t *testing.T, values url.Values) string {
	t.Helper()
	key := ChangedKey(time.Date(2026, 11, 23, 12, 0, 0, 123_456_000, time.UTC), "0193511e-4a4c-7d5f-8a55-3f2f5a1f6f0e")
	cursor, err := encodeCursor(position{key: key}, scope("", values))
	if err != nil {
		t.Fatal(err)
	}
	return cursor
}

// TestChangedCursors changes a cursor at every place to every other byte: every change is refused.
func TestChangedCursors(t *testing.T) {
	values := url.Values{"appId": {"nav/app2018"}}
	cursor := newCursor(t, values)
	for n := range len(cursor) {
		for c := range 256 {
			changed := cursor[:n] + string([]byte{byte(c)}) + cursor[n+1:]
			if changed == cursor {
				continue
			}
			_, err := decodeCursor(changed, scope("", values), true)
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), `"page"`) || strings.Contains(err.Error(), changed) {
				t.Errorf("%s: %v", changed, err)
			}
		}
	}
	if _, err := decodeCursor(cursor, scope("another", values), true); !fault.Is(err, fault.Invalid) {
		t.Errorf("another caller's: %v, want Invalid", err)
	}
}

func TestDamagedCursors(t *testing.T) {
	values := url.Values{}
	cursor := newCursor(t, values)
	damaged := []string{
		cursor + "A", cursor + "=", cursor + cursor, "A" + cursor, cursor + "\n", cursor[:10] + "\r\n" + cursor[10:], " " + cursor,
		strings.ToLower(cursor), strings.ReplaceAll(cursor, "A", "%41"), strings.Repeat("A", len(cursor)), strings.Repeat("_", len(cursor)),
		"first", "next", "-1", "1.0", "0x1", strings.Repeat("9", 40), strings.Repeat("x", 5000), "\x00", "æ",
	}
	for n := 1; n < len(cursor); n++ {
		damaged = append(damaged, cursor[:n], cursor[n:])
	}
	for _, page := range damaged {
		if _, err := decodeCursor(page, scope("", values), true); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v, want Invalid", page, err)
		}
	}
	negative, err := encodeCursor(position{key: ChangedKey(time.Unix(-1, 0), uuid.New().String())}, scope("", values))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := decodeCursor(negative, scope("", values), true); err == nil {
		t.Error("a position before 1970 is taken")
	}
}

func TestCursorBelongsToItsFilter(t *testing.T) {
	made := url.Values{"appId": {"nav/app2018"}, "label": {"gr", "x2"}, "order": {"desc"}, "size": {"10"}}
	cursor := newCursor(t, made)
	clone := func(change func(url.Values)) url.Values {
		values, _ := url.ParseQuery(made.Encode())
		change(values)
		return values
	}
	for name, values := range map[string]url.Values{
		"size changed":  clone(func(v url.Values) { v.Set("size", "500") }),
		"size left out": clone(func(v url.Values) { v.Del("size") }),
		"with the page": clone(func(v url.Values) { v.Set("page", cursor) }),
	} {
		if _, err := decodeCursor(cursor, scope("", values), true); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, values := range map[string]url.Values{
		"nothing":         {},
		"another app":     clone(func(v url.Values) { v.Set("appId", "nav/app2019") }),
		"a label more":    clone(func(v url.Values) { v.Add("label", "gr") }),
		"a label less":    clone(func(v url.Values) { v["label"] = v["label"][:1] }),
		"labels joined":   clone(func(v url.Values) { v.Set("label", "gr,x2") }),
		"another order":   clone(func(v url.Values) { v.Set("order", "asc") }),
		"order left out":  clone(func(v url.Values) { v.Del("order") }),
		"a filter more":   clone(func(v url.Values) { v.Set("org", "nav") }),
		"names exchanged": clone(func(v url.Values) { v["org"], v["appId"] = v["appId"], nil }),
	} {
		if _, err := decodeCursor(cursor, scope("", values), true); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v, want Invalid", name, err)
		}
	}
}

func TestChangedKeysSortByTimeThenID(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) (time.Time, string) {
			base := rapid.SampledFrom([]int64{0, 1_000_000, 1_795_000_000_000_000, latest.UnixMicro() - 5}).Draw(t, name)
			at := time.UnixMicro(base + rapid.Int64Range(0, 5).Draw(t, name)).In(time.FixedZone("", 3600))
			return at, uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, name)).String()
		}
		at1, id1 := draw("a")
		at2, id2 := draw("b")
		want := at1.Compare(at2)
		if want == 0 {
			want = strings.Compare(id1, id2)
		}
		if got := strings.Compare(ChangedKey(at1, id1), ChangedKey(at2, id2)); got != want {
			t.Fatalf("%s and %s: %d, want %d", ChangedKey(at1, id1), ChangedKey(at2, id2), got, want)
		}
		if !(ChangedKey(at1, "") < ChangedKey(at1, id1) && ChangedKey(at1, id1) < ChangedKey(at1, lastKey)) {
			t.Fatal("the ends of a microsecond do not include its instances")
		}
	})
}

func TestFloorOfCreation(t *testing.T) {
	before := time.Now()
	id := uuid.NewV7().String()
	if floor := floorID(before); floor > id {
		t.Errorf("%s was made after %s and sorts before it", id, floor)
	}
	if floor := floorID(before.Add(time.Second)); floor <= id {
		t.Errorf("%s was made before %s", id, floor)
	}
}
