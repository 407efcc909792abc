// Package instancetable provides the store of instances in DynamoDB: one item an instance, further ones for labels
// that share an index, and the one way to change them. It never decides whether a change is allowed: that is the
// change's own business.
package instancetable

import (
	"context"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/coldstart/dynamo"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/event/outboxtable"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/instance"
)

// Table is the tables Instances and, for the events of changes, Outbox.
type Table struct {
	client *dynamodb.Client
	name   string
	outbox string // empty for a function that makes no events
}

// Open returns the table that INSTANCES_TABLE names, for functions that make no events.
func Open(env *coldstart.Env) *Table {
	t := New(dynamo.Client(env), env.String("INSTANCES_TABLE"), "")
	env.OnInit("dynamodb", func(ctx context.Context) error {
		_, err := t.item(ctx, "0", InstanceKey("warm-up"))
		return err
	})
	return t
}

// OpenWithOutbox returns the tables that INSTANCES_TABLE and OUTBOX_TABLE name, for functions whose changes are
// events.
func OpenWithOutbox(env *coldstart.Env) *Table {
	t := Open(env)
	t.outbox = env.String("OUTBOX_TABLE")
	return t
}

// New returns the table with the names given. Without an outbox a change that makes an event is an error.
func New(client *dynamodb.Client, name, outbox string) *Table {
	return &Table{client: client, name: name, outbox: outbox}
}

// Get returns the instance, as of all writes that have been answered; fault.NoSuchResource when there is none.
func (t *Table) Get(ctx context.Context, ownerID, id string) (*instance.Instance, error) {
	item, err := t.item(ctx, ownerID, InstanceKey(id))
	if err != nil {
		return nil, err
	}
	if item == nil {
		return nil, fault.NoSuchResource()
	}
	return decode(item)
}

// Create stores a new instance together with its first event, both or neither.
func (t *Table) Create(ctx context.Context, i *instance.Instance, ev event.Event) error {
	err := t.write(ctx, nil, i, &ev)
	if err == nil {
		i.Version = 1
	}
	return err
}

// Mutate changes an instance: it reads it, lets change alter the document, and writes it if nobody else has written
// meanwhile; otherwise it does all three again, until ctx ends. change may thus be called several times, each time
// with a fresh document, and must have no effect besides. It may return an event, which is stored with the change,
// both or neither; instance.ErrUnchanged, upon which nothing is written and the document is returned as it is; or
// another error, which Mutate returns.
func (t *Table) Mutate(ctx context.Context, ownerID, id string, change func(*instance.Instance) (*event.Event, error)) (*instance.Instance, error) {
	i, err := t.Get(ctx, ownerID, id)
	if err != nil {
		return nil, err
	}
	return t.MutateFrom(ctx, i, change)
}

// MutateFrom is Mutate for an instance that has just been read: unless somebody else writes meanwhile, it is not
// read again. It takes i over.
func (t *Table) MutateFrom(ctx context.Context, i *instance.Instance, change func(*instance.Instance) (*event.Event, error)) (*instance.Instance, error) {
	for attempt := 0; ; attempt++ {
		before := keysOf(i)
		ev, err := change(i)
		if errors.Is(err, instance.ErrUnchanged) {
			return i, t.writeIdempotencyRecord(ctx, i)
		}
		if err != nil {
			return nil, err
		}
		err = t.write(ctx, &before, i, ev)
		if err == nil {
			i.Version++
			return i, nil
		}
		if !errors.Is(err, errConflict) {
			return nil, err
		}
		if err := backoff(ctx, attempt); err != nil {
			return nil, err
		}
		if i, err = t.Get(ctx, i.InstanceOwnerID, i.ID); err != nil {
			return nil, err
		}
	}
}

// errConflict is returned by write when another write came between.
var errConflict = errors.New("another write came between")

// keys is what write must know of the document as it was read.
type keys struct {
	version int64
	labels  []string // that it has items for
}

func keysOf(i *instance.Instance) keys {
	return keys{version: i.Version, labels: collidingLabels(i.Labels)}
}

// write stores i as the version after its own, if the stored version is still before's; before is nil for an
// instance that must not exist yet. One item is one conditional put; more are one transaction.
func (t *Table) write(ctx context.Context, before *keys, i *instance.Instance, ev *event.Event) error {
	stored, err := itemsOf(i, i.Version+1)
	if err != nil {
		return err
	}
	put := &types.Put{
		TableName: &t.name, Item: stored.own,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
	if before == nil {
		put.ConditionExpression = aws.String("attribute_not_exists(" + attrPartition + ")")
	} else {
		put.ConditionExpression = aws.String(attrVersion + " = :read")
		put.ExpressionAttributeValues = map[string]types.AttributeValue{
			":read": &types.AttributeValueMemberN{Value: strconv.FormatInt(before.version, 10)},
		}
	}

	transactItems, err := t.transactItems(stored, before, i, ev)
	if err != nil {
		return err
	}
	for r := i.IdempotencyRecord; r != nil; r = r.Next {
		transactItems = append(transactItems, types.TransactWriteItem{Put: t.idempotencyRecord(stored.own, r, time.Now())})
	}
	var current map[string]types.AttributeValue
	if len(transactItems) == 0 {
		current, err = t.put(ctx, put)
	} else {
		current, err = t.transact(ctx, append([]types.TransactWriteItem{{Put: put}}, transactItems...))
	}
	// The SDK sends a request again when its answer is lost. When the first one had been applied, the second fails
	// on its own effect: it finds the mark that this write made.
	if errors.Is(err, errConflict) && isWriteID(current, stored.writeID) {
		return nil
	}
	return err
}

// transactItems returns the rest of a write that is more than the instance's own item: its label items, those that it needs
// no longer, and the event.
func (t *Table) transactItems(stored items, before *keys, i *instance.Instance, ev *event.Event) ([]types.TransactWriteItem, error) {
	var transactItems []types.TransactWriteItem
	for _, item := range stored.labels {
		transactItems = append(transactItems, types.TransactWriteItem{Put: &types.Put{TableName: &t.name, Item: item}})
	}
	if before != nil {
		further := collidingLabels(i.Labels)
		for _, label := range before.labels {
			if !slices.Contains(further, label) {
				transactItems = append(transactItems, types.TransactWriteItem{Delete: &types.Delete{TableName: &t.name, Key: map[string]types.AttributeValue{
					attrPartition: stored.own[attrPartition],
					attrSort:      &types.AttributeValueMemberS{Value: labelSortKey(i.ID, label)},
				}}})
			}
		}
	}
	if ev != nil {
		if t.outbox == "" {
			return nil, errors.New("instancetable: a change made an event, but the table was opened without an outbox")
		}
		item, err := outboxtable.TransactPut(t.outbox, *ev, i.EventCount)
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
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return failed.Item, errConflict
	}
	var conflict *types.TransactionConflictException
	if errors.As(err, &conflict) {
		return nil, errConflict
	}
	return nil, err
}

func (t *Table) transact(ctx context.Context, items []types.TransactWriteItem) (current map[string]types.AttributeValue, err error) {
	_, err = t.client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: items})
	var cancelled *types.TransactionCanceledException
	if !errors.As(err, &cancelled) {
		return nil, err
	}
	for n, reason := range cancelled.CancellationReasons {
		switch code := aws.ToString(reason.Code); {
		case code == "None":
		case n == 0 && code == "ConditionalCheckFailed":
			return reason.Item, errConflict
		case code == "TransactionConflict" || code == "ThrottlingError" || code == "ProvisionedThroughputExceeded":
			err = errConflict // the same again in a moment
		case code == "ConditionalCheckFailed" && isIdempotencyRecord(items[n].Put.Item):
			return nil, instance.ErrAlreadyApplied
		case code == "ConditionalCheckFailed":
			// The outbox item: its number is taken, so the document was stale.
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
		// A client that has just been answered reads its own write.
		ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return nil, err
	}
	return out.Item, nil
}

// decode returns the instance in an item of the table or of one of its indexes.
func decode(item map[string]types.AttributeValue) (*instance.Instance, error) {
	packed, ok := item[attrDocument].(*types.AttributeValueMemberB)
	number, ok2 := item[attrVersion].(*types.AttributeValueMemberN)
	if !ok || !ok2 {
		return nil, errors.New("stored instance: document or version missing")
	}
	version, err := strconv.ParseInt(number.Value, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("stored instance: version: %w", err)
	}
	return unpack(packed.Value, version)
}

// with returns a copy of item with string attributes added, given as name, value, name, value…
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

// backoff waits a random moment that grows with the attempt, up to 400 ms, or until ctx ends.
func backoff(ctx context.Context, attempt int) error {
	most := min(10*time.Millisecond<<min(attempt, 10), 400*time.Millisecond)
	wait := mathrand.N(most) // jitter: those who collided must not collide again
	select {
	case <-time.After(wait):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
