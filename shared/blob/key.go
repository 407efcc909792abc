package blob

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"uuid"

	"altinn.no/instanceapi/shared/rfc3339"
)

// Key identifies one revision of the content of a data element. In S3 it is
//
//	day/shard/org/app/instanceOwnerId/instanceGuid/revision
//
// A revision is a UUID version 7. Its time gives the day, in UTC, and its last hexadecimal digit
// gives the shard. So the sweep finds the content of a past day by its prefix, and reads from the
// key which instance should refer to the content.
//
// No two uploads share a revision, so the content of a key never changes: a reader with an older
// item gets the older content or ErrNotFound. The key does not name the data element, so content
// that is already stored can become a new element or replace that of any element.
type Key struct {
	appID, instanceOwnerID, instanceGuid, revision string
}

// Shards is the number of shards of a day.
const Shards = 16

// NewKey returns a key with a new revision. appID is "org/app".
func NewKey(appID, instanceOwnerID, instanceGuid string) Key {
	return KeyOf(appID, instanceOwnerID, instanceGuid, uuid.NewV7().String()) // fails only if the system has no randomness
}

// KeyOf returns the key of a revision. The first revision of a data element is the element's id: no
// other upload has this revision, and compression makes the repetition in the document nearly free.
func KeyOf(appID, instanceOwnerID, instanceGuid, revision string) Key {
	return Key{appID, instanceOwnerID, instanceGuid, revision}
}

// ParseKey returns the key of the S3 object with the given name. It returns an error if the name is
// not that of content.
func ParseKey(name string) (Key, error) {
	parts := strings.Split(name, "/")
	if len(parts) != 7 {
		return Key{}, fmt.Errorf("blob: %d parts in the name of an object, want 7", len(parts))
	}
	k := Key{parts[2] + "/" + parts[3], parts[4], parts[5], parts[6]}
	if err := k.Check(); err != nil {
		return Key{}, err
	}
	if k.String() != name {
		return Key{}, fmt.Errorf("blob: the object %q is not in the prefix of its revision", name)
	}
	return k, nil
}

// AppID returns the application of the instance, "org/app".
func (k Key) AppID() string { return k.appID }

// InstanceOwnerID returns the instanceOwnerId of the instance.
func (k Key) InstanceOwnerID() string { return k.instanceOwnerID }

// InstanceGuid returns the id of the instance.
func (k Key) InstanceGuid() string { return k.instanceGuid }

// Revision returns the last part of the key, which is also the entity tag of the content.
func (k Key) Revision() string { return k.revision }

// String returns the name of the S3 object.
func (k Key) String() string {
	day, shard, _ := place(k.revision)
	return Prefix(day, shard) + k.appID + "/" + k.instanceOwnerID + "/" + k.instanceGuid + "/" + k.revision
}

// Prefix returns the beginning of the names of all content of a shard whose revisions are of the
// UTC day of t.
func Prefix(t time.Time, shard int) string {
	day, _, _ := strings.Cut(rfc3339.Format(t), "T")
	return day + "/" + strconv.FormatInt(int64(shard), 16) + "/"
}

// DayOf returns the day, at midnight UTC, of the name of an object or of a prefix. It returns an
// error if the name does not begin with a day.
func DayOf(name string) (time.Time, error) {
	day, _, _ := strings.Cut(name, "/")
	t, ok := rfc3339.Parse(day + "T00:00:00Z")
	if !ok {
		return time.Time{}, errors.New("blob: the name of an object does not begin with a day")
	}
	return t, nil
}

// place returns the time and the shard of a revision. ok is false if the revision is no UUID
// version 7 in its usual form.
func place(revision string) (t time.Time, shard int, ok bool) {
	id, err := uuid.Parse(revision)
	if err != nil || id[6]>>4 != 7 || id.String() != revision {
		return time.Unix(0, 0), 0, false
	}
	milliseconds := binary.BigEndian.Uint64(id[:8]) >> 16
	return time.UnixMilli(int64(milliseconds)), int(id[15] & 0xf), true
}

// Check returns an error if the key could address other content: if the revision is no UUID version
// 7, or another part is empty, "." or "..", or contains a slash.
func (k Key) Check() error {
	org, app, _ := strings.Cut(k.appID, "/")
	for _, part := range []string{org, app, k.instanceOwnerID, k.instanceGuid} {
		if part == "" || part == "." || part == ".." || strings.Contains(part, "/") {
			return fmt.Errorf("blob: invalid key %q", k.String())
		}
	}
	if _, _, ok := place(k.revision); !ok {
		return fmt.Errorf("blob: invalid key %q", k.String())
	}
	return nil
}
