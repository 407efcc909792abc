package instancetable

import (
	"bytes"
	"compress/flate"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"altinn.no/instanceapi/shared/appendjson"
	"altinn.no/instanceapi/shared/instance"
)

// dictionary1 is text that instance documents are likely to contain. An item packed with it can be
// read only with exactly this text. To improve it, add a dictionary2 with the format byte 2 and
// keep dictionary1.
//
//go:embed dictionary1.json
var dictionary1 []byte

// format1 is JSON, deflated with dictionary1. The first byte of every packed document is its
// format.
const format1 = 1

// maxDocument is the maximum size of an unpacked document, in bytes. An item of DynamoDB's maximum
// of 400 KB could inflate to far more.
const maxDocument = 4 << 20

// document is the stored form for encoding/json: the instance without derived links, and with the
// members that callers do not see.
type document struct {
	instance.Instance
	Data         []element `json:"data"` // overrides Instance.Data
	EventCount   int       `json:"eventCount"`
	StepEntered  time.Time `json:"stepEntered"`
	Shard        int       `json:"shard,omitzero"`
	Submitted    bool      `json:"submitted,omitzero"`
	AllConfirmed time.Time `json:"allConfirmed,omitzero"`

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
}

// deflater is the state of deflate, half a megabyte, and a buffer for its input.
type deflater struct {
	state *flate.Writer
	text  []byte
}

// deflaters pools deflaters, which are expensive to allocate.
var deflaters = sync.Pool{New: func() any {
	w, err := flate.NewWriterDict(io.Discard, flate.BestCompression, dictionary1)
	if err != nil { // the level is a valid constant
		panic(err)
	}
	return &deflater{state: w}
}}

// pack returns the stored form of i. The version is not in it, but in a separate attribute that
// conditions can use.
func pack(i *instance.Instance) ([]byte, error) {
	def := deflaters.Get().(*deflater)
	defer deflaters.Put(def)
	var err error
	if def.text, err = appendDocument(def.text[:0], i); err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	packed.WriteByte(format1)
	def.state.Reset(&packed)
	if _, err := def.state.Write(def.text); err != nil {
		return nil, err
	}
	if err := def.state.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
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
		d.DataLinks, d.StorageURL = nil, ""
		w.Raw(appendjson.Separator(n))
		w.Raw("{")
		d.AppendMembers(&w)
		w.String(`,"revision":`, d.Revision)
		w.String(`,"sha256":`, d.SHA256)
		w.Raw("}")
	}
	w.Int(`],"eventCount":`, int64(i.EventCount))
	w.Time(`,"stepEntered":`, i.StepEntered)
	if i.Shard != 0 {
		w.Int(`,"shard":`, int64(i.Shard))
	}
	if i.Submitted {
		w.Bool(`,"submitted":`, true)
	}
	if !i.AllConfirmed.IsZero() {
		w.Time(`,"allConfirmed":`, i.AllConfirmed)
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

// inflater is the state of inflate, about forty kilobytes, and a buffer for its output.
type inflater struct {
	state io.ReadCloser
	text  bytes.Buffer
}

// inflaters pools inflaters.
var inflaters = sync.Pool{New: func() any { return &inflater{state: flate.NewReader(nil)} }}

// unpack returns the packed instance with the given version. It fails if the format is unknown or
// the document is damaged.
func unpack(packed []byte, version int64) (*instance.Instance, error) {
	if len(packed) == 0 || packed[0] != format1 {
		return nil, errors.New("stored instance: unknown format")
	}
	inf := inflaters.Get().(*inflater)
	defer inflaters.Put(inf)
	inf.text.Reset()
	if err := inf.state.(flate.Resetter).Reset(bytes.NewReader(packed[1:]), dictionary1); err != nil {
		return nil, fmt.Errorf("stored instance: %w", err)
	}
	if _, err := inf.text.ReadFrom(io.LimitReader(inf.state, maxDocument)); err != nil {
		return nil, fmt.Errorf("stored instance: %w", err)
	}
	i := readDocument(inf.text.String())
	if i == nil {
		var err error
		if i, err = decodeCompatible(inf.text.Bytes()); err != nil {
			return nil, fmt.Errorf("stored instance: %w", err)
		}
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
		r.Expect("}")
		i.Data = append(i.Data, d)
	}
	i.EventCount = int(r.Int(`,"eventCount":`))
	i.StepEntered = r.Time(`,"stepEntered":`)
	if r.Accept(`,"shard":`) {
		i.Shard = int(r.Int(""))
	}
	if r.Accept(`,"submitted":`) {
		i.Submitted = r.Bool("")
	}
	if r.Accept(`,"allConfirmed":`) {
		i.AllConfirmed = r.Time("")
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
	i.EventCount, i.StepEntered, i.Shard = doc.EventCount, doc.StepEntered, doc.Shard
	i.Submitted, i.AllConfirmed = doc.Submitted, doc.AllConfirmed
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
		i.Data[n].Revision, i.Data[n].SHA256 = d.Revision, d.SHA256
	}
	return i, nil
}
