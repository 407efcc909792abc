// Package partytable provides the register of parties in DynamoDB, which assigns a number, the
// instanceOwnerId, to each official identity. A number never changes. The register stores only
// the keyed digest of an identity.
//
// The table has these items, by PK:
//
//	ID#<digest>      the number of an identity: owner      Find
//	OWNER#<number>   that a number is assigned: digest     Exists
//	COUNTER          the last assigned number: last
//
// One transaction writes the first two.
package partytable

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/coldstart/dynamo"
	"altinn.no/instanceapi/shared/party"
)

const (
	attrKey    = "PK"
	attrOwner  = "owner"
	attrDigest = "digest"
	attrLast   = "last"

	identityPrefix = "ID#"
	ownerPrefix    = "OWNER#"
	counter        = "COUNTER"

	seed        = "50000"               // the first number minus one
	minKey      = 32                    // characters of the digest's key
	maxAttempts = 8                     // of one assignment, if other assignments conflict
	backoff     = 20 * time.Millisecond // the mean delay between attempts
	maxCached   = 4096                  // identities
)

// Table is the table Parties. It is safe for concurrent use.
type Table struct {
	client *dynamodb.Client
	name   string
	key    []byte

	mu    sync.Mutex
	cache map[string]string // number by digest; entries never become stale, because a number never changes
}

// Open returns the table that PARTIES_TABLE names. IDENTITY_KEY is the key of the digests, 32
// characters or more. A different key makes every known identity look new. Open rejects a reference
// that CloudFormation has not resolved. Such a text is long enough for a key, but every reader of
// the template knows it.
func Open(env *coldstart.Env) *Table {
	key := env.String("IDENTITY_KEY")
	if key != "" && len(key) < minKey {
		env.Invalid("IDENTITY_KEY", fmt.Sprintf("must have %d characters or more", minKey))
	}
	if strings.HasPrefix(key, "{{resolve:") {
		env.Invalid("IDENTITY_KEY", "is a reference that was not resolved")
	}
	t := &Table{client: dynamo.Client(env), name: env.String("PARTIES_TABLE"), key: []byte(key)}
	env.OnInit("dynamodb", func(ctx context.Context) error {
		_, err := t.get(ctx, "WARM-UP")
		return err
	})
	return t
}

// New returns the table with this name, which computes digests with key. It fails if key has
// fewer than 32 characters.
func New(client *dynamodb.Client, name string, key []byte) (*Table, error) {
	if len(key) < minKey {
		return nil, fmt.Errorf("the key of the party register must have %d characters or more", minKey)
	}
	return &Table{client: client, name: name, key: key}, nil
}

// Find returns the number of the identity, and whether it has one. It finds every assignment that
// has completed.
func (t *Table) Find(ctx context.Context, identity party.Identity) (instanceOwnerID string, found bool, err error) {
	if !identity.WellFormed() {
		return "", false, nil
	}
	return t.find(ctx, identity.Digest(t.key))
}

// Exists reports whether the number is assigned to a party. It returns false for a malformed
// number.
func (t *Table) Exists(ctx context.Context, instanceOwnerID string) (bool, error) {
	if !party.ValidNumber(instanceOwnerID) {
		return false, nil
	}
	item, err := t.get(ctx, ownerPrefix+instanceOwnerID)
	return item != nil, err
}

// FindOrAssign returns the number of the identity, and assigns the next number if the identity has
// none. It fails for a malformed identity. Concurrent calls return the same number, and so does a
// retry of a call with an unknown outcome. Numbers can be skipped, but none is assigned twice.
func (t *Table) FindOrAssign(ctx context.Context, identity party.Identity) (instanceOwnerID string, err error) {
	if !identity.WellFormed() {
		return "", errors.New("party register: the identity is not well-formed")
	}
	digest, number := identity.Digest(t.key), ""
	for range maxAttempts {
		if found, ok, err := t.find(ctx, digest); ok || err != nil {
			return found, err
		}
		if number == "" {
			if number, err = t.nextNumber(ctx); err != nil {
				return "", err
			}
		}
		err = t.assign(ctx, digest, number)
		var cancelled *types.TransactionCanceledException
		switch {
		case err == nil:
			t.remember(digest, number)
			return number, nil
		case !errors.As(err, &cancelled):
			return "", fmt.Errorf("assign a party its number: %w", err)
		case conditionFailed(cancelled, 0): // another call has assigned a number: find it
			continue
		case conditionFailed(cancelled, 1): // only after the counter was restored from an older backup
			number = ""
		}
		if err := sleep(ctx, rand.N(2*backoff)); err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("assign a party its number: gave up after %d attempts: %w", maxAttempts, err)
}

// find returns the number of a digest, from the cache or the table.
func (t *Table) find(ctx context.Context, digest string) (number string, found bool, err error) {
	t.mu.Lock()
	number, found = t.cache[digest]
	t.mu.Unlock()
	if found {
		return number, true, nil
	}
	item, err := t.get(ctx, identityPrefix+digest)
	if err != nil || item == nil {
		return "", false, err
	}
	owner, ok := item[attrOwner].(*types.AttributeValueMemberS)
	if !ok {
		return "", false, errors.New("party register: the item of an identity has no number")
	}
	t.remember(digest, owner.Value)
	return owner.Value, true, nil
}

// remember adds an entry to the cache. It empties a full cache first; find can read the dropped
// entries again.
func (t *Table) remember(digest, number string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cache == nil || len(t.cache) >= maxCached {
		t.cache = make(map[string]string)
	}
	t.cache[digest] = number
}

func (t *Table) get(ctx context.Context, key string) (map[string]types.AttributeValue, error) {
	out, err := t.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &t.name, Key: item(key, "", ""), ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return nil, fmt.Errorf("party register: %w", err)
	}
	return out.Item, nil
}

// nextNumber increments the counter and returns its new value. If the response is lost, that number
// is skipped.
func (t *Table) nextNumber(ctx context.Context) (string, error) {
	out, err := t.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &t.name, Key: item(counter, "", ""),
		UpdateExpression:         aws.String("SET #last = if_not_exists(#last, :start) + :one"),
		ExpressionAttributeNames: map[string]string{"#last": attrLast},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":start": &types.AttributeValueMemberN{Value: seed},
			":one":   &types.AttributeValueMemberN{Value: "1"},
		},
		ReturnValues: types.ReturnValueUpdatedNew,
	})
	if err != nil {
		return "", fmt.Errorf("increment the party counter: %w", err)
	}
	last, ok := out.Attributes[attrLast].(*types.AttributeValueMemberN)
	if !ok || !party.ValidNumber(last.Value) {
		return "", errors.New("increment the party counter: it is not a whole number")
	}
	return last.Value, nil
}

// assign writes both items if neither exists, and fails otherwise. The SDK sends the same request
// token with every retry, so a retry after a lost response does not conflict with the first
// attempt.
func (t *Table) assign(ctx context.Context, digest, number string) error {
	absent := aws.String("attribute_not_exists(" + attrKey + ")")
	_, err := t.client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{
		TransactItems: []types.TransactWriteItem{
			{Put: &types.Put{TableName: &t.name, Item: item(identityPrefix+digest, attrOwner, number), ConditionExpression: absent}},
			{Put: &types.Put{TableName: &t.name, Item: item(ownerPrefix+number, attrDigest, digest), ConditionExpression: absent}},
		},
	})
	return err
}

// conditionFailed reports whether the n-th condition of the transaction was false.
func conditionFailed(cancelled *types.TransactionCanceledException, n int) bool {
	return n < len(cancelled.CancellationReasons) &&
		aws.ToString(cancelled.CancellationReasons[n].Code) == "ConditionalCheckFailed"
}

// item returns an item with a key and one attribute, or with only the key if attribute is "".
func item(key, attribute, value string) map[string]types.AttributeValue {
	attributes := map[string]types.AttributeValue{attrKey: &types.AttributeValueMemberS{Value: key}}
	if attribute != "" {
		attributes[attribute] = &types.AttributeValueMemberS{Value: value}
	}
	return attributes
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
