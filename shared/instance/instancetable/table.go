// Package instancetable stores instances in DynamoDB: one item per instance, further items for
// labels whose indexes collide, and one way to change an instance, Mutate. It does not decide
// whether a change is allowed; the change function does.
//
// # Deflated documents
//
// A change costs write units by the size of the document, once for the item and once for every
// index entry. The document is therefore stored as JSON, deflated with a preset dictionary. One
// short document contains little repetition, so deflate alone saves little; the dictionary holds
// the text that all documents share. With up to about nine data elements an instance takes one
// write unit. As a map of attributes it would take three to eight. So every index can carry
// complete documents, and a page of a query is one call.
//
// # Large documents
//
// A document of more than 4 KB, with some 40 data elements or more, is stored once. The indexes
// and the items of labels then contain its size, and a query reads the documents of such rows from
// the instances' own items. So a change costs the document's units once, not once for each index.
//
// # Label indexes
//
// Queries by label need an index entry for each label, but an item has one entry in an index. An
// item for each label would make every change of an instance a transaction, which costs twice the
// units for each item. Instead there are eight label indexes, and a hash assigns each label to one
// of them. The instance's own item is the entry for its labels in all indexes. Only a label whose
// index is in use already needs a second item; see keys.go. Most instances need none, so a change
// is one conditional put. One pair of labels in eight collides and costs two or three more units
// per change.
//
// # Packed rows
//
// A query reads more rows than it shows: the first rows of every partition, and a margin. The rows
// stay packed until the query needs their documents, because an unpacked document takes several
// times as much memory, and unpacking it takes half as long as the read.
//
// # Measurements
//
// These commands print the units of every operation, and the units and times of pages:
//
//	make bench WHAT=ledger
//	make bench WHAT=query
package instancetable

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/busy"
	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/coldstart/dynamo"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/outboxtable"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/instance"
)

// Table is the table of instances and, for the events of changes, the outbox table.
type Table struct {
	client *dynamodb.Client
	name   string
	outbox string // empty for a function that creates no events
}

// Open returns the table named by INSTANCES_TABLE, for functions that create no events.
func Open(env *coldstart.Env) *Table {
	t := New(dynamo.Client(env), env.String("INSTANCES_TABLE"), "")
	env.OnInit("dynamodb", func(ctx context.Context) error {
		_, err := t.item(ctx, "0", InstanceKey("warm-up"))
		return err
	})
	return t
}

// OpenWithOutbox returns the tables named by INSTANCES_TABLE and OUTBOX_TABLE, for functions whose
// changes create events.
func OpenWithOutbox(env *coldstart.Env) *Table {
	t := Open(env)
	t.outbox = env.String("OUTBOX_TABLE")
	return t
}

// New returns the tables with the given names. Without an outbox, a change that creates an event is
// an error.
func New(client *dynamodb.Client, name, outbox string) *Table {
	return &Table{client: client, name: name, outbox: outbox}
}

// Get returns the instance, or fault.NoSuchResource. The read is strongly consistent.
func (t *Table) Get(ctx context.Context, instanceOwnerID, id string) (*instance.Instance, error) {
	item, err := t.item(ctx, instanceOwnerID, InstanceKey(id))
	if err != nil {
		return nil, err
	}
	if item == nil {
		return nil, fault.NoSuchResource()
	}
	return decode(item)
}

// Create stores a new instance and its first event in one transaction, and sets i.Version. It
// returns instance.ErrAlreadyApplied if the instance's idempotency record exists, fault.Busy if
// other transactions with the same items do not end in time, and another error if the id exists.
func (t *Table) Create(ctx context.Context, i *instance.Instance, ev event.Event) error {
	ctx = busy.WithBudget(ctx)
	for {
		err := t.write(ctx, nil, i, []event.Event{ev})
		if err == nil {
			i.Version = 1
			return nil
		}
		if !errors.Is(err, errInUse) {
			return err
		}
		if err := busy.Race(ctx); err != nil {
			return err
		}
	}
}

// Mutate changes an instance: it reads the instance, calls change with it, and writes it if no
// other write came between. Otherwise it repeats all three steps, and returns fault.Busy after
// busy.MaxRaces repetitions. So change may be called several times, each time with a newly read
// document, and must have no other effect. change may return events in order, which Mutate stores
// in the same transaction. If change returns
// instance.ErrUnchanged, Mutate stores only the idempotency records and returns the document.
// Mutate returns any other error of change.
func (t *Table) Mutate(ctx context.Context, instanceOwnerID, id string, change func(*instance.Instance) ([]event.Event, error)) (*instance.Instance, error) {
	i, err := t.Get(ctx, instanceOwnerID, id)
	if err != nil {
		return nil, err
	}
	return t.MutateFrom(ctx, i, change)
}

// MutateFrom is Mutate for an instance that the caller has just read. It reads the instance only if
// another write came between. The caller must not use i afterwards.
func (t *Table) MutateFrom(ctx context.Context, i *instance.Instance, change func(*instance.Instance) ([]event.Event, error)) (*instance.Instance, error) {
	ctx = busy.WithBudget(ctx)
	for {
		before := keysOf(i)
		events, err := change(i)
		if errors.Is(err, instance.ErrUnchanged) {
			return i, t.writeIdempotencyRecord(ctx, i)
		}
		if err != nil {
			return nil, err
		}
		err = t.write(ctx, &before, i, events)
		if err == nil {
			i.Version++
			return i, nil
		}
		if !errors.Is(err, errConflict) {
			return nil, err
		}
		if err := busy.Race(ctx); err != nil {
			return nil, err
		}
		if i, err = t.Get(ctx, i.InstanceOwnerID, i.ID); err != nil {
			return nil, err
		}
	}
}

// errConflict is returned by write if another write came between. errInUse is the errConflict of a
// transaction with an item that another transaction is writing.
var (
	errConflict = errors.New("another write came between")
	errInUse    = fmt.Errorf("%w: the item is in another transaction", errConflict)
)

// keys is what write must know about the document before the change.
type keys struct {
	version   int64
	downloads []byte
	labels    []string // each with a separate item
}

func keysOf(i *instance.Instance) keys {
	return keys{version: i.Version, downloads: packDownloads(i), labels: collidingLabels(i.Labels)}
}

// write stores i as the next version if the stored version and downloads are still those of before,
// or if before is nil and the instance does not exist. Otherwise it returns errConflict. A single
// item is one conditional put, several items are one transaction.
func (t *Table) write(ctx context.Context, before *keys, i *instance.Instance, events []event.Event) error {
	stored, err := itemsOf(i, i.Version+1)
	if err != nil {
		return err
	}
	put := &types.Put{
		TableName: &t.name, Item: stored.own,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
	condition := "attribute_not_exists(" + attrPartition + ")"
	if before != nil {
		condition, put.ExpressionAttributeValues = unchangedSince(before.version, before.downloads)
	}
	put.ConditionExpression = &condition

	transactItems, err := t.transactItems(stored, before, i, events)
	if err != nil {
		return err
	}
	var committed []*instance.Upload
	for r := i.IdempotencyRecord; r != nil; r = r.Next {
		transactItems = append(transactItems, types.TransactWriteItem{Put: t.idempotencyRecord(i, r, time.Now())})
		if r.Commits != nil {
			committed = append(committed, r.Commits)
		}
	}
	if len(committed) > 0 {
		transactItems = append(transactItems, types.TransactWriteItem{Update: t.closeUploads(committed)})
	}
	var current map[string]types.AttributeValue
	if len(transactItems) == 0 {
		current, err = t.put(ctx, put)
	} else {
		current, err = t.transact(ctx, append([]types.TransactWriteItem{{Put: put}}, transactItems...))
	}
	// The SDK retries when a response is lost. If the first attempt was applied, the condition of
	// the retry fails, but the stored item has the write id of this write.
	if errors.Is(err, errConflict) && isWriteID(current, stored.writeID) {
		return nil
	}
	return err
}

// transactItems returns the other items of a write: its label items, the deletion of label items
// that are no longer needed, and the events.
func (t *Table) transactItems(stored items, before *keys, i *instance.Instance, events []event.Event) ([]types.TransactWriteItem, error) {
	var transactItems []types.TransactWriteItem
	for _, item := range stored.labels {
		transactItems = append(transactItems, types.TransactWriteItem{Put: &types.Put{TableName: &t.name, Item: item}})
	}
	if before != nil {
		colliding := collidingLabels(i.Labels)
		for _, label := range before.labels {
			if !slices.Contains(colliding, label) {
				transactItems = append(transactItems, types.TransactWriteItem{Delete: &types.Delete{TableName: &t.name, Key: map[string]types.AttributeValue{
					attrPartition: stored.own[attrPartition],
					attrSort:      &types.AttributeValueMemberS{Value: labelSortKey(i.ID, label)},
				}}})
			}
		}
	}
	if len(events) > 0 && t.outbox == "" {
		return nil, errors.New("instancetable: a change created an event, but the table has no outbox")
	}
	for n, ev := range events {
		item, err := outboxtable.TransactPut(t.outbox, ev, i.EventCount-len(events)+1+n)
		if err != nil {
			return nil, err
		}
		transactItems = append(transactItems, item)
	}
	return transactItems, nil
}

func (t *Table) put(ctx context.Context, put *types.Put) (current map[string]types.AttributeValue, err error) {
	_, err = t.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: put.TableName, Item: put.Item,
		ConditionExpression: put.ConditionExpression, ExpressionAttributeValues: put.ExpressionAttributeValues,
		ReturnValuesOnConditionCheckFailure: put.ReturnValuesOnConditionCheckFailure,
	})
	return asConflict(err)
}

// asConflict returns errConflict, and the current item if it is known, for the error of a write of
// one item that another write came before. It returns any other error unchanged.
func asConflict(err error) (current map[string]types.AttributeValue, conflict error) {
	if failed, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
		return failed.Item, errConflict
	}
	if _, ok := errors.AsType[*types.TransactionConflictException](err); ok {
		return nil, errConflict
	}
	return nil, err
}

func (t *Table) transact(ctx context.Context, items []types.TransactWriteItem) (current map[string]types.AttributeValue, err error) {
	_, err = t.client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: items})
	var cancelled *types.TransactionCanceledException
	if fault.IsBusy(err) || !errors.As(err, &cancelled) {
		return nil, err
	}
	for n, reason := range cancelled.CancellationReasons {
		switch code := aws.ToString(reason.Code); {
		case code == "None":
		case n == 0 && code == "ConditionalCheckFailed":
			return reason.Item, errConflict
		case code == "ThrottlingError" || code == "ProvisionedThroughputExceeded":
			// The client has not repeated the transaction, so another reason decides.
		case code == "TransactionConflict":
			err = errInUse
		case code == "ConditionalCheckFailed" && identifiesRequest(items[n]):
			return nil, instance.ErrAlreadyApplied
		case code == "ConditionalCheckFailed":
			// The condition of the outbox item: its event number exists, so the document was out of
			// date.
			err = errConflict
		default:
			return nil, fmt.Errorf("transaction item %d: %s: %w", n, code, err)
		}
	}
	return nil, err
}

func (t *Table) item(ctx context.Context, partition, sort string) (map[string]types.AttributeValue, error) {
	out, err := t.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &t.name,
		Key: map[string]types.AttributeValue{
			attrPartition: &types.AttributeValueMemberS{Value: partition},
			attrSort:      &types.AttributeValueMemberS{Value: sort},
		},
		// A client must read its own completed write.
		ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return nil, err
	}
	return out.Item, nil
}

// decode returns the instance stored in its own item, with its recorded downloads.
func decode(item map[string]types.AttributeValue) (*instance.Instance, error) {
	packed, version, err := documentOf(item)
	if err != nil {
		return nil, err
	}
	i, err := unpack(packed, version)
	if err != nil {
		return nil, err
	}
	return i, unpackDownloads(i, downloadsOf(item))
}

// documentOf returns the packed document in an item, and its version.
func documentOf(item map[string]types.AttributeValue) (packed []byte, version int64, err error) {
	document, ok := item[attrDocument].(*types.AttributeValueMemberB)
	if !ok {
		document, ok = item[attrLarge].(*types.AttributeValueMemberB)
	}
	number, ok2 := item[attrVersion].(*types.AttributeValueMemberN)
	if !ok || !ok2 {
		return nil, 0, errors.New("stored instance: document or version missing")
	}
	if version, err = strconv.ParseInt(number.Value, 10, 64); err != nil {
		return nil, 0, fmt.Errorf("stored instance: version: %w", err)
	}
	return document.Value, version, nil
}

// with returns a copy of item with additional string attributes, given as name, value, name, value…
func with(item map[string]types.AttributeValue, pairs ...string) map[string]types.AttributeValue {
	out := make(map[string]types.AttributeValue, len(item)+len(pairs)/2)
	for name, value := range item {
		out[name] = value
	}
	for n := 0; n < len(pairs); n += 2 {
		out[pairs[n]] = &types.AttributeValueMemberS{Value: pairs[n+1]}
	}
	return out
}

func isWriteID(item map[string]types.AttributeValue, writeID []byte) bool {
	stored, ok := item[attrWriteID].(*types.AttributeValueMemberB)
	return ok && slices.Equal(stored.Value, writeID)
}
