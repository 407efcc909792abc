package blob

import (
	"fmt"
	"strings"
	"uuid"
)

// Key identifies one revision of the content of a data element. In S3 it is
//
//	org/app/instanceGuid/data/revision
//
// so the content of an instance has one prefix. No two uploads share a revision, so the content
// of a key never changes: a reader with an older item gets the older content or ErrNotFound. The
// key does not name the data element, so content that is already stored can become a new element
// or replace that of any element.
type Key struct {
	appID, instanceGuid, revision string
}

// NewKey returns a key with a new revision, a UUID version 7. appID is "org/app".
func NewKey(appID, instanceGuid string) Key {
	return KeyOf(appID, instanceGuid, uuid.NewV7().String()) // fails only if the system has no randomness
}

// KeyOf returns the key of a revision. The first revision of a data element is the element's id: no
// other upload has this revision, and compression makes the repetition in the document nearly free.
func KeyOf(appID, instanceGuid, revision string) Key {
	return Key{appID, instanceGuid, revision}
}

// Revision returns the last part of the key, which is also the entity tag of the content.
func (k Key) Revision() string { return k.revision }

// String returns the name of the S3 object.
func (k Key) String() string {
	return k.appID + "/" + k.instanceGuid + "/data/" + k.revision
}

// Check returns an error if the key could address other content: if a part is empty, "." or "..",
// or contains a slash.
func (k Key) Check() error {
	org, app, _ := strings.Cut(k.appID, "/")
	for _, part := range []string{org, app, k.instanceGuid, k.revision} {
		if part == "" || part == "." || part == ".." || strings.Contains(part, "/") {
			return fmt.Errorf("blob: invalid key %q", k.String())
		}
	}
	return nil
}
