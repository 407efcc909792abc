package copying

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Outcome is what happens to an item of the restored table.
type Outcome string

// The outcomes.
const (
	Copied    Outcome = "copied"
	Existing  Outcome = "existing"  // the stack's table has the same item
	Different Outcome = "different" // the stack's table has another item with this key, or has continued the feed; it stays
	Deleted   Outcome = "deleted"   // the instance was deleted permanently
	Stale     Outcome = "stale"     // a label's item of an older version of its instance
	Transient Outcome = "transient" // the item expires by itself: an idempotency record, upload, quota or held request
	Delivered Outcome = "delivered" // the event is in the feed
)

// outcomes is the order in which the command prints them.
var outcomes = []Outcome{Copied, Existing, Different, Deleted, Stale, Transient, Delivered}

// rule is how an item is copied.
type rule int

const (
	plainRule    rule = iota // copied if no item has its key
	instanceRule             // as plain, unless the instance was deleted permanently
	labelRule                // as plain, if the instance has the version of the item
	eventRule                // as plain, unless the feed has the event
	feedRule                 // a slot, position or day, as plain, unless the feed has been continued
	markedRule               // an instance that is being deleted permanently: not copied
	expiresRule              // not copied
)

// The attributes and prefixes of the stores' items. TestEveryItemHasARule compares them with what
// the stores write.
const (
	attrPartition = "PK"
	attrSort      = "SK"
	attrVersion   = "v"
	attrWriteID   = "w"
	attrStep      = "byStep" // in every instance that is not marked for deletion
	attrExpires   = "expires"
	attrCount     = "n"     // of events in a slot
	attrAppID     = "appId" // of a position
	feedPrefix    = "FEED#"
	dayPrefix     = "DAY#"
)

// rules returns the rule of an item, by the logical name of its table. ok is false for an item that
// no store writes.
var rules = map[string]func(partition, sort string, item map[string]types.AttributeValue) (r rule, ok bool){
	"Instances": func(partition, sort string, item map[string]types.AttributeValue) (rule, bool) {
		switch _, hasEnd := item[attrExpires]; {
		case hasEnd:
			return expiresRule, true
		case begins(partition, "ORPHAN#", "AGENDA#", "SWEEP#"):
			return plainRule, true
		case begins(sort, "LABEL#"):
			return labelRule, true
		case begins(sort, "INSTANCE#"):
			if item[attrStep] == nil {
				return markedRule, true
			}
			return instanceRule, true
		}
		return 0, false
	},
	"Outbox": func(_, _ string, item map[string]types.AttributeValue) (rule, bool) {
		_, isEvent := item[attrSort].(*types.AttributeValueMemberN)
		return eventRule, isEvent
	},
	"Events": func(partition, _ string, _ map[string]types.AttributeValue) (rule, bool) {
		if begins(partition, "HELD#") {
			return expiresRule, true
		}
		return feedRule, begins(partition, feedPrefix, dayPrefix, "INSTANCE#")
	},
	"Applications": func(_, sort string, _ map[string]types.AttributeValue) (rule, bool) { return plainRule, sort != "" },
	"Parties": func(partition, _ string, _ map[string]types.AttributeValue) (rule, bool) {
		return plainRule, begins(partition, "ID#", "OWNER#")
	},
	"Subscriptions": func(partition, _ string, _ map[string]types.AttributeValue) (rule, bool) {
		return plainRule, begins(partition, "ORG#", "SUB#")
	},
}

// Kinds returns the logical names of the tables that the command can restore.
func Kinds() []string {
	var kinds []string
	for kind := range rules {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	return kinds
}

// ruleOf returns the rule of an item.
func ruleOf(kind string, item map[string]types.AttributeValue) (rule, error) {
	partition, sort := textOf(item, attrPartition), textOf(item, attrSort)
	r, ok := rules[kind](partition, sort, item)
	if !ok {
		return 0, fmt.Errorf("the table has an item that is none of %s: is -kind right?", kind)
	}
	return r, nil
}

func begins(s string, prefixes ...string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(s, p) })
}

// textOf returns an attribute of type S or N, or "".
func textOf(item map[string]types.AttributeValue, name string) string {
	switch v := item[name].(type) {
	case *types.AttributeValueMemberS:
		return v.Value
	case *types.AttributeValueMemberN:
		return v.Value
	}
	return ""
}
