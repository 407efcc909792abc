package instancetable

import (
	"strconv"
	"strings"

	"altinn.no/instanceapi/shared/instance"
)

// The access patterns, and the key that serves each:
//
//	one instance                      PK = instanceOwnerId, SK = INSTANCE#guid
//	all instances of a party          PK = instanceOwnerId, SK begins with INSTANCE# (in order of creation)
//	an application's instances        byStep        = appId#step#shard       changed = lastChanged#guid
//	those with a label                byLabel       = appId#label#step#shard changed = lastChanged#guid
//	those the owner must still fetch  byUnconfirmed = appId#step#shard       changed = lastChanged#guid
//	an answered request               PK = RECEIPT#id, SK = RECEIPT
//	announced bytes                   PK = UPLOAD#id, SK = UPLOAD
//	creations in an hour              PK = QUOTA#caller#hour, SK = QUOTA
//	bytes to be looked at             PK = LITTER#part, SK = when#key prefix (see litter.go)
//
// Every attribute that is a key of an index is named as the index, so a row can be read with the template beside it.
const (
	attrPartition   = "PK"
	attrSort        = "SK"
	attrDocument    = "d" // the packed document
	attrVersion     = "v" // its version
	attrWrite       = "w" // random, new with every write: tells a lost answer from a lost race
	attrChanged     = "changed"
	attrStep        = "byStep"
	attrLabel       = "byLabel"
	attrUnconfirmed = "byUnconfirmed"
	attrFingerprint = "f" // of an answered request
	attrElement     = "e" // the data element that it created
	attrExpires     = "expires"
	attrCount       = "n" // of creations in an hour

	instancePrefix = "INSTANCE#"
	labelPrefix    = "LABEL#"
	receiptPrefix  = "RECEIPT#"
	receiptSort    = "RECEIPT"
	uploadPrefix   = "UPLOAD#"
	uploadSort     = "UPLOAD"
	quotaPrefix    = "QUOTA#"
	quotaSort      = "QUOTA"
)

// StepKey returns the partition key of byStep and byUnconfirmed.
func StepKey(appID, step string, shard int) string {
	return appID + "#" + step + "#" + strconv.Itoa(shard)
}

// LabelKey returns the partition key of byLabel. Neither an application id nor a step contains #, so it is
// unambiguous whatever the label contains.
func LabelKey(appID, label, step string, shard int) string {
	return appID + "#" + label + "#" + step + "#" + strconv.Itoa(shard)
}

// InstanceKey returns the sort key of an instance in its party's partition.
func InstanceKey(id string) string { return instancePrefix + id }

func labelSortKey(id, label string) string {
	return strings.Join([]string{labelPrefix + id, label}, "#")
}

// Entries returns the keys under which an instance stands in the indexes: its own item's byStep and, while
// something is unconfirmed, byUnconfirmed (else ""), and byLabel for each of its labels, in their order. One that is
// marked for hard delete stands in none.
func Entries(i *instance.Instance) (step, unconfirmed string, labels []string) {
	if i.Status.IsMarkedForHardDelete {
		return "", "", nil
	}
	step = StepKey(i.AppID, i.Workflow.CurrentStep, i.Shard)
	if i.Unconfirmed() {
		unconfirmed = step
	}
	for _, label := range i.Labels {
		labels = append(labels, LabelKey(i.AppID, label, i.Workflow.CurrentStep, i.Shard))
	}
	return step, unconfirmed, labels
}
