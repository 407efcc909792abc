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

// scopeOf returns the scope of the cursors of a query.
func scopeOf(scope string, values url.Values) string {
	q := Query{Scope: scope, Values: values}
	return q.scope()
}

func TestCursorRoundTrip(t *testing.T) {
	form := regexp.MustCompile(`^[A-Za-z0-9_-]{48}$`)
	rapid.Check(t, func(t *rapid.T) {
		moment := func(name string) time.Time {
			return time.UnixMicro(rapid.Int64Range(1, latest.UnixMicro()).Draw(t, name)).UTC()
		}
		want := position{key: uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id")).String()}
		orderedByChange := rapid.Bool().Draw(t, "ordered by change")
		if orderedByChange {
			want.key = ChangedKey(moment("changed"), want.key)
		}
		if rapid.Bool().Draw(t, "unsettled") {
			want.unsettledSince = moment("unsettled since")
		}
		values := url.Values{"label": {"gr", "x2"}}
		cursor, err := encodeCursor(scopeOf("", values), want)
		if err != nil || !form.MatchString(cursor) || url.QueryEscape(cursor) != cursor {
			t.Fatalf("%q, %v", cursor, err)
		}
		got, err := decodeCursor(scopeOf("", values), cursor, orderedByChange)
		if err != nil || got.key != want.key || !got.unsettledSince.Equal(want.unsettledSince) {
			t.Fatalf("got %v, %v, want %v", got, err, want)
		}
		if _, err := decodeCursor(scopeOf("", values), cursor, !orderedByChange); !fault.Is(err, fault.Invalid) {
			t.Fatalf("in the other order: %v", err)
		}
	})
}

func newCursor(t *testing.T, values url.Values) string {
	t.Helper()
	key := ChangedKey(time.Date(2026, 11, 23, 12, 0, 0, 123_456_000, time.UTC), "0193511e-4a4c-7d5f-8a55-3f2f5a1f6f0e")
	cursor, err := encodeCursor(scopeOf("", values), position{key: key})
	if err != nil {
		t.Fatal(err)
	}
	return cursor
}

// TestChangedCursors replaces each character of a cursor by every other byte. All must be rejected.
func TestChangedCursors(t *testing.T) {
	values := url.Values{"appId": {"nav/app2018"}}
	cursor := newCursor(t, values)
	for n := range len(cursor) {
		for c := range 256 {
			changed := cursor[:n] + string([]byte{byte(c)}) + cursor[n+1:]
			if changed == cursor {
				continue
			}
			_, err := decodeCursor(scopeOf("", values), changed, true)
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), `"page"`) || strings.Contains(err.Error(), changed) {
				t.Errorf("%s: %v", changed, err)
			}
		}
	}
	if _, err := decodeCursor(scopeOf("another", values), cursor, true); !fault.Is(err, fault.Invalid) {
		t.Errorf("a cursor of another caller: %v, want Invalid", err)
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
		if _, err := decodeCursor(scopeOf("", values), page, true); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v, want Invalid", page, err)
		}
	}
	negative, err := encodeCursor(scopeOf("", values), position{key: ChangedKey(time.Unix(-1, 0), uuid.New().String())})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := decodeCursor(scopeOf("", values), negative, true); err == nil {
		t.Error("a position before 1970 is accepted")
	}
}

func TestCursorIsBoundToItsFilter(t *testing.T) {
	made := url.Values{"appId": {"nav/app2018"}, "label": {"gr", "x2"}, "order": {"desc"}, "size": {"10"}}
	cursor := newCursor(t, made)
	clone := func(change func(url.Values)) url.Values {
		values, _ := url.ParseQuery(made.Encode())
		change(values)
		return values
	}
	for name, values := range map[string]url.Values{
		"another size":  clone(func(v url.Values) { v.Set("size", "500") }),
		"without size":  clone(func(v url.Values) { v.Del("size") }),
		"with the page": clone(func(v url.Values) { v.Set("page", cursor) }),
	} {
		if _, err := decodeCursor(scopeOf("", values), cursor, true); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, values := range map[string]url.Values{
		"no parameters":   {},
		"another app":     clone(func(v url.Values) { v.Set("appId", "nav/app2019") }),
		"one more label":  clone(func(v url.Values) { v.Add("label", "gr") }),
		"one less label":  clone(func(v url.Values) { v["label"] = v["label"][:1] }),
		"labels by comma": clone(func(v url.Values) { v.Set("label", "gr,x2") }),
		"another order":   clone(func(v url.Values) { v.Set("order", "asc") }),
		"without order":   clone(func(v url.Values) { v.Del("order") }),
		"one more filter": clone(func(v url.Values) { v.Set("org", "nav") }),
		"names swapped":   clone(func(v url.Values) { v["org"], v["appId"] = v["appId"], nil }),
	} {
		if _, err := decodeCursor(scopeOf("", values), cursor, true); !fault.Is(err, fault.Invalid) {
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
		if !(ChangedKey(at1, "") < ChangedKey(at1, id1) && ChangedKey(at1, id1) < ChangedKey(at1, afterIDs)) {
			t.Fatal("the bounds of a microsecond do not include its instances")
		}
	})
}

func TestFirstIDAt(t *testing.T) {
	before := time.Now()
	id := uuid.NewV7().String()
	if first := firstIDAt(before); first > id {
		t.Errorf("%s was created after %s and sorts before it", id, first)
	}
	if first := firstIDAt(before.Add(time.Second)); first <= id {
		t.Errorf("%s was created before %s and sorts after it", id, first)
	}
}
