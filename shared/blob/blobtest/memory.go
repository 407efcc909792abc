// Package blobtest provides a blob store in memory that behaves like blobbucket, and the
// conformance suite for both. It never uses the network, and only tests use it.
package blobtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"uuid"

	"altinn.no/instanceapi/shared/blob"
)

// RevisionAt returns a new revision of the given time.
func RevisionAt(at time.Time) string {
	id := uuid.NewV7()
	var milliseconds [8]byte
	binary.BigEndian.PutUint64(milliseconds[:], uint64(at.UnixMilli())<<16)
	copy(id[:6], milliseconds[:6])
	return id.String()
}

// Call describes one method call of a Memory to its Hook.
type Call struct {
	N         int    // counts all calls, from 1
	Operation string // the method: "Put", "Get", "Stat", "Delete", "PresignPut", "PresignGet"
	Key       blob.Key
	Done      bool // false before the effect, true after it
}

// Memory is a blob store in memory. The zero value is empty and ready to use. It is safe for
// concurrent use.
type Memory struct {
	// Hook, if set, is called before the effect of every call and again after it. An error fails
	// the call at that point. If Hook fails before the effect, nothing changes. If it fails after
	// the effect, the change stays although the call fails. Hook may be called concurrently.
	Hook func(Call) error

	mu      sync.Mutex
	calls   int
	objects map[blob.Key]stored
}

type stored struct {
	contentType string
	tag         string
	body        []byte
}

// FailCall returns a hook that fails only the n-th call, before or after its effect.
func FailCall(n int, afterEffect bool, err error) func(Call) error {
	return func(c Call) error {
		if c.N == n && c.Done == afterEffect {
			return err
		}
		return nil
	}
}

// Keys returns the existing keys in order.
func (m *Memory) Keys() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	names := []string{}
	for key := range maps.Keys(m.objects) {
		names = append(names, key.String())
	}
	slices.Sort(names)
	return names
}

// ContentType returns the content type stored at key, or "" if the key does not exist.
func (m *Memory) ContentType(key blob.Key) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.objects[key].contentType
}

// Tag returns the tag of the object at key, or "".
func (m *Memory) Tag(key blob.Key) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.objects[key].tag
}

// Put is like blobbucket.Bucket.Put.
func (m *Memory) Put(ctx context.Context, key blob.Key, contentType, tag string, body []byte) (blob.Info, error) {
	err := m.call(ctx, "Put", key, func() error {
		if old, ok := m.objects[key]; ok {
			if !bytes.Equal(old.body, body) {
				return fmt.Errorf("blobtest: put %s: %w", key, blob.ErrExists)
			}
			return nil
		}
		if m.objects == nil {
			m.objects = map[blob.Key]stored{}
		}
		m.objects[key] = stored{contentType, tag, bytes.Clone(body)}
		return nil
	})
	if err != nil {
		return blob.Info{}, err
	}
	sum := sha256.Sum256(body)
	return blob.Info{Size: int64(len(body)), SHA256: hex.EncodeToString(sum[:])}, nil
}

// Get is like blobbucket.Bucket.Get.
func (m *Memory) Get(ctx context.Context, key blob.Key, rng *blob.Range) (blob.Object, error) {
	var body []byte
	err := m.call(ctx, "Get", key, func() error {
		o, ok := m.objects[key]
		if !ok {
			return fmt.Errorf("blobtest: get %s: %w", key, blob.ErrNotFound)
		}
		body = o.body
		if rng == nil {
			return nil
		}
		if err := rng.Check(); err != nil {
			return err
		}
		size := int64(len(body))
		if rng.First >= size {
			return fmt.Errorf("blobtest: get %s: %w", key, blob.ErrRange)
		}
		body = body[rng.First : min(rng.Last, size-1)+1]
		return nil
	})
	if err != nil {
		return blob.Object{}, err
	}
	return blob.Object{Body: io.NopCloser(bytes.NewReader(body)), Size: int64(len(body))}, nil
}

// Stat is like blobbucket.Bucket.Stat.
func (m *Memory) Stat(ctx context.Context, key blob.Key) (info blob.Info, err error) {
	err = m.call(ctx, "Stat", key, func() error {
		o, ok := m.objects[key]
		if !ok {
			return fmt.Errorf("blobtest: stat %s: %w", key, blob.ErrNotFound)
		}
		sum := sha256.Sum256(o.body)
		info = blob.Info{Size: int64(len(o.body)), SHA256: hex.EncodeToString(sum[:])}
		return nil
	})
	return info, err
}

// PresignPut is like blobbucket.Bucket.PresignPut. No server responds at the URL: a test that
// simulates the client must call Put.
func (m *Memory) PresignPut(ctx context.Context, key blob.Key, contentType, tag string, info blob.Info) (blob.PresignedRequest, error) {
	header := map[string]string{"Content-Length": strconv.FormatInt(info.Size, 10), "Content-Type": contentType}
	if tag != "" {
		header["X-Amz-Tagging"] = tag
	}
	return m.presign(ctx, "PresignPut", "PUT", key, url.Values{"sha256": {info.SHA256}}, header)
}

// PresignGet is like blobbucket.Bucket.PresignGet. No server responds at the URL.
func (m *Memory) PresignGet(ctx context.Context, key blob.Key, contentDisposition string) (blob.PresignedRequest, error) {
	query := url.Values{"content-disposition": {contentDisposition}}
	return m.presign(ctx, "PresignGet", "GET", key, query, map[string]string{})
}

func (m *Memory) presign(ctx context.Context, operation, method string, key blob.Key, query url.Values, header map[string]string) (blob.PresignedRequest, error) {
	err := m.call(ctx, operation, key, func() error { return nil })
	if err != nil {
		return blob.PresignedRequest{}, err
	}
	query.Set("X-Amz-Signature", "memory")
	return blob.PresignedRequest{
		Method: method, URL: "https://blobs.test/" + key.String() + "?" + query.Encode(), Header: header,
		Expires: time.Now().Add(blob.PresignExpiry).UTC().Truncate(time.Second),
	}, nil
}

// Delete is like blobbucket.Bucket.Delete.
func (m *Memory) Delete(ctx context.Context, key blob.Key) error {
	return m.call(ctx, "Delete", key, func() error {
		delete(m.objects, key)
		return nil
	})
}

// List is like blobbucket.Bucket.List.
func (m *Memory) List(ctx context.Context, prefix, after string, limit int) (names []string, more bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	for _, name := range m.Keys() {
		if !strings.HasPrefix(name, prefix) || name <= after {
			continue
		}
		if len(names) == limit {
			return names, true, nil
		}
		names = append(names, name)
	}
	return names, false, nil
}

// call runs effect under the lock, between the two calls of Hook.
func (m *Memory) call(ctx context.Context, operation string, key blob.Key, effect func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := key.Check(); err != nil {
		return err
	}
	m.mu.Lock()
	m.calls++
	c := Call{N: m.calls, Operation: operation, Key: key}
	m.mu.Unlock()
	if err := m.hook(c); err != nil {
		return err
	}
	m.mu.Lock()
	err := effect()
	m.mu.Unlock()
	if err != nil {
		return err
	}
	c.Done = true
	return m.hook(c)
}

func (m *Memory) hook(c Call) error {
	if m.Hook == nil {
		return nil
	}
	return m.Hook(c)
}
