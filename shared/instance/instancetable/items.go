package instancetable

import (
	"crypto/rand"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancequery"
)

// maxIndexed is the maximum size, in bytes, of a packed document that the indexes and the items of
// labels contain. A document has this size with some 40 data elements.
const maxIndexed = 4 << 10

// items are the stored items of an instance.
type items struct {
	own     map[string]types.AttributeValue
	labels  []map[string]types.AttributeValue // of the colliding labels, in their order
	writeID []byte                            // in all items
}

// itemsOf returns the items of an instance with the given version.
func itemsOf(i *instance.Instance, version int64) (items, error) {
	packed, err := pack(i)
	if err != nil {
		return items{}, err
	}
	writeID := make([]byte, 8)
	_, _ = rand.Read(writeID) // never fails
	shared := map[string]types.AttributeValue{
		attrPartition: &types.AttributeValueMemberS{Value: i.InstanceOwnerID},
		attrVersion:   &types.AttributeValueMemberN{Value: strconv.FormatInt(version, 10)},
		attrWriteID:   &types.AttributeValueMemberB{Value: writeID},
		attrChanged:   &types.AttributeValueMemberS{Value: instancequery.ChangedKey(i.LastChangedDateTime, i.ID)},
	}
	if len(packed) > maxIndexed {
		shared[attrSize] = &types.AttributeValueMemberN{Value: strconv.Itoa(len(packed))}
	} else {
		shared[attrDocument] = &types.AttributeValueMemberB{Value: packed}
	}
	step, unconfirmed, labels := IndexKeys(i)
	it := items{own: with(shared, attrSort, InstanceKey(i.ID)), writeID: writeID}
	if len(packed) > maxIndexed {
		it.own[attrLarge] = &types.AttributeValueMemberB{Value: packed}
	}
	if downloads := packDownloads(i); downloads != nil {
		it.own[attrDownloads] = &types.AttributeValueMemberB{Value: downloads}
	}
	for index, key := range map[string]string{attrStep: step, attrUnconfirmed: unconfirmed} {
		if key != "" { // an index contains only items with its key
			it.own[index] = &types.AttributeValueMemberS{Value: key}
		}
	}
	colliding := collidingLabels(i.Labels)
	for n, key := range labels {
		label := i.Labels[n]
		if index := LabelIndex(label); slices.Contains(colliding, label) {
			it.labels = append(it.labels, with(shared, attrSort, labelSortKey(i.ID, label), index, key))
		} else {
			it.own[index] = &types.AttributeValueMemberS{Value: key}
		}
	}
	return it, nil
}

// Continue returns a copy of the item of an instance, such as one from a backup, with a changed
// document. change may change only what is in no index, and not the version.
func Continue(item map[string]types.AttributeValue, change func(*instance.Instance)) (map[string]types.AttributeValue, error) {
	i, err := decode(item)
	if err != nil {
		return nil, err
	}
	change(i)
	packed, err := pack(i)
	if err != nil {
		return nil, err
	}
	name := attrDocument
	if _, large := item[attrLarge]; large {
		name = attrLarge
	}
	item = with(item)
	item[name] = &types.AttributeValueMemberB{Value: packed}
	return item, nil
}
