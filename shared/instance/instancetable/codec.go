package instancetable

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"time"

	"altinn.no/instanceapi/shared/appendjson"
	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/deflate"
	"altinn.no/instanceapi/shared/instance"
)

// dictionary1 is text that instance documents are likely to contain. Never change it, see package
// deflate.
//
//go:embed dictionary1.json
var dictionary1 []byte

// format1 is JSON, deflated with dictionary1. The first byte of every packed document is its
// format.
const format1 = 1

// maxDocument is the maximum size of an unpacked document, in bytes.
const maxDocument = 4 << 20

// document is the stored form for encoding/json: the instance without derived links, and with the
// members that callers do not see.
type document struct {
	instance.Instance
	Data         []element `json:"data"` // overrides Instance.Data
	EventCount   int       `json:"eventCount"`
	ScanWrites   int64     `json:"scanWrites,omitzero"`
	StepEntered  time.Time `json:"stepEntered"`
	Shard        int       `json:"shard,omitzero"`
	Submitted    bool      `json:"submitted,omitzero"`
	LabelsHidden bool      `json:"labelsHidden,omitzero"`
	AllConfirmed time.Time `json:"allConfirmed,omitzero"`

	SeenAt time.Time `json:"seenAt,omitzero"` // this and the next are the SeenChange
	SeenBy string    `json:"seenBy,omitzero"`

	VisibleDue  time.Time `json:"visibleDue,omitzero"` // this and the following are the Timeline
	DueDone     time.Time `json:"dueDone,omitzero"`
	DeletedBy   string    `json:"deletedBy,omitzero"`
	Restored    time.Time `json:"restored,omitzero"`
	UserChanged bool      `json:"userChanged,omitzero"`
}

type element struct {
	instance.DataElement
	Revision string `json:"revision"`
	SHA256   string `json:"sha256"`
	// OnlyWriter is the role in DataElement.OnlyWriter.
	OnlyWriter application.Role `json:"onlyWriter,omitempty"`
	OwnerOnly  bool             `json:"ownerOnly,omitzero"`
	// AllowUnscannable is DataElement.AllowUnscannable.
	AllowUnscannable bool `json:"allowUnscannable,omitzero"`
}

// packing is the format of packed instances.
var packing = deflate.NewFormat(format1, dictionary1, maxDocument)

// pack returns the stored form of i. The version and the recorded downloads are not in it, but in
// separate attributes that conditions can use.
func pack(i *instance.Instance) ([]byte, error) {
	return packing.Pack(func(b []byte) ([]byte, error) { return appendDocument(b, i) })
}

// appendDocument appends the stored form of i, as encoding/json/v2 would write the type document.
func appendDocument(b []byte, i *instance.Instance) ([]byte, error) {
	w := appendjson.Writer{Buf: b}
	bare := *i
	bare.SelfLinks = nil
	w.Raw("{")
	bare.AppendMembers(&w)
	w.Raw(`,"data":[`)
	for n, d := range i.Data {
		d = d.WithDownloads(nil)
		d.DataLinks, d.StorageURL = nil, ""
		w.Raw(appendjson.Separator(n))
		w.Raw("{")
		d.AppendMembers(&w)
		w.String(`,"revision":`, d.Revision)
		w.String(`,"sha256":`, d.SHA256)
		if d.OnlyWriter != "" {
			w.String(`,"onlyWriter":`, string(d.OnlyWriter))
		}
		if d.OwnerOnly {
			w.Bool(`,"ownerOnly":`, true)
		}
		if d.AllowUnscannable {
			w.Bool(`,"allowUnscannable":`, true)
		}
		w.Raw("}")
	}
	w.Int(`],"eventCount":`, int64(i.EventCount))
	if i.ScanWrites != 0 {
		w.Int(`,"scanWrites":`, i.ScanWrites)
	}
	w.Time(`,"stepEntered":`, i.StepEntered)
	if i.Shard != 0 {
		w.Int(`,"shard":`, int64(i.Shard))
	}
	if i.Submitted {
		w.Bool(`,"submitted":`, true)
	}
	if i.LabelsHidden {
		w.Bool(`,"labelsHidden":`, true)
	}
	if !i.AllConfirmed.IsZero() {
		w.Time(`,"allConfirmed":`, i.AllConfirmed)
	}
	if seen := i.SeenChange; seen != nil {
		w.Time(`,"seenAt":`, seen.At)
		w.String(`,"seenBy":`, seen.By)
	}
	appendTimeline(&w, i.Timeline)
	w.Raw("}")
	return w.Buf, w.Err
}

// appendTimeline appends the members of t that are set.
func appendTimeline(w *appendjson.Writer, t instance.Timeline) {
	if !t.VisibleDue.IsZero() {
		w.Time(`,"visibleDue":`, t.VisibleDue)
	}
	if !t.DueDone.IsZero() {
		w.Time(`,"dueDone":`, t.DueDone)
	}
	if t.DeletedBy != "" {
		w.String(`,"deletedBy":`, t.DeletedBy)
	}
	if !t.Restored.IsZero() {
		w.Time(`,"restored":`, t.Restored)
	}
	if t.UserChanged {
		w.Bool(`,"userChanged":`, true)
	}
}

// readTimeline reads the members that appendTimeline appends.
func readTimeline(r *appendjson.Reader) (t instance.Timeline) {
	if r.Accept(`,"visibleDue":`) {
		t.VisibleDue = r.Time("")
	}
	if r.Accept(`,"dueDone":`) {
		t.DueDone = r.Time("")
	}
	if r.Accept(`,"deletedBy":`) {
		t.DeletedBy = r.String("")
	}
	if r.Accept(`,"restored":`) {
		t.Restored = r.Time("")
	}
	if r.Accept(`,"userChanged":`) {
		t.UserChanged = r.Bool("")
	}
	return t
}

// unpack returns the packed instance with the given version. It fails if the format is unknown or
// the document is damaged.
func unpack(packed []byte, version int64) (i *instance.Instance, err error) {
	err = packing.Unpack(packed, func(text []byte) error {
		if i = readDocument(string(text)); i == nil {
			i, err = decodeCompatible(text)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("stored instance: %w", err)
	}
	i.Version = version
	return i, nil
}

// readDocument reads the current output of appendDocument. It returns nil for any other text.
func readDocument(text string) *instance.Instance {
	i, r := new(instance.Instance), appendjson.NewReader(text)
	r.Expect("{")
	i.ReadMembers(r)
	r.Expect(`,"data":[`)
	i.Data = []instance.DataElement{}
	for r.More(len(i.Data)) {
		r.Expect("{")
		var d instance.DataElement
		d.ReadMembers(r)
		d.Revision = r.String(`,"revision":`)
		d.SHA256 = r.String(`,"sha256":`)
		if r.Accept(`,"onlyWriter":`) {
			d.OnlyWriter = application.Role(r.String(""))
		}
		if r.Accept(`,"ownerOnly":`) {
			d.OwnerOnly = r.Bool("")
		}
		if r.Accept(`,"allowUnscannable":`) {
			d.AllowUnscannable = r.Bool("")
		}
		r.Expect("}")
		i.Data = append(i.Data, d)
	}
	i.EventCount = int(r.Int(`,"eventCount":`))
	if r.Accept(`,"scanWrites":`) {
		i.ScanWrites = r.Int("")
	}
	i.StepEntered = r.Time(`,"stepEntered":`)
	if r.Accept(`,"shard":`) {
		i.Shard = int(r.Int(""))
	}
	if r.Accept(`,"submitted":`) {
		i.Submitted = r.Bool("")
	}
	if r.Accept(`,"labelsHidden":`) {
		i.LabelsHidden = r.Bool("")
	}
	if r.Accept(`,"allConfirmed":`) {
		i.AllConfirmed = r.Time("")
	}
	if r.Accept(`,"seenAt":`) {
		i.SeenChange = &instance.Change{At: r.Time(""), By: r.String(`,"seenBy":`)}
	}
	i.Timeline = readTimeline(r)
	if r.Expect("}"); !r.OK() {
		return nil
	}
	return i
}

// decodeCompatible reads documents of older and later versions of this project. It leaves missing
// members empty and ignores unknown ones.
func decodeCompatible(text []byte) (*instance.Instance, error) {
	var doc document
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	i := &doc.Instance
	i.EventCount, i.ScanWrites, i.StepEntered, i.Shard = doc.EventCount, doc.ScanWrites, doc.StepEntered, doc.Shard
	i.Submitted, i.LabelsHidden, i.AllConfirmed = doc.Submitted, doc.LabelsHidden, doc.AllConfirmed
	if !doc.SeenAt.IsZero() {
		i.SeenChange = &instance.Change{At: doc.SeenAt, By: doc.SeenBy}
	}
	i.Timeline = instance.Timeline{
		VisibleDue: doc.VisibleDue, DueDone: doc.DueDone, DeletedBy: doc.DeletedBy, Restored: doc.Restored, UserChanged: doc.UserChanged,
	}
	// Lists are never null, even if an older or damaged item has null.
	if i.Labels == nil {
		i.Labels = []string{}
	}
	i.Data = make([]instance.DataElement, len(doc.Data))
	for n, d := range doc.Data {
		i.Data[n] = d.DataElement
		i.Data[n].Revision, i.Data[n].SHA256, i.Data[n].OnlyWriter = d.Revision, d.SHA256, d.OnlyWriter
		i.Data[n].OwnerOnly, i.Data[n].AllowUnscannable = d.OwnerOnly, d.AllowUnscannable
	}
	return i, nil
}
