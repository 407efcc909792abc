package blob

import (
	"fmt"
	"strings"
	"uuid"
)

// Key identifies the content of one revision of one data element. In S3 it is
//
//	org/app/instanceGuid/data/dataGuid/revision
//
// so the content of an instance has one prefix, and that of an element a longer one. No two uploads
// share a revision, so the content of a key never changes: a reader with an older item gets the
// older content or ErrNotFound.
type Key struct {
	appID, instanceGuid, dataGuid, revision string
}

// FirstKey returns the key of the first revision of a new data element. The revision equals
// dataGuid: no other upload has this revision, and compression makes the repetition in the document
// nearly free. appID is "org/app".
func FirstKey(appID, instanceGuid, dataGuid string) Key {
	return KeyOf(appID, instanceGuid, dataGuid, dataGuid)
}

// NewKey returns a key with a new revision, a UUID version 7, for content that replaces older
// content.
func NewKey(appID, instanceGuid, dataGuid string) Key {
	return KeyOf(appID, instanceGuid, dataGuid, uuid.NewV7().String()) // fails only if the system has no randomness
}

// KeyOf returns the key of a stored revision.
func KeyOf(appID, instanceGuid, dataGuid, revision string) Key {
	return Key{appID, instanceGuid, dataGuid, revision}
}

// Revision returns the last part of the key, which is also the entity tag of the content.
func (k Key) Revision() string { return k.revision }

// String returns the name of the S3 object.
func (k Key) String() string {
	return k.appID + "/" + k.instanceGuid + "/data/" + k.dataGuid + "/" + k.revision
}

// Check returns an error if the key could address other content: if a part is empty, "." or "..",
// or contains a slash.
func (k Key) Check() error {
	org, app, _ := strings.Cut(k.appID, "/")
	for _, part := range []string{org, app, k.instanceGuid, k.dataGuid, k.revision} {
		if part == "" || part == "." || part == ".." || strings.Contains(part, "/") {
			return fmt.Errorf("blob: invalid key %q", k.String())
		}
	}
	return nil
}
