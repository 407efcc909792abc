package application

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"altinn.no/instanceapi/shared/deflate"
)

// A store keeps the texts of schemas separately, each under its SchemaID. The texts are the largest
// part of a registration, and only validation needs them. Nearly every request reads the rest.

// SchemaID returns the id of a schema's text: its SHA-256 in hex. The text of an id never changes.
func SchemaID(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// HasSchema reports whether the data type has a JSON Schema, as a text or as an id.
func (t DataType) HasSchema() bool { return len(t.Schema) > 0 || t.SchemaID != "" }

// HasXSD reports whether the data type has an XML Schema, as a text or as an id.
func (t DataType) HasXSD() bool { return len(t.XSD) > 0 || t.XSDID != "" }

// Validates reports whether data of the data type is validated against a schema. Such data must
// have a content type that AcceptsFormat accepts.
func (t DataType) Validates() bool { return t.HasSchema() || t.HasXSD() }

// AcceptsFormat reports whether one of the data type's schemas can validate data of the content
// type: an XML Schema validates XML, a JSON Schema JSON, and XML if there is no XML Schema. Without
// schemas, every content type is accepted.
func (t DataType) AcceptsFormat(contentType string) bool {
	switch {
	case !t.Validates():
		return true
	case t.HasSchema():
		return IsStructured(contentType)
	}
	return IsXML(contentType)
}

// FormatRule describes which data AcceptsFormat accepts.
func (t DataType) FormatRule() string {
	if t.HasSchema() {
		return fmt.Sprintf("Data with formId %q must be JSON or XML because it has a schema.", t.FormID)
	}
	return fmt.Sprintf("Data with formId %q must be XML because it has an XML Schema.", t.FormID)
}

// stored is the text of a schema of a data type and its id. Exactly one of them is set.
type stored struct {
	text *json.RawMessage
	id   *string
}

// storedSchemas returns the schemas of all data types.
func (a *Application) storedSchemas() []stored {
	var all []stored
	for n := range a.DataTypes {
		t := &a.DataTypes[n]
		if t.HasSchema() {
			all = append(all, stored{&t.Schema, &t.SchemaID})
		}
		if t.HasXSD() {
			all = append(all, stored{&t.XSD, &t.XSDID})
		}
	}
	return all
}

// WithoutSchemas returns a copy of a in which ids replace the texts of the schemas, and the
// compacted texts by id. It fails if a schema is not JSON.
func (a *Application) WithoutSchemas() (*Application, map[string]json.RawMessage, error) {
	bare, texts := *a, map[string]json.RawMessage{}
	bare.DataTypes = slices.Clone(a.DataTypes)
	for _, s := range bare.storedSchemas() {
		if *s.id != "" {
			continue
		}
		var text bytes.Buffer
		if err := json.Compact(&text, *s.text); err != nil {
			return nil, nil, fmt.Errorf("a schema of %s: %w", a.ID, err)
		}
		*s.text, *s.id = nil, SchemaID(text.Bytes())
		texts[*s.id] = text.Bytes()
	}
	return &bare, texts, nil
}

// MaxPackedBytes is the maximum size, in bytes, of the text of a schema in packed form. It leaves
// room for the keys within DynamoDB's limit of 400 KB per item.
const MaxPackedBytes = 380_000

// isStorable reports whether the text of a schema has at most MaxPackedBytes in packed form.
func isStorable(text []byte) bool {
	if len(text) <= MaxPackedBytes/2 { // deflate never adds as much
		return true
	}
	packed, err := Pack(text)
	return err == nil && len(packed) <= MaxPackedBytes
}

// maxText is the maximum size of the text of a schema in bytes: an XML Schema as JSON, in which
// each byte takes at most six.
const maxText = 6*MaxXSDTotalBytes + 1<<16

// packing is the format of packed schemas. Schemas have too little text in common for a dictionary.
var packing = deflate.NewFormat(1, nil, maxText)

// Pack returns the compressed form of a schema's text.
func Pack(text []byte) ([]byte, error) {
	return packing.Pack(func(b []byte) ([]byte, error) { return append(b, text...), nil })
}

// Unpack returns the text that Pack has packed. It fails if the text does not have the id.
func Unpack(packed []byte, id string) (text json.RawMessage, err error) {
	err = packing.Unpack(packed, func(unpacked []byte) error {
		if SchemaID(unpacked) != id {
			return errors.New("the text does not match its id")
		}
		text = bytes.Clone(unpacked)
		return nil
	})
	return text, err
}

// SchemaReader returns the text of a schema by its id. The method Schema of applicationtable.Table
// is a SchemaReader.
type SchemaReader func(ctx context.Context, id string) (json.RawMessage, error)

// LoadSchemas replaces the ids of a's schemas by their texts, which it reads concurrently. If some
// reads fail, it keeps those ids and returns the errors.
func (a *Application) LoadSchemas(ctx context.Context, read SchemaReader) error {
	all := a.storedSchemas()
	errs := make([]error, len(all))
	var reads sync.WaitGroup
	for n, s := range all {
		if *s.id != "" {
			reads.Go(func() {
				if *s.text, errs[n] = read(ctx, *s.id); errs[n] == nil {
					*s.id = ""
				}
			})
		}
	}
	reads.Wait()
	return errors.Join(errs...)
}
