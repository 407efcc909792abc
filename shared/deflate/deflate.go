// Package deflate compresses the JSON of stored documents. One short document contains little
// repetition, so a preset dictionary holds the text that the documents of a kind share.
//
// The first byte of a packed document is its format, which names the dictionary. A packed document
// can be read only with exactly that dictionary. To improve a dictionary, add a format and keep the
// old one.
package deflate

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"sync"
)

// Format packs and unpacks documents. It is safe for concurrent use.
type Format struct {
	number     byte
	dictionary []byte
	limit      int64

	deflaters sync.Pool // of *deflater: half a megabyte each, so expensive to allocate
	inflaters sync.Pool // of *inflater: forty kilobytes each
}

// deflater is the state of deflate and a buffer for its input.
type deflater struct {
	state *flate.Writer
	text  []byte
}

// inflater is the state of inflate and a buffer for its output.
type inflater struct {
	state io.ReadCloser
	text  bytes.Buffer
}

// NewFormat returns the format with the number, which packed documents begin with. limit is the
// maximum size in bytes of an unpacked document: an item of DynamoDB's maximum of 400 KB could
// inflate to far more.
func NewFormat(number byte, dictionary []byte, limit int64) *Format {
	f := &Format{number: number, dictionary: dictionary, limit: limit}
	f.deflaters.New = func() any {
		w, err := flate.NewWriterDict(io.Discard, flate.BestCompression, dictionary)
		if err != nil { // the level is a valid constant
			panic(err)
		}
		return &deflater{state: w}
	}
	f.inflaters.New = func() any { return &inflater{state: flate.NewReader(nil)} }
	return f
}

// Pack returns the packed document whose text appendText appends to its argument. It returns the
// error of appendText.
func (f *Format) Pack(appendText func([]byte) ([]byte, error)) ([]byte, error) {
	def := f.deflaters.Get().(*deflater)
	defer f.deflaters.Put(def)
	var err error
	if def.text, err = appendText(def.text[:0]); err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	packed.WriteByte(f.number)
	def.state.Reset(&packed)
	if _, err := def.state.Write(def.text); err != nil {
		return nil, err
	}
	if err := def.state.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

// Unpack calls read with the text of a packed document, and returns its error. read must not keep
// the text. Unpack fails if the format is another one, if the document is damaged, or if its text
// exceeds the limit. The error contains nothing of the content.
func (f *Format) Unpack(packed []byte, read func(text []byte) error) error {
	if len(packed) == 0 || packed[0] != f.number {
		return errors.New("unknown format")
	}
	inf := f.inflaters.Get().(*inflater)
	defer f.inflaters.Put(inf)
	inf.text.Reset()
	if err := inf.state.(flate.Resetter).Reset(bytes.NewReader(packed[1:]), f.dictionary); err != nil {
		return err
	}
	n, err := inf.text.ReadFrom(io.LimitReader(inf.state, f.limit+1))
	switch {
	case err != nil:
		return err
	case n > f.limit:
		return fmt.Errorf("the document has more than %d bytes", f.limit)
	}
	return read(inf.text.Bytes())
}
