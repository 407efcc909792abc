package instancetable

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/busy"
	"altinn.no/instanceapi/shared/instance"
)

// RecordDownload changes only the recorded downloads of an instance: it calls record with i, and
// stores the downloads if nothing else was written since i was read. Otherwise it reads the
// instance again and repeats, and returns fault.Busy after busy.MaxRaces repetitions. record may be
// called several times. If record returns instance.ErrUnchanged, RecordDownload writes nothing and
// succeeds. It returns any other error of record.
//
// The version of the instance stays. The downloads are an attribute that no index contains, so a
// record costs the units of the instance's own item: one, up to about nine data elements.
func (t *Table) RecordDownload(ctx context.Context, i *instance.Instance, record func(*instance.Instance) error) error {
	ctx = busy.WithBudget(ctx)
	for {
		before := packDownloads(i)
		err := record(i)
		if errors.Is(err, instance.ErrUnchanged) {
			return nil
		}
		if err != nil {
			return err
		}
		err = t.writeDownloads(ctx, i, before)
		if !errors.Is(err, errConflict) {
			return err
		}
		if err := busy.Race(ctx); err != nil {
			return err
		}
		if i, err = t.Get(ctx, i.InstanceOwnerID, i.ID); err != nil {
			return err
		}
	}
}

// writeDownloads stores the downloads of i if the stored version is i's, and the stored downloads
// are before. Otherwise it returns errConflict.
func (t *Table) writeDownloads(ctx context.Context, i *instance.Instance, before []byte) error {
	downloads := packDownloads(i)
	condition, values := unchangedSince(i.Version, before)
	values[":downloads"] = &types.AttributeValueMemberB{Value: downloads}
	_, err := t.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                           &t.name,
		Key:                                 instanceItemKey(i.InstanceOwnerID, i.ID),
		UpdateExpression:                    aws.String("SET " + attrDownloads + " = :downloads"),
		ConditionExpression:                 &condition,
		ExpressionAttributeValues:           values,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	current, err := asConflict(err)
	// The SDK retries when a response is lost. If the first attempt was applied, the condition of
	// the retry fails, but the stored downloads are those of this write.
	if errors.Is(err, errConflict) && len(downloads) > 0 && bytes.Equal(downloadsOf(current), downloads) {
		return nil
	}
	return err
}

// unchangedSince returns the condition that an instance has the given version and downloads, and
// its values.
func unchangedSince(version int64, downloads []byte) (condition string, values map[string]types.AttributeValue) {
	condition = attrVersion + " = :read AND "
	values = map[string]types.AttributeValue{":read": &types.AttributeValueMemberN{Value: strconv.FormatInt(version, 10)}}
	if len(downloads) == 0 {
		return condition + "attribute_not_exists(" + attrDownloads + ")", values
	}
	values[":downloaded"] = &types.AttributeValueMemberB{Value: downloads}
	return condition + attrDownloads + " = :downloaded", values
}

// downloadsOf returns the stored downloads in an item, or nil.
func downloadsOf(item map[string]types.AttributeValue) []byte {
	stored, _ := item[attrDownloads].(*types.AttributeValueMemberB)
	if stored == nil {
		return nil
	}
	return stored.Value
}

// packDownloads returns the stored form of the recorded downloads of all elements: for each element
// their number, and for each download the microseconds since the one before. The first follows the
// creation of the instance. All numbers are varints, so a download takes about six bytes. It
// returns nil if there are none.
func packDownloads(i *instance.Instance) []byte {
	var b []byte
	recorded := false
	for n := range i.Data {
		times := downloads(&i.Data[n])
		recorded = recorded || len(times) > 0
		b = binary.AppendUvarint(b, uint64(len(times)))
		previous := i.CreatedDateTime
		for _, at := range times {
			b = binary.AppendVarint(b, at.UnixMicro()-previous.UnixMicro())
			previous = at
		}
	}
	if !recorded {
		return nil
	}
	return b
}

// unpackDownloads sets the recorded downloads of all elements. It fails if packed is not the stored
// form of downloads of as many elements.
func unpackDownloads(i *instance.Instance, packed []byte) error {
	for n := range i.Data {
		times, rest, ok := readTimes(packed, i.CreatedDateTime)
		if !ok && len(packed) > 0 {
			return errors.New("stored downloads: invalid")
		}
		packed = rest
		i.Data[n] = i.Data[n].WithDownloads(times)
	}
	if len(packed) > 0 {
		return errors.New("stored downloads: of more data elements than the instance has")
	}
	return nil
}

// readTimes reads the times of one element from packed, and returns what follows. It reports
// whether packed begins with such times.
func readTimes(packed []byte, previous time.Time) (times []time.Time, rest []byte, ok bool) {
	count, size := binary.Uvarint(packed)
	if size <= 0 || count > uint64(len(packed)) {
		return nil, nil, false
	}
	packed = packed[size:]
	for range count {
		since, size := binary.Varint(packed)
		if size <= 0 {
			return nil, nil, false
		}
		packed = packed[size:]
		previous = time.UnixMicro(previous.UnixMicro() + since).UTC()
		times = append(times, previous)
	}
	return times, packed, true
}

// downloads returns the recorded downloads of an element.
func downloads(d *instance.DataElement) []time.Time {
	if d.ApplicationOwner == nil {
		return nil
	}
	return d.ApplicationOwner.Downloaded
}
