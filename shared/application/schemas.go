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

// A register keeps the texts of schemas apart, each under its SchemaID: they are most of a registration and are what
// validation alone needs, while the rest is read by nearly every request.

// SchemaID names the text of a schema. Under one id is one text, for ever.
func SchemaID(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// HasSchema reports whether data elements are held against a schema, whether its text is here or only its id.
func (t DataType) HasSchema() bool { return len(t.Schema) > 0 || t.SchemaID != "" }

// WithoutSchemas returns a copy of a with the ids of its schemas in place of their texts, and the texts, without white space, by
// id.
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

// SchemaReader returns the text of a schema by its id; an applicationtable.Table's Schema is one.
type SchemaReader func(ctx context.Context, id string) (json.RawMessage, error)

// LoadSchemas puts the texts of a's schemas in the place of their ids.
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
