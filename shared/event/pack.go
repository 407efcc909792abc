package event

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"math"

	"altinn.no/instanceapi/shared/deflate"
)

// dictionary1 is text that events are likely to contain. Never change it, see package deflate.
//
//go:embed dictionary1.json
var dictionary1 []byte

// maxPacked is the maximum size of the JSON of packed events, in bytes. The bus allows one megabyte
// for an event.
const maxPacked = 4 << 20

// packing is the format of packed events: the JSON of one after the other, each in a line.
var packing = deflate.NewFormat(1, dictionary1, maxPacked)

// Pack returns the stored form of events, which is deflated JSON: about 180 bytes for one usual
// event, and 60 for each of a hundred.
func Pack(docs ...Encoded) ([]byte, error) {
	return packing.Pack(func(b []byte) ([]byte, error) {
		for n, doc := range docs {
			if n > 0 {
				b = append(b, '\n')
			}
			b = append(b, doc.JSON...) // compact, so without line breaks
		}
		return b, nil
	})
}

// Unpack returns the events that Pack has packed. The error contains nothing of their content.
func Unpack(packed []byte) ([]Encoded, error) {
	docs, _, err := UnpackRange(packed, 0, math.MaxInt)
	return docs, err
}

// UnpackRange returns some of the events that Pack has packed, from the index first up to but
// excluding end, and how many events there are. It does not decode the other events.
func UnpackRange(packed []byte, first, end int) (docs []Encoded, count int, err error) {
	err = packing.Unpack(packed, func(text []byte) error {
		for line := range bytes.SplitSeq(text, []byte{'\n'}) {
			if count++; count <= first || count > end {
				continue
			}
			doc, err := Decode(line)
			if err != nil {
				return err
			}
			docs = append(docs, doc)
		}
		return nil
	})
	if err != nil {
		return nil, 0, fmt.Errorf("packed events: %w", err)
	}
	return docs, count, nil
}

// UnpackOne returns the event that Pack has packed alone. It fails if there are several.
func UnpackOne(packed []byte) (Encoded, error) {
	docs, err := Unpack(packed)
	if err == nil && len(docs) != 1 {
		err = errors.New("packed events: not one event")
	}
	if err != nil {
		return Encoded{}, err
	}
	return docs[0], nil
}
