package instancetable

import (
	"hash/fnv"
	"strconv"
	"strings"

	"altinn.no/instanceapi/shared/instance"
)

// The access patterns, and the key of each:
//
//	an instance                   PK = instanceOwnerId, SK = INSTANCE#guid
//	all instances of a party      PK = instanceOwnerId, SK begins with INSTANCE#
//	instances of an application   byStep        = appId#step#shard,       changed = time#guid
//	instances with a label        byLabel0…7    = appId#label#step#shard, changed = time#guid
//	the owner's work queue        byUnconfirmed = appId#step#shard,       changed = time#guid
//	an idempotency record         PK = IDEMPOTENCY#id, SK = IDEMPOTENCY
//	an announced upload           PK = UPLOAD#id, SK = UPLOAD
//	open uploads of an instance   PK = UPLOADS#guid, SK = UPLOADS
//	creations in an hour          PK = QUOTA#caller#hour, SK = QUOTA
//	scheduled orphan checks       PK = ORPHAN#shard, SK = time#appId#guid#revision (see orphan.go)
//	position of the sweep         PK = SWEEP#shard, SK = SWEEP
//	a permanent deletion          PK = DELETED#guid, SK = DELETED
//	the scan result of a revision PK = SCAN#revision, SK = SCAN
//
// Nothing in this table finds an instance by its id alone: see instancehttp.Locator.
//
// Every key attribute of an index has the name of the index, as in template.yaml. The sort key
// INSTANCE#guid orders a party's instances by creation.
//
// The hash of a label selects one of the eight label indexes. The instance's own item is the index
// entry of the first label in each index. Another label with the same index, a colliding label, has
// a separate item with a copy of the document. For the labels gr, x2 and x3, where gr and x3 have
// the same index:
//
//	SK              d          byLabel4                  byLabel7
//	INSTANCE#guid   document   nav/app2018#gr#Submit#0   nav/app2018#x2#Submit#0
//	LABEL#guid#x3   document   nav/app2018#x3#Submit#0
//
// A write of this instance is a transaction of both items. Without x3 it is one conditional put.
const (
	attrPartition   = "PK"
	attrSort        = "SK"
	attrDocument    = "d" // the packed document, if it has at most maxIndexed bytes
	attrLarge       = "D" // a larger one, only in the instance's own item
	attrSize        = "z" // the size of a larger one, in bytes
	attrVersion     = "v" // its version
	attrDownloads   = "l" // the recorded downloads, only in the instance's own item, see downloads.go
	attrWriteID     = "w" // random for every write: distinguishes a lost response from a lost race
	attrChanged     = "changed"
	attrStep        = "byStep"
	attrUnconfirmed = "byUnconfirmed"
	attrFingerprint = "f" // of an idempotency record
	attrElement     = "e" // the data element of an idempotency record
	attrOwner       = "o" // the instanceOwnerId of an idempotency record or an orphan check
	attrInstance    = "i" // the instance of an idempotency record
	attrExpires     = "expires"
	attrCount       = "n" // number of creations in an hour, or severity of a scan result
	attrRevisions   = "r" // of an orphan check: the revisions after the first
	attrPosition    = "p" // of the sweep, in the content of its shard

	labelIndexes = 8 // must not change: queries would no longer find existing entries

	instancePrefix    = "INSTANCE#"
	labelPrefix       = "LABEL#"
	idempotencyPrefix = "IDEMPOTENCY#"
	idempotencySort   = "IDEMPOTENCY"
	uploadPrefix      = "UPLOAD#"
	uploadSort        = "UPLOAD"
	openUploadsPrefix = "UPLOADS#"
	openUploadsSort   = "UPLOADS"
	sweepPrefix       = "SWEEP#"
	sweepSort         = "SWEEP"
	quotaPrefix       = "QUOTA#"
	quotaSort         = "QUOTA"
	deletionPrefix    = "DELETED#"
	deletionSort      = "DELETED"
)

// StepKey returns the partition key of the indexes byStep and byUnconfirmed.
func StepKey(appID, step string, shard int) string {
	return appID + "#" + step + "#" + strconv.Itoa(shard)
}

// LabelIndex returns the name of the index that contains the entries of a label.
func LabelIndex(label string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(label)) // never fails
	return "byLabel" + strconv.Itoa(int(h.Sum32()%labelIndexes))
}

// collidingLabels returns, in order, the labels whose index an earlier label already uses. Each
// needs a separate item.
func collidingLabels(labels []string) (colliding []string) {
	used := map[string]bool{}
	for _, label := range labels {
		index := LabelIndex(label)
		if used[index] {
			colliding = append(colliding, label)
		}
		used[index] = true
	}
	return colliding
}

// LabelKey returns the partition key of a label's index. Application ids and steps contain no #, so
// the key is unambiguous for any label.
func LabelKey(appID, label, step string, shard int) string {
	return appID + "#" + label + "#" + step + "#" + strconv.Itoa(shard)
}

// InstanceKey returns the sort key of an instance in the partition of its party.
func InstanceKey(id string) string { return instancePrefix + id }

func labelSortKey(id, label string) string {
	return strings.Join([]string{labelPrefix + id, label}, "#")
}

// IndexKeys returns the keys of an instance in byStep, in byUnconfirmed, and in the index of each
// label, in the order of the labels. unconfirmed is "" if the instance is not in its owner's work
// queue, so a draft costs nothing in byUnconfirmed. An instance marked for hard delete has no keys,
// because it is in no index.
func IndexKeys(i *instance.Instance) (step, unconfirmed string, labels []string) {
	if i.Status.IsMarkedForHardDelete {
		return "", "", nil
	}
	step = StepKey(i.AppID, i.Workflow.CurrentStep, i.Shard)
	if i.InQueue() {
		unconfirmed = step
	}
	for _, label := range i.Labels {
		labels = append(labels, LabelKey(i.AppID, label, i.Workflow.CurrentStep, i.Shard))
	}
	return step, unconfirmed, labels
}
