package eventtest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"uuid"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/eventtable"
)

func testEmpty(s *suite) {
	if records := s.feed(s.app); records == nil || len(records) != 0 {
		s.Errorf("records %#v", records)
	}
	if at, err := s.PositionOfTime(s.Context(), s.app, s.Now()); at != (event.Position{}) || err != nil {
		s.Errorf("position of time %d, %v", at, err)
	}
	if at, err := s.End(s.Context(), s.app); at != (event.Position{}) || err != nil {
		s.Errorf("the end is %d, %v", at, err)
	}
	s.reaches(0)
	for _, id := range []string{uuid.New().String() + ".1", "112453234523423344", ""} {
		if _, found, err := s.PositionOfID(s.Context(), s.app, id); found || err != nil {
			s.Errorf("position of %q: %v, %v", id, found, err)
		}
	}
	if results := s.Append(s.Context(), nil); len(results) != 0 {
		s.Errorf("results of an empty batch: %v", results)
	}
}

func testAppend(s *suite) {
	docs := s.insert(s.app, uuid.New().String(), 1, 3)
	s.append("r", docs[0])
	s.append("rr", docs[1:]...)
	if at, err := s.End(s.Context(), s.app); at != (event.Position{Seq: 3}) || err != nil {
		s.Errorf("the end is %d, %v", at, err)
	}
	s.expect(s.app, docs...)
	s.reaches(3)
	all := s.feed(s.app)
	for n, doc := range docs {
		at, found, err := s.PositionOfID(s.Context(), s.app, doc.Event.ID)
		if at.Seq != int64(n)+1 || !found || err != nil {
			s.Errorf("position of %s: %v, %v, %v", doc.Event.ID, at, found, err)
		}
		// Both positions after the event lead to the next one.
		for _, after := range []event.Position{at, all[n].Position} {
			records, err := s.Read(s.Context(), s.app, after, 2)
			if want := min(2, 2-n); err != nil || len(records) != want || want > 0 && records[0].Seq != at.Seq+1 {
				s.Errorf("after %v: %v, %v", after, records, err)
			}
		}
	}
	if records, err := s.Read(s.Context(), s.app, event.Position{Seq: 99}, 2); err != nil || len(records) != 0 {
		s.Errorf("after the end: %v, %v", records, err)
	}
}

// reaches checks that the feed ends at a position.
func (s *suite) reaches(end int64) {
	s.Helper()
	for seq, want := range map[int64]bool{0: true, end: true, end + 1: false, end + 1000: false} {
		if got, err := s.Reaches(s.Context(), s.app, seq); got != want || err != nil {
			s.Errorf("reaches %d: %v, %v", seq, got, err)
		}
	}
}

func testDuplicate(s *suite) {
	docs := s.insert(s.app, uuid.New().String(), 1, 2)
	s.append("rrrr", docs[0], docs[1], docs[0], docs[1])
	s.append("d", docs[1])
	s.append("dd", docs[1], docs[0])
	s.expect(s.app, docs...)
	// One of the tables was restored from a backup.
	if err := s.Put(s.Context(), docs[0]); err != nil {
		s.Fatal(err)
	}
	s.append("d", docs[0])
	s.expect(s.app, docs...)
}

func testOutOfOrder(s *suite) {
	docs := s.insert(s.app, uuid.New().String(), 1, 4)
	s.append("o", docs[1])
	s.append("ooo", docs[3], docs[1], docs[2])
	s.expect(s.app)
	if waiting := s.waiting(); !slices.Contains(waiting, docs[1].Event.ID) {
		s.Fatal("an out-of-order event left the outbox")
	}
	s.append("or", docs[2], docs[0]) // event 2 is missing
	s.append("rrr", docs[3], docs[2], docs[1])
	s.expect(s.app, docs...)
}

func testMixed(s *suite) {
	one, two, three := uuid.New().String(), uuid.New().String(), uuid.New().String()
	a, b, c := s.insert(s.app, one, 1, 4), s.insert(s.app, two, 1, 3), s.insert(s.app, three, 1, 1)
	s.append("rr", a[0], a[1])
	s.append("drooodrr", a[0], a[2], b[2], b[1], b[2], a[1], a[3], c[0])
	s.append("rdrr", b[1], a[3], b[0], b[2])
	if records := s.feed(s.app); len(records) != 8 {
		s.Errorf("%d events in the feed, want 8", len(records))
	}
	checkOrder(s, s.feed(s.app))
}

func testApplications(s *suite) {
	other := "skd/" + strings.TrimPrefix(s.app, "nav/")
	guid := uuid.New().String()
	ours, theirs := s.insert(s.app, guid, 1, 2), s.insert(other, uuid.New().String(), 1, 1)
	s.append("rrr", ours[0], theirs[0], ours[1])
	s.expect(s.app, ours...)
	s.expect(other, theirs...)
	if _, found, err := s.PositionOfID(s.Context(), other, ours[0].Event.ID); found || err != nil {
		s.Errorf("position of another application's event: %v, %v", found, err)
	}
}

// testMany appends more events than one slot has, and reads pages that end inside of a slot.
func testMany(s *suite) {
	const instances, each = 160, 7
	var docs []event.Encoded
	for range instances {
		guid := uuid.New().String()
		for number := 1; number <= each; number++ {
			docs = append(docs, Document(s.app, guid, number, s.Now().Add(time.Duration(number)*time.Millisecond), "Submit"))
		}
	}
	s.append(strings.Repeat("r", len(docs)), shuffled(docs)...)
	s.append(strings.Repeat("d", len(docs)), shuffled(docs)...)
	records := s.feed(s.app)
	if len(records) != len(docs) {
		s.Fatalf("%d events in the feed, want %d", len(records), len(docs))
	}
	checkOrder(s, records)
	for _, size := range []int{333, 500, 501} {
		var after event.Position
		for after.Seq < int64(len(docs)) {
			page, err := s.Read(s.Context(), s.app, after, size)
			if want := min(size, len(docs)-int(after.Seq)); err != nil || len(page) != want {
				s.Fatalf("pages of %d, after %v: %d events, %v", size, after, len(page), err)
			}
			for n, record := range page {
				if want := records[int(after.Seq)+n]; record.Position != want.Position || record.Document.Event.ID != want.Document.Event.ID {
					s.Fatalf("pages of %d: position %v has event %s, want %v", size, record.Position, record.Document.Event.ID, want.Position)
				}
			}
			after = page[len(page)-1].Position
		}
	}
	s.reaches(int64(len(docs)))
}

// testLarge appends events that do not fit into one slot or one page of a query together.
func testLarge(s *suite) {
	guid, random := uuid.New().String(), rand.NewChaCha8([32]byte{})
	var docs []event.Encoded
	for number := range 24 {
		doc := Document(s.app, guid, number+1, s.Now(), "Submit")
		noise := make([]byte, 67_000) // deflate cannot shorten it
		_, _ = random.Read(noise)
		link := event.DataLink{FormID: "attachment", DataLink: base64.StdEncoding.EncodeToString(noise)}
		doc.Event.DataLinks = append(doc.Event.DataLinks, link)
		doc, err := event.Encode(doc.Event)
		if err != nil {
			s.Fatal(err)
		}
		docs = append(docs, doc)
	}
	s.append(strings.Repeat("r", 24), docs...)
	s.append(strings.Repeat("d", 24), docs...)
	for limit, want := range map[int]int{3: 3, 20: 20, 100: 24} {
		if records, err := s.Read(s.Context(), s.app, event.Position{}, limit); err != nil || len(records) != want {
			s.Errorf("limit %d: %d records, %v; want %d", limit, len(records), err, want)
		}
	}
	s.expect(s.app, docs...)
	if history, err := s.History(s.Context(), guid, 0, 100, 1<<30); err != nil || len(history) != 24 {
		s.Errorf("%d events in the history, %v", len(history), err)
	}
}

func testClock(s *suite) {
	docs := s.insert(s.app, uuid.New().String(), 1, 4)
	for n, move := range []time.Duration{0, -time.Hour, time.Second, 2 * time.Hour} {
		s.Move(move)
		s.append("r", docs[n])
	}
	records := s.feed(s.app)
	for n, want := range []time.Time{start, start, start, start.Add(time.Hour + time.Second)} {
		if !records[n].RecordedAt.Equal(want) {
			s.Errorf("position %d recorded at %v, want %v", n+1, records[n].RecordedAt, want)
		}
	}
}

func testPositionOfTime(s *suite) {
	for n := range 40 {
		s.Move(time.Duration(n%7) * 11 * time.Second)
		doc := Document(s.app, uuid.New().String(), 1, s.Now().Add(30*time.Second), "Submit") // from a clock that is ahead
		if n%5 == 0 {
			doc = Document(s.app, uuid.New().String(), 1, s.Now().Add(-time.Hour), "Submit") // recorded late
		}
		s.append("r", doc)
	}
	records := s.feed(s.app)
	for after := start.Add(-2 * time.Hour); after.Before(s.Now().Add(time.Hour)); after = after.Add(47 * time.Second) {
		at, err := s.PositionOfTime(s.Context(), s.app, after)
		if err != nil {
			s.Fatal(err)
		}
		for _, record := range records {
			if record.Seq <= at.Seq && record.Document.Event.At.After(after) {
				s.Errorf("after %v: position %d passes event %d of %v", after, at.Seq, record.Seq, record.Document.Event.At)
			}
			if record.Seq == at.Seq+1 && !record.RecordedAt.After(after.Add(-event.ClockSkew)) {
				s.Errorf("after %v: position %d is lower than necessary", after, at.Seq)
			}
		}
	}
}

// testHistory interleaves the events of two instances in one feed and leaves one event in the
// outbox.
func testHistory(s *suite) {
	one, two := uuid.New().String(), uuid.New().String()
	a, b := s.insert(s.app, one, 1, 130), s.insert(s.app, two, 1, 3)
	s.append("rrr", a[0], b[0], b[1])
	s.append(strings.Repeat("r", 128), shuffled(a[1:129])...)
	const all = 1 << 30      // bytes
	size := len(a[120].JSON) // of each event from 100 on
	for _, test := range []struct{ after, limit, maxBytes, want int }{
		{0, 1000, all, 129}, {0, 1, all, 1}, {0, 101, all, 101}, {28, 1000, all, 101}, {128, 10, all, 1}, {129, 10, all, 0}, {500, 10, all, 0},
		{100, 1000, 3 * size, 3}, {100, 1000, 3*size + 1, 4}, {100, 3, 4 * size, 3}, {0, 1000, 1, 1},
	} {
		docs, err := s.History(s.Context(), one, test.after, test.limit, test.maxBytes)
		if err != nil || docs == nil || len(docs) != test.want {
			s.Errorf("after %d, limit %d, at most %d bytes: %d events, %v; want %d", test.after, test.limit, test.maxBytes, len(docs), err, test.want)
		}
		for n, doc := range docs {
			if doc.Event.ID != a[test.after+n].Event.ID || string(doc.JSON) != string(a[test.after+n].JSON) {
				s.Fatalf("after %d, limit %d: event %d is %s", test.after, test.limit, n, doc.Event.ID)
			}
		}
	}
	for guid, want := range map[string][]event.Encoded{one: a[129:], two: b[2:], uuid.New().String(): nil} {
		docs, err := s.ForInstance(s.Context(), guid, 0, all)
		if err != nil || docs == nil || len(docs) != len(want) || len(want) > 0 && docs[0].Event.ID != want[0].Event.ID {
			s.Errorf("in the outbox: %v, %v; want %v", docs, err, want)
		}
	}
	pending := s.insert(s.app, one, 131, 135) // with the one before, six
	for _, test := range []struct{ after, maxBytes, want int }{
		{0, all, 6}, {129, all, 6}, {130, all, 5}, {135, all, 0}, {130, 3 * size, 3}, {132, 2*size + 1, 3}, {0, 1, 1},
	} {
		docs, err := s.ForInstance(s.Context(), one, test.after, test.maxBytes)
		if err != nil || docs == nil || len(docs) != test.want {
			s.Errorf("in the outbox after %d, at most %d bytes: %d events, %v; want %d", test.after, test.maxBytes, len(docs), err, test.want)
		}
	}
	s.append("rrrrrrr", append([]event.Encoded{a[129], b[2]}, pending...)...)
	if docs, err := s.History(s.Context(), uuid.New().String(), 0, 10, all); err != nil || docs == nil || len(docs) != 0 {
		s.Errorf("history of an unknown instance: %v, %v", docs, err)
	}
	s.reaches(138)
}

// testSubject finds the first events of two instances, of which one gets into the feed. The later
// events of an instance do not matter.
func testSubject(s *suite) {
	recorded, pending := uuid.New().String(), uuid.New().String()
	docs, others := s.insert(s.app, recorded, 1, 3), s.insert(s.app, pending, 1, 2)
	first := func(guid string, want bool) {
		s.Helper()
		doc, found, err := s.First(s.Context(), guid)
		if err != nil || found != want || found && (doc.Event.ID != event.ID(guid, 1) || doc.Event.InstanceOwnerID != docs[0].Event.InstanceOwnerID) {
			s.Errorf("First = %+v, %v, %v; want %v", doc.Event, found, err, want)
		}
	}
	subject := func(guid string, want bool) {
		s.Helper()
		got, found, err := s.SubjectOf(s.Context(), guid)
		if err != nil || found != want || found && got != (event.Subject{AppID: s.app, InstanceOwnerID: docs[0].Event.InstanceOwnerID}) {
			s.Errorf("SubjectOf = %+v, %v, %v; want %v", got, found, err, want)
		}
	}
	for _, guid := range []string{recorded, pending} {
		first(guid, true)
		subject(guid, false)
	}
	s.append("ro", docs[0], others[1])
	for _, later := range docs[1:] {
		first(recorded, false)
		subject(recorded, true)
		first(pending, true)
		subject(pending, false)
		s.append("r", later)
	}
	first(uuid.New().String(), false)
	subject(uuid.New().String(), false)
}

// testConcurrent passes all events to several recorders, each in another order, and repeats the
// out-of-order events, while a reader follows the feed.
func testConcurrent(s *suite) {
	var docs []event.Encoded
	for range 8 {
		docs = append(docs, s.insert(s.app, uuid.New().String(), 1, 5)...)
	}
	var recorded atomic.Int64
	var recorders sync.WaitGroup
	for range 4 {
		recorders.Go(func() {
			for left := shuffled(docs); len(left) > 0; left = shuffled(left) {
				batch := left[:min(10, len(left))]
				rest := slices.Clone(left[len(batch):])
				for n, result := range s.Append(s.Context(), batch) {
					switch result.Outcome {
					case event.Recorded:
						recorded.Add(1)
					case event.OutOfOrder:
						rest = append(rest, batch[n])
					case event.Failed:
						s.Errorf("%v", result.Err)
						return
					}
				}
				left = rest
			}
		})
	}
	done := make(chan struct{})
	go func() { recorders.Wait(); close(done) }()
	var followed []event.Record
	for last := false; !last; {
		select {
		case <-done:
			last = true
		default:
		}
		var after event.Position
		if len(followed) > 0 {
			after = followed[len(followed)-1].Position
		}
		records, err := s.Read(s.Context(), s.app, after, 1000)
		if err != nil {
			s.Error(err)
			<-done
			return
		}
		followed = append(followed, records...)
	}
	if len(followed) != len(docs) || recorded.Load() != int64(len(docs)) {
		s.Fatalf("%d followed, %d recorded, want %d", len(followed), recorded.Load(), len(docs))
	}
	checkOrder(s, followed)
}

// testCounts counts instances over some days, with late events, a clock that is ahead and one that
// steps back, deletions of all kinds, and several feeds. Each delivery counts once, however often
// it is repeated.
func testCounts(s *suite) {
	check := func(first, want string) {
		s.Helper()
		counts, at, err := s.Counts(s.Context(), s.app, first)
		got, _ := json.Marshal(counts)
		if err != nil || string(got) != want {
			s.Errorf("counts from %q: %s, %v\nwant %s", first, got, err, want)
		}
		if records := s.feed(s.app); len(records) > 0 && !at.Equal(records[len(records)-1].RecordedAt) || len(records) == 0 && !at.IsZero() {
			s.Errorf("the counts are of %v", at)
		}
	}
	doc := func(guid string, number int, at time.Duration, eventType, from, step string) event.Encoded {
		ev := Document(s.app, guid, number, start.Add(at), step).Event
		ev.EventType, ev.PreviousStep = eventType, from
		if eventType == event.InstanceDeleted {
			hard := from == "hard"
			ev.Hard, ev.PreviousStep = &hard, ""
		}
		doc, err := event.Encode(ev)
		if err != nil {
			s.Fatal(err)
		}
		return doc
	}
	const step, day = event.WorkflowStateChange, 24 * time.Hour
	a, b, c := uuid.New().String(), uuid.New().String(), uuid.New().String()
	check("2000-01-01", `{"steps":null,"days":null}`)
	first := []event.Encoded{doc(a, 1, 0, step, "", "Form"), doc(b, 1, 0, step, "", "Form"), doc(a, 2, 0, step, "Form", "Submit")}
	s.append("rrr", first...)
	s.append("ddd", first...)
	s.append("r", Document("skd/"+s.app[4:], uuid.New().String(), 1, start, "Form"))
	const firstDay = `{"day":"2019-06-01","created":2,"steps":{"Form":2,"Submit":1}}`
	check("2000-01-01", `{"steps":{"Form":1,"Submit":1},"days":[`+firstDay+`]}`)
	s.append("o", doc(c, 2, 0, step, "Form", "Submit"))
	// Before midnight by a clock that is ahead, and of the day before, recorded after midnight.
	s.Move(12*time.Hour - time.Second)
	s.append("r", doc(c, 1, 12*time.Hour+time.Second, step, "", "Form"))
	s.Move(time.Minute)
	s.append("rr", doc(c, 2, 12*time.Hour-time.Second, step, "Form", "Submit"), doc(b, 2, 13*time.Hour, event.InstanceDeleted, "soft", "Form"))
	const firstDays = `{"day":"2019-06-01","created":3,"steps":{"Form":3,"Submit":2}}`
	check("2000-01-01", `{"steps":{"Form":1,"Submit":2},"days":[`+firstDays+`]}`)
	s.Move(-time.Hour) // record times never decrease
	s.append("r", doc(b, 3, 13*time.Hour, event.DataChanged, "", "Form"))
	// Two days later, too late for its own day; permanent deletions.
	s.Move(2 * day)
	late := []event.Encoded{doc(b, 4, 13*time.Hour, event.InternalDeletion, "", "Form"), doc(a, 3, 0, event.InstanceDeleted, "hard", "Submit"), doc(c, 3, 0, step, "Submit", "Archived")}
	s.append("rrr", late...)
	check("2000-01-01", `{"steps":{"Archived":1},"days":[`+firstDays+`,{"day":"2019-06-02","created":0,"steps":{"Archived":1}}]}`)
	// Every day gets its item, however long the pauses are.
	want := firstDays + `,{"day":"2019-06-02","created":0,"steps":{"Archived":1}}`
	for n, pause := range []int{1, 1, 2, 3, 40} {
		s.Move(time.Duration(pause) * day)
		for range 2 {
			s.append("r", Document(s.app, uuid.New().String(), 1, s.Now(), "Form"))
		}
		s.append("dd", late[0], late[1])
		want += `,{"day":"` + event.DayOf(s.Now()) + `","created":2,"steps":{"Form":2}}`
		check("2000-01-01", fmt.Sprintf(`{"steps":{"Archived":1,"Form":%d},"days":[%s]}`, 2*n+2, want))
	}
	check(event.DayOf(s.Now()), `{"steps":{"Archived":1,"Form":10},"days":[`+want[strings.LastIndex(want, `{"day"`):]+`]}`)
	check(event.DayOf(s.Now().Add(day)), `{"steps":{"Archived":1,"Form":10},"days":null}`)
}

func testScan(s *suite) {
	// No other test has events of this time.
	old := time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)
	guids := []string{uuid.New().String(), uuid.New().String(), uuid.New().String()}
	var docs []event.Encoded
	for n, guid := range guids {
		for number := 1; number <= 2; number++ {
			docs = append(docs, Document(s.app, guid, number, old.Add(time.Duration(number*10+n)*time.Second), "Submit"))
		}
	}
	for _, doc := range shuffled(docs) {
		if err := s.Put(s.Context(), doc); err != nil {
			s.Fatal(err)
		}
	}
	for before, want := range map[time.Duration]int{10 * time.Second: 0, 11 * time.Second: 1, 21 * time.Second: 4, time.Hour: 6} {
		found, unreadable := s.scan(old.Add(before))
		ids := map[string]bool{}
		for _, doc := range found {
			ids[doc.Event.ID] = true
		}
		if len(found) != want || len(ids) != want || len(unreadable) != 0 {
			s.Errorf("before %v: %d events, %d different, %d unreadable; want %d", before, len(found), len(ids), len(unreadable), want)
		}
	}
	pending := func(want int) {
		s.Helper()
		if got, err := s.Pending(s.Context(), docs); got != want || err != nil {
			s.Errorf("%d events are pending, %v; want %d", got, err, want)
		}
	}
	pending(6)
	s.append("rr", docs[0], docs[1])
	pending(4)
	s.append("ddrrrr", docs...)
	pending(0)
	if found, _ := s.scan(old.Add(time.Hour)); len(found) != 0 {
		s.Errorf("%d events are in the outbox and in the feed", len(found))
	}
}

// testPlaces takes the places of two organisations. A place becomes free by Release, or without it
// when its time has passed. A late Release must not free the place of another request.
func testPlaces(s *suite) {
	const limit = 3
	org, other := "org-"+uuid.New().String(), "org-"+uuid.New().String()
	take := func(of string, limit int, want bool) *eventtable.Place {
		s.Helper()
		place, err := s.Take(s.Context(), of, limit, s.Now(), s.Now().Add(20*time.Second))
		if err != nil || (place != nil) != want {
			s.Fatalf("taken: %v, %v; want %v", place != nil, err, want)
		}
		return place
	}
	release := func(place *eventtable.Place) {
		s.Helper()
		if err := s.Release(s.Context(), org, place); err != nil {
			s.Fatal(err)
		}
	}
	places := []*eventtable.Place{take(org, limit, true), take(org, limit, true), take(org, limit, true)}
	take(org, limit, false)
	take(other, limit, true)
	release(places[1])
	release(places[1])
	take(org, limit, true)
	take(org, limit, false)
	take(org, limit+1, true) // the limit was raised
	take(org, limit-1, false)
	s.Move(30 * time.Second)
	for range limit {
		take(org, limit, true)
	}
	release(places[0])
	release(places[2])
	take(org, limit, false)
}

// testConcurrentPlaces takes places concurrently. Exactly as many requests as there are places must
// get one.
func testConcurrentPlaces(s *suite) {
	org := "org-" + uuid.New().String()
	for _, limit := range []int{1, 3, 5} {
		var taken atomic.Int64
		var all sync.WaitGroup
		for range 12 {
			all.Go(func() {
				place, err := s.Take(s.Context(), org, limit, s.Now(), s.Now().Add(20*time.Second))
				if err != nil {
					s.Error(err)
				}
				if place != nil {
					taken.Add(1)
				}
			})
		}
		all.Wait()
		if taken.Load() != int64(limit) {
			s.Errorf("%d requests took a place, want %d", taken.Load(), limit)
		}
		s.Move(time.Minute)
	}
}

// checkOrder checks that the feed has no duplicates and the events of each instance in order from
// 1.
func checkOrder(t interface {
	Helper()
	Fatalf(string, ...any)
}, records []event.Record) {
	t.Helper()
	last := map[string]int{}
	for _, record := range records {
		if doc := record.Document; doc.Number != last[doc.InstanceGuid]+1 {
			t.Fatalf("position %d is event %d of an instance after event %d", record.Seq, doc.Number, last[doc.InstanceGuid])
		}
		last[record.Document.InstanceGuid]++
	}
}
