package webhooktable

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/busy"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/rfc3339"
	"altinn.no/instanceapi/shared/webhook"
)

const (
	appPrefix          = "APP#"
	verificationPrefix = "VERIFICATION#"

	attrSeq      = "seq"
	attrSlot     = "slot"
	attrSince    = "since"
	attrFailures = "f"
	attrFailing  = "fs"
	attrLease    = "lease"
	attrUntil    = "until" // microseconds since 1970
	attrTarget   = "target"
	attrLog      = "log"
	attrQueue    = "q"
	attrDue      = "due"

	dueIndex = "byDue"
	dueQueue = "DUE" // the partition of the index
)

func readerKey(k webhook.Key) item {
	sort := appPrefix + k.AppID
	if k.AppID == webhook.VerificationApp {
		sort = verificationPrefix + k.Org
	}
	return item{attrPartition: str(subscriptionPrefix + k.Subscription), attrSort: str(sort)}
}

// keyOf is the inverse of readerKey.
func keyOf(i item) (webhook.Key, error) {
	id, ok := strings.CutPrefix(text(i, attrPartition), subscriptionPrefix)
	sort := text(i, attrSort)
	if org, verifies := strings.CutPrefix(sort, verificationPrefix); ok && verifies {
		return webhook.Key{Org: org, Subscription: id, AppID: webhook.VerificationApp}, nil
	}
	appID, reads := strings.CutPrefix(sort, appPrefix)
	org, _, named := strings.Cut(appID, "/")
	if !ok || !reads || !named {
		return webhook.Key{}, errors.New("a stored reader has an invalid key")
	}
	return webhook.Key{Org: org, Subscription: id, AppID: appID}, nil
}

// update builds an UpdateExpression. Its methods set and remove attributes.
type update struct {
	sets, removes []string
	names         map[string]string
	values        item
}

func newUpdate() *update { return &update{names: map[string]string{}, values: item{}} }

// name returns the placeholder of an attribute.
func (u *update) name(attribute string) string {
	u.names["#"+attribute] = attribute
	return "#" + attribute
}

// value returns the placeholder of a value.
func (u *update) value(name string, v types.AttributeValue) string {
	u.values[":"+name] = v
	return ":" + name
}

// set sets an attribute, or removes it if v is nil.
func (u *update) set(attribute string, v types.AttributeValue) {
	if v == nil {
		u.removes = append(u.removes, u.name(attribute))
		return
	}
	u.sets = append(u.sets, u.name(attribute)+" = "+u.value(attribute, v))
}

// expression returns the UpdateExpression.
func (u *update) expression() *string {
	e := "SET " + strings.Join(u.sets, ", ")
	if len(u.removes) > 0 {
		e += " REMOVE " + strings.Join(u.removes, ", ")
	}
	return &e
}

// positive returns a number, or nil for 0.
func positive(n int64) types.AttributeValue {
	if n == 0 {
		return nil
	}
	return num(n)
}

// instant returns a time, or nil for the zero time.
func instant(t time.Time) types.AttributeValue {
	if t.IsZero() {
		return nil
	}
	return str(rfc3339.Format(t))
}

// moves returns the writes of the owner's moves.
func (t *Table) moves(org, id string, moves []webhook.Move) []types.TransactWriteItem {
	writes := make([]types.TransactWriteItem, len(moves))
	for n, move := range moves {
		key := readerKey(webhook.Key{Org: org, Subscription: id, AppID: move.AppID})
		if move.Remove {
			writes[n] = types.TransactWriteItem{Delete: &types.Delete{TableName: &t.name, Key: key}}
			continue
		}
		u := newUpdate()
		if move.Start != nil {
			u.setStart(*move.Start)
		} else {
			u.sets = append(u.sets, u.name(attrSeq)+" = if_not_exists(#seq, "+u.value(attrSeq, num(0))+")")
		}
		u.set(attrQueue, str(dueQueue))
		u.set(attrDue, instant(t.now()))
		u.set(attrFailures, nil)
		u.set(attrFailing, nil)
		u.sets = append(u.sets, u.name(attrVersion)+" = if_not_exists(#v, "+u.value("zero", num(0))+") + "+u.value("one", num(1)))
		writes[n] = types.TransactWriteItem{Update: &types.Update{TableName: &t.name, Key: key, UpdateExpression: u.expression(),
			ExpressionAttributeNames: u.names, ExpressionAttributeValues: u.values}}
	}
	return writes
}

func (u *update) setStart(s webhook.Start) {
	u.set(attrSeq, num(s.At.Seq))
	u.set(attrSlot, positive(s.At.Slot))
	u.set(attrSince, instant(s.Since))
}

// Readers implements webhook.Subscriptions. It costs one read unit per 4 KB. A reader with a
// hundred deliveries has about 2.5 KB.
func (t *Table) Readers(ctx context.Context, id string) ([]webhook.Reader, error) {
	items, err := t.items(ctx, subscriptionPrefix+id)
	if err != nil {
		return nil, err
	}
	readers := make([]webhook.Reader, len(items))
	for n, i := range items {
		if readers[n], err = decodeReader(i); err != nil {
			return nil, err
		}
	}
	return readers, nil
}

// Due implements webhook.Queue. It costs half a read unit per 4 KB of keys, which forty readers
// have.
func (t *Table) Due(ctx context.Context, now time.Time, limit int) ([]webhook.Key, error) {
	out, err := t.client.Query(ctx, &dynamodb.QueryInput{
		TableName: &t.name, IndexName: aws.String(dueIndex), Limit: aws.Int32(int32(limit)),
		KeyConditionExpression:    aws.String("#q = :q AND #due <= :now"),
		ExpressionAttributeNames:  map[string]string{"#q": attrQueue, "#due": attrDue},
		ExpressionAttributeValues: item{":q": str(dueQueue), ":now": str(rfc3339.Format(now))},
	})
	if err != nil {
		return nil, err
	}
	keys := make([]webhook.Key, len(out.Items))
	for n, i := range out.Items {
		if keys[n], err = keyOf(i); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// maxLeaseAttempts is the maximum number of attempts of Lease. An attempt fails only if another
// sender took or freed the reader in the meantime.
const maxLeaseAttempts = 5

// Lease implements webhook.Queue. It is one write, and a second one if another sender holds the
// reader. The size of the reader decides the units: one without deliveries, at most three.
func (t *Table) Lease(ctx context.Context, key webhook.Key, token string, now, until time.Time, target int64) (webhook.Reader, webhook.Outcome, error) {
	for range maxLeaseAttempts {
		r, stored, err := t.take(ctx, key, token, now, until, target)
		if err != nil || stored == nil {
			r.Target = max(r.Target, target)
			return r, webhook.Leased, err
		}
		held := text(stored, attrLease) != "" && number(stored, attrUntil) > now.UnixMicro()
		switch {
		case held && text(stored, attrLease) == token: // the response to an earlier attempt was lost
			r, err := decodeReader(stored)
			r.Target = max(r.Target, target)
			return r, webhook.Leased, err
		case !held:
			return webhook.Reader{}, webhook.NotDue, nil
		case number(stored, attrTarget) >= target:
			return webhook.Reader{}, webhook.Held, nil
		}
		if handed, err := t.hand(ctx, key, text(stored, attrLease), target); err != nil || handed {
			return webhook.Reader{}, webhook.Held, err
		}
	}
	return webhook.Reader{}, webhook.Held, errors.New("webhook: other senders changed the reader again and again")
}

// take leases the reader. If the reader is held or not due, it returns the stored item, which is
// empty if there is none.
func (t *Table) take(ctx context.Context, key webhook.Key, token string, now, until time.Time, target int64) (webhook.Reader, item, error) {
	u := newUpdate()
	condition := "(attribute_not_exists(" + u.name(attrLease) + ") OR " + u.name(attrUntil) + " <= " + u.value("now", num(now.UnixMicro())) + ") AND "
	due := u.name(attrDue) + " <= " + u.value("nowText", str(rfc3339.Format(now)))
	if target > 0 {
		condition += "(" + u.name(attrSeq) + " < " + u.value(attrTarget, num(target)) + " OR #seq < " + u.name(attrTarget) + ") AND (attribute_not_exists(" + u.name(attrFailures) + ") OR " + due + ")"
		// A target that a sender left to a holder, and that the holder did not reach, stays.
		u.sets = append(u.sets, u.name(attrTarget)+" = if_not_exists(#target, :target)")
	} else {
		condition += due
	}
	u.set(attrLease, str(token))
	u.set(attrUntil, num(until.UnixMicro()))
	out, err := t.update(ctx, &dynamodb.UpdateItemInput{
		TableName: &t.name, Key: readerKey(key), UpdateExpression: u.expression(), ConditionExpression: &condition,
		ExpressionAttributeNames: u.names, ExpressionAttributeValues: u.values,
		ReturnValues: types.ReturnValueAllNew, ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	if err == nil {
		r, err := decodeReader(out.Attributes)
		return r, nil, err
	}
	stored, err := failedCondition(err)
	return webhook.Reader{}, stored, err
}

// update updates a reader. It repeats an update that conflicts with a transaction of the owner.
func (t *Table) update(ctx context.Context, in *dynamodb.UpdateItemInput) (*dynamodb.UpdateItemOutput, error) {
	ctx = busy.WithBudget(ctx)
	for {
		out, err := t.client.UpdateItem(ctx, in)
		var conflict *types.TransactionConflictException
		if !errors.As(err, &conflict) {
			return out, err
		}
		if err := busy.Race(ctx); err != nil {
			return nil, err
		}
	}
}

// failedCondition returns the item of a failed condition, empty if there is none, or err itself for
// any other error.
func failedCondition(err error) (item, error) {
	var failed *types.ConditionalCheckFailedException
	switch {
	case !errors.As(err, &failed):
		return nil, err
	case failed.Item == nil:
		return item{}, nil
	}
	return failed.Item, nil
}

// hand stores a higher target for the holder of the reader. It reports false if the holder or the
// target has changed.
func (t *Table) hand(ctx context.Context, key webhook.Key, lease string, target int64) (bool, error) {
	_, err := t.update(ctx, &dynamodb.UpdateItemInput{
		TableName: &t.name, Key: readerKey(key), UpdateExpression: aws.String("SET #target = :target"),
		ConditionExpression:       aws.String("#lease = :lease AND (attribute_not_exists(#target) OR #target < :target)"),
		ExpressionAttributeNames:  map[string]string{"#target": attrTarget, "#lease": attrLease},
		ExpressionAttributeValues: item{":target": num(target), ":lease": str(lease)},
	})
	if err == nil {
		return true, nil
	}
	_, err = failedCondition(err)
	return false, err
}

// Save implements webhook.Queue. It is one write of at most three units, and one more for the index
// if Due changes.
func (t *Table) Save(ctx context.Context, r *webhook.Reader, release webhook.Release) (bool, error) {
	u := newUpdate()
	condition := u.name(attrLease) + " = " + u.value("token", str(r.Lease)) + " AND " + u.name(attrVersion) + " = " + u.value(attrVersion, num(r.Version))
	u.setStart(r.Start)
	u.set(attrFailures, positive(int64(r.Failures)))
	u.set(attrFailing, instant(r.FailingSince))
	u.set(attrDue, instant(r.Due))
	if packed := packLog(r.Deliveries); len(packed) > 0 {
		u.set(attrLog, &types.AttributeValueMemberB{Value: packed})
	}
	if release == webhook.ReleaseAtEnd {
		condition += " AND (attribute_not_exists(" + u.name(attrTarget) + ") OR #target <= :seq)"
	}
	if release != webhook.Keep {
		u.set(attrLease, nil)
		u.set(attrUntil, nil)
		u.set(attrTarget, nil)
	}
	_, err := t.update(ctx, &dynamodb.UpdateItemInput{
		TableName: &t.name, Key: readerKey(r.Key), UpdateExpression: u.expression(), ConditionExpression: &condition,
		ExpressionAttributeNames: u.names, ExpressionAttributeValues: u.values,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	if err == nil {
		return false, nil
	}
	stored, err := failedCondition(err)
	switch {
	case err != nil:
		return false, err
	case text(stored, attrLease) != r.Lease:
		return false, webhook.ErrLost
	}
	now, err := decodeReader(stored)
	if err != nil {
		return false, err
	}
	if now.Version != r.Version {
		r.Start, r.Version = now.Start, now.Version
		r.Succeed()
	}
	r.Target = now.Target
	return true, nil
}

func decodeReader(i item) (webhook.Reader, error) {
	key, err := keyOf(i)
	if err != nil {
		return webhook.Reader{}, err
	}
	r := webhook.Reader{Key: key, Start: webhook.Start{At: event.Position{Seq: number(i, attrSeq), Slot: number(i, attrSlot)}},
		Failures: int(number(i, attrFailures)), Version: number(i, attrVersion), Lease: text(i, attrLease), Target: number(i, attrTarget)}
	for name, at := range map[string]*time.Time{attrSince: &r.Since, attrFailing: &r.FailingSince, attrDue: &r.Due} {
		if value := text(i, name); value != "" {
			var ok bool
			if *at, ok = rfc3339.Parse(value); !ok {
				return webhook.Reader{}, errors.New("a stored reader has an invalid time")
			}
		}
	}
	if packed, ok := i[attrLog].(*types.AttributeValueMemberB); ok {
		if r.Deliveries, err = unpackLog(packed.Value); err != nil {
			return webhook.Reader{}, err
		}
	}
	return r, nil
}

// errorClasses are the classes of errors by their number in the packed log. Append only.
var errorClasses = []webhook.Error{"", webhook.ErrorAddress, webhook.ErrorName, webhook.ErrorConnect, webhook.ErrorTLS,
	webhook.ErrorTimeout, webhook.ErrorClosed, webhook.ErrorRedirect, webhook.ErrorStatus, webhook.ErrorChallenge}

// guidBytes is the size of a packed instance id.
const guidBytes = 16

// packLog returns the deliveries in about 25 bytes each: the instance's id, and then as varints the
// number of the event (0 for the verification), the milliseconds since the delivery before, the
// status, the duration in milliseconds, and the class of the error.
func packLog(deliveries []webhook.Delivery) []byte {
	var packed []byte
	previous := int64(0)
	for _, d := range deliveries {
		guid := make([]byte, guidBytes)
		id, n, err := event.ParseID(d.EventID)
		if err == nil {
			if raw, err := hex.DecodeString(strings.ReplaceAll(id, "-", "")); err == nil {
				copy(guid, raw)
			}
		}
		packed = append(packed, guid...)
		packed = binary.AppendUvarint(packed, uint64(n))
		at := d.At.UnixMilli()
		packed = binary.AppendVarint(packed, at-previous)
		previous = at
		packed = binary.AppendUvarint(packed, uint64(d.Status))
		packed = binary.AppendUvarint(packed, uint64(d.Took.Milliseconds()))
		class := 0
		for number, e := range errorClasses {
			if e == d.Error {
				class = number
			}
		}
		packed = binary.AppendUvarint(packed, uint64(class))
	}
	return packed
}

// unpackLog is the inverse of packLog.
func unpackLog(packed []byte) ([]webhook.Delivery, error) {
	broken := errors.New("a stored log of deliveries is not readable")
	var deliveries []webhook.Delivery
	previous := int64(0)
	for len(packed) > 0 {
		if len(packed) < guidBytes {
			return nil, broken
		}
		guid := hex.EncodeToString(packed[:guidBytes])
		packed = packed[guidBytes:]
		var fields [5]int64
		for n := range fields {
			var size int
			if n == 1 {
				fields[n], size = binary.Varint(packed)
			} else {
				var v uint64
				v, size = binary.Uvarint(packed)
				fields[n] = int64(v)
			}
			if size <= 0 {
				return nil, broken
			}
			packed = packed[size:]
		}
		if fields[4] < 0 || fields[4] >= int64(len(errorClasses)) {
			return nil, broken
		}
		previous += fields[1]
		d := webhook.Delivery{At: time.UnixMilli(previous).UTC(), Status: int(fields[2]), Took: time.Duration(fields[3]) * time.Millisecond, Error: errorClasses[fields[4]]}
		if fields[0] > 0 {
			d.EventID = event.ID(guid[:8]+"-"+guid[8:12]+"-"+guid[12:16]+"-"+guid[16:20]+"-"+guid[20:], int(fields[0]))
		}
		deliveries = append(deliveries, d)
	}
	return deliveries, nil
}

var _ interface {
	webhook.Subscriptions
	webhook.Queue
} = (*Table)(nil)
