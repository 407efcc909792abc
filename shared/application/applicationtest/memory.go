// Package applicationtest provides an application store in memory, for tests, and the conformance
// suite for it and for applicationtable.
package applicationtest

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"

	"altinn.no/instanceapi/shared/application"
)

// Memory stores applications in memory. The zero value is empty and ready to use.
type Memory struct {
	mu      sync.Mutex
	apps    map[string]application.Application // without the texts of their schemas
	schemas map[string]json.RawMessage         // by id
}

// Get returns the application with the given id, or nil if it is not registered.
func (m *Memory) Get(_ context.Context, id string) (*application.Application, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	app, ok := m.apps[id]
	if !ok {
		return nil, nil
	}
	app.DataTypes = slices.Clone(app.DataTypes)
	return &app, nil
}

// Schema returns the text of a schema by its id. It fails if the id is unknown.
func (m *Memory) Schema(_ context.Context, id string) (json.RawMessage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if text, ok := m.schemas[id]; ok {
		return slices.Clone(text), nil
	}
	return nil, errors.New("applicationtest: no such schema")
}

// List returns all applications of an org, ordered by name, as application.Listed returns them.
func (m *Memory) List(_ context.Context, org string) ([]*application.Application, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var apps []*application.Application
	for _, id := range slices.Sorted(maps.Keys(m.apps)) {
		if strings.HasPrefix(id, org+"/") {
			app := m.apps[id]
			apps = append(apps, app.Listed())
		}
	}
	return apps, nil
}

// Put stores app and increments app.Version. It returns application.ErrVersionMismatch if the
// stored version is not app.Version.
func (m *Memory) Put(_ context.Context, app *application.Application) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.apps[app.ID].Version != app.Version {
		return application.ErrVersionMismatch
	}
	if m.apps == nil {
		m.apps, m.schemas = map[string]application.Application{}, map[string]json.RawMessage{}
	}
	bare, texts, err := app.WithoutSchemas()
	if err != nil {
		return err
	}
	maps.Copy(m.schemas, texts)
	app.Version++
	bare.Version = app.Version
	m.apps[app.ID] = *bare
	return nil
}
