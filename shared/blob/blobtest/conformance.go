package blobtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"uuid"

	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/blob/blobbucket"
)

// Store is the interface that the conformance suite tests.
type Store interface {
	Put(ctx context.Context, key blob.Key, contentType, tag string, body []byte) (blob.Info, error)
	Get(ctx context.Context, key blob.Key, rng *blob.Range) (blob.Object, error)
	Stat(ctx context.Context, key blob.Key) (blob.Info, error)
	List(ctx context.Context, prefix, after string, limit int) (names []string, more bool, err error)
	Delete(ctx context.Context, key blob.Key) error
	PresignPut(ctx context.Context, key blob.Key, contentType, tag string, info blob.Info) (blob.PresignedRequest, error)
	PresignGet(ctx context.Context, key blob.Key, contentDisposition string) (blob.PresignedRequest, error)
}

var (
	_ Store = (*blobbucket.Bucket)(nil)
	_ Store = (*Memory)(nil)
)

// Conformance tests the contract of a blob store. It calls open once per subtest. The returned
// stores may share their content, because every subtest uses new keys.
func Conformance(t *testing.T, open func(t *testing.T) Store) {
	for name, check := range map[string]func(*testing.T, Store){
		"RoundTrip":         roundTrip,
		"Ranges":            ranges,
		"Absent":            absent,
		"Immutable":         immutable,
		"OneWriterWins":     oneWriterWins,
		"Delete":            remove,
		"List":              list,
		"InvalidKey":        invalidKey,
		"BufferNotRetained": doesNotRetainBuffer,
		"Cancelled":         cancelled,
	} {
		t.Run(name, func(t *testing.T) { check(t, open(t)) })
	}
}

func newKey() blob.Key {
	return blob.NewKey("nav/app2018", "50001", uuid.New().String())
}

func mustPut(t *testing.T, s Store, key blob.Key, body []byte) blob.Info {
	t.Helper()
	info, err := s.Put(t.Context(), key, "application/octet-stream", "", body)
	if err != nil {
		t.Fatalf("Put: %v", err)
	}
	return info
}

func read(t *testing.T, s Store, key blob.Key, rng *blob.Range) ([]byte, error) {
	t.Helper()
	object, err := s.Get(t.Context(), key, rng)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(object.Body)
	if err := errors.Join(err, object.Body.Close()); err != nil {
		t.Fatalf("reading the body: %v", err)
	}
	if int64(len(body)) != object.Size {
		t.Errorf("Size = %d, but the body has %d bytes", object.Size, len(body))
	}
	return body, nil
}

func mustRead(t *testing.T, s Store, key blob.Key) []byte {
	t.Helper()
	body, err := read(t, s, key, nil)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	return body
}

func roundTrip(t *testing.T, s Store) {
	everyByte := make([]byte, 256)
	for i := range everyByte {
		everyByte[i] = byte(i)
	}
	for name, body := range map[string][]byte{
		"empty": {}, "one byte": {0}, "text": []byte("<melding>æøå</melding>\r\n"), "every byte": everyByte,
		"the inline limit": bytes.Repeat(everyByte, blob.InlineLimit/256),
	} {
		key := newKey()
		info := mustPut(t, s, key, body)
		sum := sha256.Sum256(body)
		if want := (blob.Info{Size: int64(len(body)), SHA256: hex.EncodeToString(sum[:])}); info != want {
			t.Errorf("%s: Put returned %+v, want %+v", name, info, want)
		}
		if stat, err := s.Stat(t.Context(), key); err != nil || stat != info {
			t.Errorf("%s: Stat returned %+v, %v; want %+v", name, stat, err, info)
		}
		if got := mustRead(t, s, key); !bytes.Equal(got, body) {
			t.Errorf("%s: Get returned other content: %d bytes, want %d", name, len(got), len(body))
		}
	}
}

func ranges(t *testing.T, s Store) {
	key := newKey()
	mustPut(t, s, key, []byte("0123456789"))
	for _, test := range []struct {
		rng  blob.Range
		want string
	}{
		{blob.Range{First: 0, Last: 0}, "0"},
		{blob.Range{First: 0, Last: 9}, "0123456789"},
		{blob.Range{First: 3, Last: 5}, "345"},
		{blob.Range{First: 9, Last: 9}, "9"},
		{blob.Range{First: 7, Last: 1000}, "789"},
	} {
		if got, err := read(t, s, key, &test.rng); err != nil || string(got) != test.want {
			t.Errorf("range %+v = %q, %v, want %q", test.rng, got, err, test.want)
		}
	}
	for _, rng := range []blob.Range{{First: 10, Last: 10}, {First: 1000, Last: 2000}} {
		if _, err := read(t, s, key, &rng); !errors.Is(err, blob.ErrRange) {
			t.Errorf("range %+v: error %v, want ErrRange", rng, err)
		}
	}
	for _, rng := range []blob.Range{{First: 5, Last: 4}, {First: -1, Last: 4}} {
		if _, err := read(t, s, key, &rng); err == nil {
			t.Errorf("range %+v was accepted", rng)
		}
	}
}

func absent(t *testing.T, s Store) {
	if _, err := read(t, s, newKey(), nil); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Get: error %v, want ErrNotFound", err)
	}
	if _, err := read(t, s, newKey(), &blob.Range{Last: 5}); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Get of a range: error %v, want ErrNotFound", err)
	}
	if _, err := s.Stat(t.Context(), newKey()); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Stat: error %v, want ErrNotFound", err)
	}
}

func immutable(t *testing.T, s Store) {
	key := newKey()
	first := mustPut(t, s, key, []byte("first"))
	for _, other := range []string{"other", "second, and longer", ""} {
		if _, err := s.Put(t.Context(), key, "text/plain", "", []byte(other)); !errors.Is(err, blob.ErrExists) {
			t.Errorf("Put of %q over other content: error %v, want ErrExists", other, err)
		}
	}
	if again := mustPut(t, s, key, []byte("first")); again != first {
		t.Errorf("Put of the same content again returned %+v, want %+v", again, first)
	}
	if got := mustRead(t, s, key); string(got) != "first" {
		t.Errorf("the content changed to %q", got)
	}
}

func oneWriterWins(t *testing.T, s Store) {
	const writers = 16
	key := newKey()
	var wg sync.WaitGroup
	errs := make([]error, writers)
	for n := range writers {
		wg.Go(func() {
			_, errs[n] = s.Put(t.Context(), key, "text/plain", "", fmt.Appendf(nil, "writer %2d", n))
		})
	}
	wg.Wait()
	winner := -1
	for n, err := range errs {
		switch {
		case err == nil && winner >= 0:
			t.Errorf("writers %d and %d both succeeded", winner, n)
		case err == nil:
			winner = n
		case !errors.Is(err, blob.ErrExists):
			t.Errorf("writer %d: error %v, want ErrExists", n, err)
		}
	}
	if want := fmt.Sprintf("writer %2d", winner); winner < 0 || string(mustRead(t, s, key)) != want {
		t.Errorf("the content is %q, want %q", mustRead(t, s, key), want)
	}
}

func remove(t *testing.T, s Store) {
	instanceGuid := uuid.New().String()
	deleted, kept := blob.NewKey("nav/app2018", "50001", instanceGuid), blob.NewKey("nav/app2018", "50001", instanceGuid)
	mustPut(t, s, deleted, []byte("old"))
	mustPut(t, s, kept, []byte("new"))
	for _, call := range []string{"Delete", "Delete again"} {
		if err := s.Delete(t.Context(), deleted); err != nil {
			t.Errorf("%s: %v", call, err)
		}
		if _, err := read(t, s, deleted, nil); !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("Get after %s: error %v, want ErrNotFound", call, err)
		}
	}
	if err := s.Delete(t.Context(), newKey()); err != nil {
		t.Errorf("Delete of a missing key: %v", err)
	}
	if got := mustRead(t, s, kept); string(got) != "new" {
		t.Errorf("another revision of the element is now %q", got)
	}
}

// list checks the names of one day and shard that no other test uses.
func list(t *testing.T, s Store) {
	guid := uuid.New().String()
	var want []string
	for _, revision := range []string{"0a0a0a0a-0000-7000-8000-00000000000b", "0a0a0a0a-0000-7000-8000-00000000001b", "0a0a0a0a-0000-7000-8000-00000000002b"} {
		key := blob.KeyOf("nav/app2018", "50001", guid, revision)
		mustPut(t, s, key, []byte("x"))
		want = append(want, key.String())
	}
	other := blob.KeyOf("nav/app2018", "50001", guid, "0a0a0a0a-0000-7000-8000-00000000002c")
	mustPut(t, s, other, []byte("x"))
	prefix := want[0][:len(want[0])-len("0a0a0a0a-0000-7000-8000-00000000000b")]
	for _, test := range []struct {
		after string
		limit int
		want  []string
		more  bool
	}{
		{"", 10, want, false}, {prefix, 3, want, false}, {"", 2, want[:2], true}, {want[0], 10, want[1:], false},
		{want[0] + "x", 1, want[1:2], true}, {want[2], 10, nil, false},
	} {
		if names, more, err := s.List(t.Context(), prefix, test.after, test.limit); err != nil || !slices.Equal(names, test.want) || more != test.more {
			t.Errorf("after %q: %v, %v, %v, want %v, %v", test.after, names, more, err, test.want, test.more)
		}
	}
	if err := s.Delete(t.Context(), other); err != nil {
		t.Fatal(err)
	}
}

func invalidKey(t *testing.T, s Store) {
	for _, key := range []blob.Key{
		{}, blob.NewKey("nav", "1", "guid"), blob.NewKey("nav/app/x", "1", "guid"), blob.NewKey("nav/app", "..", "guid"), blob.NewKey("nav/app", "", "guid"),
		blob.NewKey("nav/app", "1", ".."), blob.KeyOf("nav/app", "1", "guid", ""), blob.KeyOf("nav/app", "1", "guid", "a/b"),
	} {
		if _, err := s.Put(t.Context(), key, "text/plain", "", []byte("x")); err == nil {
			t.Errorf("Put accepted key %q", key)
		}
		if _, err := read(t, s, key, nil); err == nil || errors.Is(err, blob.ErrNotFound) {
			t.Errorf("Get of key %q: error %v, want another error", key, err)
		}
		if _, err := s.Stat(t.Context(), key); err == nil || errors.Is(err, blob.ErrNotFound) {
			t.Errorf("Stat of key %q: error %v, want another error", key, err)
		}
		if err := s.Delete(t.Context(), key); err == nil {
			t.Errorf("Delete accepted key %q", key)
		}
		if _, err := s.PresignPut(t.Context(), key, "text/plain", "", blob.Info{Size: 1, SHA256: strings.Repeat("0", 64)}); err == nil {
			t.Errorf("PresignPut accepted key %q", key)
		}
		if _, err := s.PresignGet(t.Context(), key, "attachment"); err == nil {
			t.Errorf("PresignGet accepted key %q", key)
		}
	}
}

func doesNotRetainBuffer(t *testing.T, s Store) {
	key, body := newKey(), []byte("unchanged")
	mustPut(t, s, key, body)
	copy(body, "XXXXXXXXX")
	if got := mustRead(t, s, key); string(got) != "unchanged" {
		t.Errorf("the stored content changed with the caller's slice: %q", got)
	}
}

func cancelled(t *testing.T, s Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	key := newKey()
	if _, err := s.Put(ctx, key, "text/plain", "", []byte("x")); !errors.Is(err, context.Canceled) {
		t.Errorf("Put: error %v, want context.Canceled", err)
	}
	if _, err := s.Get(ctx, key, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Get: error %v, want context.Canceled", err)
	}
	if _, err := s.Stat(ctx, key); !errors.Is(err, context.Canceled) {
		t.Errorf("Stat: error %v, want context.Canceled", err)
	}
	if err := s.Delete(ctx, key); !errors.Is(err, context.Canceled) {
		t.Errorf("Delete: error %v, want context.Canceled", err)
	}
}
