package instancetable

import (
	"hash/fnv"
	"strconv"
	"strings"

	"altinn.no/instanceapi/shared/instance"
)

// The access patterns, and the key that serves each:
//
//	one instance                      PK = instanceOwnerId, SK = INSTANCE#guid
//	all instances of a party          PK = instanceOwnerId, SK begins with INSTANCE# (in order of creation)
//	an application's instances        byStep        = appId#step#shard       changed = lastChanged#guid
//	those with a label                byLabel0…7    = appId#label#step#shard changed = lastChanged#guid
//	those the owner must still fetch  byUnconfirmed = appId#step#shard       changed = lastChanged#guid
//	an answered request               PK = IDEMPOTENCY#id, SK = IDEMPOTENCY
//	announced bytes                   PK = UPLOAD#id, SK = UPLOAD
//	creations in an hour              PK = QUOTA#caller#hour, SK = QUOTA
//	bytes to be looked at             PK = ORPHAN#part, SK = when#key prefix (see orphan.go)
//
// Every attribute that is a key of an index is named as the index, so a row can be read with the template beside it.
//
// A label has its index by its hash. An instance's own item stands there for one of its labels; for another that has
// the same index it has a further item, a copy under LABEL#guid#label. Most instances need none, and a change of one is one
// conditional write, where an item for each label would be a transaction of them all.
const (
	attrPartition   = "PK"
	attrSort        = "SK"
	attrDocument    = "d" // the packed document
	attrVersion     = "v" // its version
	attrWriteID     = "w" // random, new with every write: tells a lost answer from a lost race
	attrChanged     = "changed"
	attrStep        = "byStep"
	attrUnconfirmed = "byUnconfirmed"
	attrFingerprint = "f" // of an answered request
	attrElement     = "e" // the data element that it created
	attrExpires     = "expires"
	attrCount       = "n" // of creations in an hour

	labelIndexes = 8 // that labels are spread over; more or fewer would leave entries where nobody looks

	instancePrefix    = "INSTANCE#"
	labelPrefix       = "LABEL#"
	idempotencyPrefix = "IDEMPOTENCY#"
	idempotencySort   = "IDEMPOTENCY"
	uploadPrefix      = "UPLOAD#"
	uploadSort        = "UPLOAD"
	quotaPrefix       = "QUOTA#"
	quotaSort         = "QUOTA"
)

// StepKey returns the partition key of byStep and byUnconfirmed.
func StepKey(appID, step string, shard int) string {
	return appID + "#" + step + "#" + strconv.Itoa(shard)
}

// LabelIndex returns the name of the index that a label's entries are in.
func LabelIndex(label string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(label)) // never fails
	return "byLabel" + strconv.Itoa(int(h.Sum32()%labelIndexes))
}

// collidingLabels returns the labels that an instance has further items for, in their order: those whose index it stands in for
// one before.
func collidingLabels(labels []string) (further []string) {
	taken := map[string]bool{}
	for _, label := range labels {
		index := LabelIndex(label)
		if taken[index] {
			further = append(further, label)
		}
		taken[index] = true
	}
	return further
}

// LabelKey returns the partition key of a label's index. Neither an application id nor a step contains #, so it is
// unambiguous whatever the label contains.
func LabelKey(appID, label, step string, shard int) string {
	return appID + "#" + label + "#" + step + "#" + strconv.Itoa(shard)
}

// InstanceKey returns the sort key of an instance in its party's partition.
func InstanceKey(id string) string { return instancePrefix + id }

func labelSortKey(id, label string) string {
	return strings.Join([]string{labelPrefix + id, label}, "#")
}

// IndexKeys returns the keys under which an instance stands in the indexes: its own item's byStep and, while
// something is unconfirmed, byUnconfirmed (else ""), and that of each of its labels, in their order. One that is
// marked for hard delete stands in none.
func IndexKeys(i *instance.Instance) (step, unconfirmed string, labels []string) {
	if i.Status.IsMarkedForHardDelete {
		return "", "", nil
	}
	step = StepKey(i.AppID, i.Workflow.CurrentStep, i.Shard)
	if i.HasUnconfirmed() {
		unconfirmed = step
	}
	for _, label := range i.Labels {
		labels = append(labels, LabelKey(i.AppID, label, i.Workflow.CurrentStep, i.Shard))
	}
	return step, unconfirmed, labels
}
