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
)

// A store keeps the texts of schemas separately, each under its SchemaID. The texts are the largest
// part of a registration, and only validation needs them. Nearly every request reads the rest.

// SchemaID returns the id of a schema's text: its SHA-256 in hex. The text of an id never changes.
func SchemaID(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// HasSchema reports whether the data type has a schema, as a text or as an id.
func (t DataType) HasSchema() bool { return len(t.Schema) > 0 || t.SchemaID != "" }

// WithoutSchemas returns a copy of a in which ids replace the texts of the schemas, and the
// compacted texts by id. It fails if a schema is not JSON.
func (a *Application) WithoutSchemas() (*Application, map[string]json.RawMessage, error) {
	bare, texts := *a, map[string]json.RawMessage{}
	bare.DataTypes = slices.Clone(a.DataTypes)
	for n, t := range bare.DataTypes {
		if len(t.Schema) == 0 {
			continue
		}
		var text bytes.Buffer
		if err := json.Compact(&text, t.Schema); err != nil {
			return nil, nil, fmt.Errorf("the schema of %q: %w", t.FormID, err)
		}
		id := SchemaID(text.Bytes())
		bare.DataTypes[n].Schema, bare.DataTypes[n].SchemaID = nil, id
		texts[id] = text.Bytes()
	}
	return &bare, texts, nil
}

// SchemaReader returns the text of a schema by its id. The method Schema of applicationtable.Table
// is a SchemaReader.
type SchemaReader func(ctx context.Context, id string) (json.RawMessage, error)

// LoadSchemas replaces the ids of a's schemas by their texts, which it reads concurrently. If some
// reads fail, it keeps those ids and returns the errors.
func (a *Application) LoadSchemas(ctx context.Context, read SchemaReader) error {
	errs := make([]error, len(a.DataTypes))
	var reads sync.WaitGroup
	for n := range a.DataTypes {
		if t := &a.DataTypes[n]; t.SchemaID != "" {
			reads.Go(func() {
				if t.Schema, errs[n] = read(ctx, t.SchemaID); errs[n] == nil {
					t.SchemaID = ""
				}
			})
		}
	}
	reads.Wait()
	return errors.Join(errs...)
}
