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

	"altinn.no/instanceapi/shared/instance"
)

// dictionary1 is text that instance documents are likely to contain. An item packed with it can be read only with
// these very bytes: to improve it, add a dictionary2 under the format byte 2 and keep this one.
//
//go:embed dictionary1.json
var dictionary1 []byte

// format1 is JSON, deflated with dictionary1. The first byte of every packed document names its format.
const format1 = 1

// maxDocument bounds what unpacking one document may take: DynamoDB's 400 KB could inflate to far more.
const maxDocument = 4 << 20

// document is the stored form: the instance without its derived links, and with what callers do not see.
type document struct {
	instance.Instance
	Data        []element `json:"data"` // stands in for Instance.Data
	EventCount  int       `json:"eventCount"`
	StepEntered time.Time `json:"stepEntered"`
	Shard       int       `json:"shard,omitempty"`
}

type element struct {
	instance.DataElement
	Revision string `json:"revision"`
	SHA256   string `json:"sha256"`
}

// writers keeps deflate's state, half a megabyte, from one document to the next.
var writers = sync.Pool{New: func() any {
	w, err := flate.NewWriterDict(io.Discard, flate.BestCompression, dictionary1)
	if err != nil { // the level is a valid constant
		panic(err)
	}
	return w
}}

// pack returns the stored form of i. The version is not in it: it stands beside it, where conditions see it.
func pack(i *instance.Instance) ([]byte, error) {
	doc := document{Instance: *i, EventCount: i.EventCount, StepEntered: i.StepEntered, Shard: i.Shard}
	doc.SelfLinks = nil
	doc.Data = make([]element, len(i.Data))
	for n, d := range i.Data {
		doc.Data[n] = element{DataElement: d, Revision: d.Revision, SHA256: d.SHA256}
		doc.Data[n].DataLinks, doc.Data[n].StorageURL = nil, ""
	}
	text, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	packed.WriteByte(format1)
	w := writers.Get().(*flate.Writer)
	defer writers.Put(w)
	w.Reset(&packed)
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

// unpack returns the instance that was packed, with the version given.
func unpack(packed []byte, version int64) (*instance.Instance, error) {
	if len(packed) == 0 || packed[0] != format1 {
		return nil, errors.New("stored instance: unknown format")
	}
	text, err := io.ReadAll(io.LimitReader(flate.NewReaderDict(bytes.NewReader(packed[1:]), dictionary1), maxDocument))
	if err != nil {
		return nil, fmt.Errorf("stored instance: %w", err)
	}
	var doc document
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("stored instance: %w", err)
	}
	i := &doc.Instance
	i.Version, i.EventCount, i.StepEntered, i.Shard = version, doc.EventCount, doc.StepEntered, doc.Shard
	// Lists are never null, whatever an older or a damaged item says.
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
