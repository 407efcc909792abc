// Package partytable provides the register of parties in DynamoDB, which assigns a random number,
// the instanceOwnerId, to a party, and links the party's official identities to it. The party of an
// identity never changes. The register stores only the keyed digest of an identity.
//
// The table has these items, by PK:
//
//	ID#<digest>      the number of an identity's party: owner    Find, Lookup
//	OWNER#<number>   that a number is assigned                   Exists
//
// Each assignment and each link is one transaction on condition that none of its items exists. So
// concurrent calls agree, and no party has only a part of its items. A call whose condition fails
// reads the identities again.
package partytable

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/busy"
	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/coldstart/dynamo"
	"altinn.no/instanceapi/shared/coldstart/secret"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/party"
)

const (
	attrKey   = "PK"
	attrOwner = "owner"

	identityPrefix = "ID#"
	ownerPrefix    = "OWNER#"

	minKey    = 32   // characters of the digest's key
	maxCached = 4096 // identities
)

// Table is the table Parties. It is safe for concurrent use.
type Table struct {
	client *dynamodb.Client
	name   string
	key    func(context.Context) (string, error) // of the digests

	mu    sync.Mutex
	cache map[string]string // number by digest; entries never become stale, because the party of an identity never changes
}

// Open returns the table that PARTIES_TABLE names. The key of the digests, 32 characters or more,
// is the text of the secret whose ARN is in IDENTITY_KEY_SECRET. A local run without Secrets
// Manager can set IDENTITY_KEY to the key itself. A different key makes every known identity look
// new.
func Open(env *coldstart.Env) *Table {
	t := &Table{client: dynamo.Client(env), name: env.String("PARTIES_TABLE")}
	if key := env.Optional("IDENTITY_KEY", ""); key != "" {
		if err := checkKey(key); err != nil {
			env.Invalid("IDENTITY_KEY", err.Error())
		}
		t.key = fixed(key)
	} else {
		t.key = secret.Open(env, env.String("IDENTITY_KEY_SECRET"), checkKey).Text
	}
	env.OnInit("dynamodb", func(ctx context.Context) error {
		_, err := t.get(ctx, "WARM-UP")
		return err
	})
	return t
}

// New returns the table with this name, which computes digests with key. It fails if key has
// fewer than 32 characters.
func New(client *dynamodb.Client, name string, key []byte) (*Table, error) {
	if err := checkKey(string(key)); err != nil {
		return nil, fmt.Errorf("the key of the party register %w", err)
	}
	return &Table{client: client, name: name, key: fixed(string(key))}, nil
}

func fixed(key string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return key, nil }
}

// checkKey rejects a key that is too short, and text that is long enough but no secret key: a
// reference that CloudFormation has not resolved, and the JSON that the console of Secrets Manager
// stores for "key/value". The error is a phrase that follows the name of the key.
func checkKey(key string) error {
	switch {
	case strings.HasPrefix(key, "{{resolve:"):
		return errors.New("is a reference that was not resolved")
	case strings.HasPrefix(key, "{"):
		return errors.New("is JSON; store the key itself as plain text")
	case len(key) < minKey:
		return fmt.Errorf("must have %d characters or more", minKey)
	}
	return nil
}

// Find returns the number of the first identity that has one, in the given order, and links the
// identities that have none to the same party. All identities must be the caller's own: see package
// party. found is false if no identity has a number; Find then changes nothing. It fails for a
// malformed identity. It finds every assignment that has completed. Only the first call with new
// identities writes.
func (t *Table) Find(ctx context.Context, identities ...party.Identity) (instanceOwnerID string, found bool, err error) {
	instanceOwnerID, err = t.resolve(ctx, identities, false)
	return instanceOwnerID, instanceOwnerID != "", err
}

// Lookup returns the number of an identity's party, or "" if the identity has none. Unlike Find,
// it links nothing, so the identity can be another party's. It fails for a malformed identity. It
// finds every assignment that has completed.
func (t *Table) Lookup(ctx context.Context, identity party.Identity) (instanceOwnerID string, err error) {
	digests, err := t.digests(ctx, []party.Identity{identity})
	if err != nil {
		return "", err
	}
	return t.find(ctx, digests[0])
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

// FindOrAssign is like Find, but assigns a new number to all identities if none has a number. It
// fails for a malformed identity and without any identity. Concurrent calls return the same number,
// and so does a retry of a call with an unknown outcome. No number is assigned to two parties.
func (t *Table) FindOrAssign(ctx context.Context, identities ...party.Identity) (instanceOwnerID string, err error) {
	if len(identities) == 0 {
		return "", errors.New("party register: no identity to assign a number to")
	}
	return t.resolve(ctx, identities, true)
}

// resolve returns the number of the first known identity, and links the new ones to it. If none is
// known, it assigns a number, or returns "" if assign is false. It returns fault.Busy after
// busy.MaxRaces conflicts with other calls.
func (t *Table) resolve(ctx context.Context, identities []party.Identity, assign bool) (string, error) {
	digests, err := t.digests(ctx, identities)
	if err != nil {
		return "", err
	}
	ctx = busy.WithBudget(ctx)
	for {
		number, unknown, err := t.findAll(ctx, digests)
		if err != nil {
			return "", err
		}
		if len(unknown) == 0 || number == "" && !assign {
			return number, nil
		}
		isNew := number == ""
		if isNew {
			number = party.NewNumber()
		}
		err = t.link(ctx, number, isNew, unknown)
		var cancelled *types.TransactionCanceledException
		switch {
		case err == nil:
			for _, digest := range unknown {
				t.remember(digest, number)
			}
			return number, nil
		case fault.IsBusy(err) || !errors.As(err, &cancelled):
			return "", fmt.Errorf("link identities to a party: %w", err)
		}
		// Another call has used an identity or, once in a billion calls, the number.
		if err := busy.Race(ctx); err != nil {
			return "", err
		}
	}
}

// digests returns the digests of identities in the same order, without duplicates, because a
// transaction writes an item once. It fails if an identity is malformed.
func (t *Table) digests(ctx context.Context, identities []party.Identity) ([]string, error) {
	key, err := t.key(ctx)
	if err != nil {
		return nil, fmt.Errorf("party register: %w", err)
	}
	var digests []string
	for _, identity := range identities {
		if !identity.WellFormed() {
			return nil, errors.New("party register: an identity is not well-formed")
		}
		if digest := identity.Digest([]byte(key)); !slices.Contains(digests, digest) {
			digests = append(digests, digest)
		}
	}
	return digests, nil
}

// findAll returns the number of the first known digest, or "", and the digests without a number. It
// reads them in parallel.
func (t *Table) findAll(ctx context.Context, digests []string) (number string, unknown []string, err error) {
	numbers, errs := make([]string, len(digests)), make([]error, len(digests))
	var reads sync.WaitGroup
	for n := range digests {
		reads.Go(func() { numbers[n], errs[n] = t.find(ctx, digests[n]) })
	}
	reads.Wait()
	for n, each := range numbers {
		switch {
		case each == "":
			unknown = append(unknown, digests[n])
		case number == "":
			number = each
		}
	}
	return number, unknown, errors.Join(errs...)
}

// find returns the number of a digest, from the cache or the table, or "" if it has none.
func (t *Table) find(ctx context.Context, digest string) (number string, err error) {
	t.mu.Lock()
	number = t.cache[digest]
	t.mu.Unlock()
	if number != "" {
		return number, nil
	}
	item, err := t.get(ctx, identityPrefix+digest)
	if err != nil || item == nil {
		return "", err
	}
	owner, ok := item[attrOwner].(*types.AttributeValueMemberS)
	if !ok || owner.Value == "" {
		return "", errors.New("party register: the item of an identity has no number")
	}
	t.remember(digest, owner.Value)
	return owner.Value, nil
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
		TableName: &t.name, Key: item(key), ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return nil, fmt.Errorf("party register: %w", err)
	}
	return out.Item, nil
}

// link writes the items of identities, and the item of their number if it is new. It writes all of
// them, or none and fails if one exists. The SDK sends the same request token with every retry, so
// a retry after a lost response does not conflict with the first attempt.
func (t *Table) link(ctx context.Context, number string, isNew bool, digests []string) error {
	var writes []types.TransactWriteItem
	put := func(item map[string]types.AttributeValue) {
		writes = append(writes, types.TransactWriteItem{Put: &types.Put{
			TableName: &t.name, Item: item, ConditionExpression: aws.String("attribute_not_exists(" + attrKey + ")"),
		}})
	}
	if isNew {
		put(item(ownerPrefix + number))
	}
	for _, digest := range digests {
		of := item(identityPrefix + digest)
		of[attrOwner] = &types.AttributeValueMemberS{Value: number}
		put(of)
	}
	_, err := t.client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: writes})
	return err
}

// item returns an item with only its key.
func item(key string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{attrKey: &types.AttributeValueMemberS{Value: key}}
}
