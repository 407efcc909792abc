package instancetable

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"uuid"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"altinn.no/instanceapi/shared/instance"
)

// largestInstance returns an instance of the maximum size, with text that compresses least.
func largestInstance() *instance.Instance {
	random := rand.New(rand.NewPCG(1, 2))
	letters := func(n int) string {
		text := make([]rune, n)
		for i := range text {
			text[i] = rune(0x10000 + random.IntN(0x1000)) // four bytes each
		}
		return string(text)
	}
	ascii := func(n int) string {
		text := make([]byte, n)
		for i := range text {
			text[i] = byte('!' + random.IntN('~'-'!'))
		}
		return string(text)
	}
	moment := func() time.Time { return time.UnixMicro(1_700_000_000_000_000 + random.Int64N(1e15)).UTC() }
	due := moment()
	i := &instance.Instance{
		ID: uuid.New().String(), AppID: ascii(92), InstanceOwnerID: "123456789012345", CreatedBy: ascii(64), LastChangedBy: ascii(64),
		DueDateTime: &due, VisibleDateTime: &due, PresentationField: letters(instance.MaxPresentationField), Workflow: instance.Workflow{CurrentStep: ascii(64), SubmittedDateTime: &due},
		Status:    instance.Status{ArchivedDateTime: &due, SoftDeletedDateTime: &due, ReadStatus: instance.UpdatedSinceLastReview},
		Submitted: true, AllConfirmed: due,
	}
	i.Status.Substatus = &instance.Substatus{
		Label: letters(instance.MaxSubstatusLabel), Description: letters(instance.MaxSubstatusDescription), ChangedDateTime: moment(),
	}
	i.Workflow.Reason = letters(instance.MaxReason)
	for range instance.MaxNotes {
		i.Workflow.Notes = append(i.Workflow.Notes, instance.Note{At: moment(), By: ascii(64), Step: ascii(64), Reason: letters(instance.MaxReason)})
	}
	for range instance.MaxLabels {
		i.Labels = append(i.Labels, letters(instance.MaxLabelLength))
	}
	for range instance.MaxDataElements {
		d := instance.DataElement{
			ID: uuid.New().String(), FormID: ascii(64), ContentType: ascii(255), FileName: letters(37), CreatedBy: ascii(64), LastChangedBy: ascii(64), CreatedDateTime: moment(), LastChangedDateTime: moment(),
			FileSize: 5 << 30, Revision: uuid.New().String(), SHA256: fmt.Sprintf("%016x%016x%016x%016x", random.Uint64(), random.Uint64(), random.Uint64(), random.Uint64()),
			ApplicationOwner: &instance.ApplicationOwner{},
		}
		for range 10 { // the number that RecordDownload and ConfirmDownload keep per element
			d.ApplicationOwner.Downloaded = append(d.ApplicationOwner.Downloaded, moment())
			d.ApplicationOwner.DownloadConfirmed = append(d.ApplicationOwner.DownloadConfirmed, moment())
		}
		i.Data = append(i.Data, d)
	}
	return i
}

// The largest possible instance, with text that compresses least, fits in an item. It fits in one
// transaction with the items of all its labels, the deletions of all its former labels, and two
// idempotency records.
func TestLargestInstanceFits(t *testing.T) {
	i := largestInstance()
	stored, err := itemsOf(i, 1)
	if err != nil {
		t.Fatal(err)
	}
	packed, err := pack(i)
	if err != nil {
		t.Fatal(err)
	}
	const item, transaction, keys = 400 << 10, 4 << 20, 3000
	if size := len(packed) + keys; size > item || (1+len(stored.labels)+2)*size+instance.MaxLabels*keys > transaction {
		t.Errorf("the packed document has %d bytes, too many for an item or a transaction", len(packed))
	}
}

// TestIdempotencyRecordsAreSmall checks that a record costs one write unit, however large the
// instance is: a caller may store many records, with requests that change nothing.
func TestIdempotencyRecordsAreSmall(t *testing.T) {
	table, i := New(nil, "Instances", "Outbox"), largestInstance()
	upload := &instance.Upload{ID: instance.NewUploadID(), FormID: i.Data[0].FormID}
	for name, r := range map[string]*instance.IdempotencyRecord{
		"request": {ID: strings.Repeat("0", 64), Fingerprint: strings.Repeat("0", 64), DataGuid: i.Data[0].ID, Expires: time.Now()},
		"commit":  upload.IdempotencyRecord(i.Data[0].ID, nil, time.Now()),
	} {
		size := 0
		for attribute, value := range table.idempotencyRecord(i, r, time.Now()).Item {
			switch value := value.(type) {
			case *types.AttributeValueMemberS:
				size += len(attribute) + len(value.Value)
			case *types.AttributeValueMemberN:
				size += len(attribute) + len(value.Value)
			default:
				t.Fatalf("%s: attribute %s is a %T", name, attribute, value)
			}
		}
		if size > 1<<10 {
			t.Errorf("%s: %d bytes", name, size)
		}
	}
}
