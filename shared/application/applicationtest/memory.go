// Package applicationtest provides a register of applications in memory, for the tests of what uses one, and the
// suite that it and the real register both pass.
package applicationtest

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"altinn.no/instanceapi/shared/application"
)

// Memory keeps applications in memory. Its zero value is empty and ready.
type Memory struct {
	mu   sync.Mutex
	apps map[string]application.Application
}

// Get returns the application with the id given, or nil.
func (m *Memory) Get(_ context.Context, id string) (*application.Application, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	app, ok := m.apps[id]
	if !ok {
		return nil, nil
	}
	return &app, nil
}

// List returns all applications of an org, by name.
func (m *Memory) List(_ context.Context, org string) ([]*application.Application, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var apps []*application.Application
	for _, id := range slices.Sorted(maps.Keys(m.apps)) {
		if strings.HasPrefix(id, org+"/") {
			app := m.apps[id]
			apps = append(apps, &app)
		}
	}
	return apps, nil
}

// Put stores app if the stored version is app.Version, and counts it up.
func (m *Memory) Put(_ context.Context, app *application.Application) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.apps[app.ID].Version != app.Version {
		return application.ErrStale
	}
	if m.apps == nil {
		m.apps = map[string]application.Application{}
	}
	app.Version++
	m.apps[app.ID] = *app
	return nil
}
