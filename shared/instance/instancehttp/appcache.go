package instancehttp

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/instance/instancequery"
)

// appSelector names the applications that a query is about: those of an org, or those with the ids. The zero lookup names none.
type appSelector struct {
	org string
	ids []string
}

func (l appSelector) key() string { return l.org + " " + strings.Join(l.ids, " ") }

// read returns the applications as they are registered, those that are not left out.
func (l appSelector) read(ctx context.Context, register ApplicationStore) ([]*application.Application, error) {
	if l.org != "" {
		return register.List(ctx, l.org)
	}
	apps := make([]*application.Application, len(l.ids))
	errs := make([]error, len(l.ids))
	var reads sync.WaitGroup
	for n, id := range l.ids {
		reads.Go(func() { apps[n], errs[n] = register.Get(ctx, id) })
	}
	reads.Wait()
	return slices.DeleteFunc(apps, func(app *application.Application) bool { return app == nil }), errors.Join(errs...)
}

// query answers a query over the applications as they are registered at this moment. Which those are decides what has to be read:
// steps and shards. They hardly ever change, so a query is answered by what the process has last seen of them beside the
// reading of the register, and once more only if that says something else.
func (e *QueryEndpoint) query(ctx context.Context, q instancequery.Query, register appSelector) (instancequery.Page, error) {
	now := time.Now()
	if register.org == "" && len(register.ids) == 0 {
		return instancequery.Run(ctx, e.Index, q, now)
	}
	var apps []*application.Application
	var unread error
	var reading sync.WaitGroup
	reading.Go(func() { apps, unread = register.read(ctx, e.Applications) })
	var page instancequery.Page
	var err error
	seen := e.appCache.of(register)
	if seen != nil {
		q.Apps = seen
		page, err = instancequery.Run(ctx, e.Index, q, now)
	}
	if reading.Wait(); unread != nil {
		return instancequery.Page{}, unread
	}
	if seen != nil && slices.EqualFunc(apps, seen, sameVersion) {
		return page, err
	}
	q.Apps = e.appCache.keep(register, apps)
	return instancequery.Run(ctx, e.Index, q, now)
}

func sameVersion(a, b *application.Application) bool { return a.ID == b.ID && a.Version == b.Version }

// appCache are the applications that queries were about, as they were last seen.
type appCache struct {
	mu   sync.Mutex
	seen map[string][]*application.Application
}

// maxCachedQueries is how many are kept; then all are forgotten.
const maxCachedQueries = 100

// of returns what was seen, or nil.
func (p *appCache) of(l appSelector) []*application.Application {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen[l.key()]
}

// keep keeps what a query needs of applications, and returns that.
func (p *appCache) keep(l appSelector, apps []*application.Application) []*application.Application {
	needed := make([]*application.Application, len(apps))
	for n, app := range apps {
		needed[n] = &application.Application{ID: app.ID, Version: app.Version, Workflow: app.Workflow, IndexShards: app.IndexShards}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen == nil || len(p.seen) >= maxCachedQueries {
		p.seen = map[string][]*application.Application{}
	}
	p.seen[l.key()] = needed
	return needed
}
