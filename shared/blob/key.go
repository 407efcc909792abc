package blob

import (
	"fmt"
	"strings"
	"uuid"
)

// Key names the bytes of one revision of one data element. In S3 it is
//
//	org/app/instanceGuid/data/dataGuid/revision
//
// so that one prefix is an instance, and a longer one an element. No two uploads share a revision, which makes a
// key immutable: a reader of an older item gets the older bytes, or none.
type Key struct {
	appID, instanceGuid, dataGuid, revision string
}

// FirstKey returns the key of a new data element's first revision, which is named as the element is: no other upload has that
// name, and a document that says it twice hardly grows. appID is "org/app".
func FirstKey(appID, instanceGuid, dataGuid string) Key {
	return KeyOf(appID, instanceGuid, dataGuid, dataGuid)
}

// NewKey returns a key with a fresh revision, a UUID version 7, for bytes that replace others.
func NewKey(appID, instanceGuid, dataGuid string) Key {
	return KeyOf(appID, instanceGuid, dataGuid, uuid.NewV7().String()) // fails only if the system has no randomness
}

// KeyOf returns the key of a revision that was stored before.
func KeyOf(appID, instanceGuid, dataGuid, revision string) Key {
	return Key{appID, instanceGuid, dataGuid, revision}
}

// Revision returns the last part of the key, which is also the entity tag of the bytes.
func (k Key) Revision() string { return k.revision }

// String returns the name of the S3 object.
func (k Key) String() string {
	return k.appID + "/" + k.instanceGuid + "/data/" + k.dataGuid + "/" + k.revision
}

// Check returns an error for a key that could name the bytes of something else, or nothing: one with a part that is
// empty, "." or "..", or contains a slash.
func (k Key) Check() error {
	org, app, _ := strings.Cut(k.appID, "/")
	for _, part := range []string{org, app, k.instanceGuid, k.dataGuid, k.revision} {
		if part == "" || part == "." || part == ".." || strings.Contains(part, "/") {
			return fmt.Errorf("blob: invalid key %q", k.String())
		}
	}
	return nil
}
