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

// appSelector selects the applications that a query covers: those of an org, or those with the ids.
// The zero value selects none.
type appSelector struct {
	org string
	ids []string
}

// key returns a key for the cache.
func (s appSelector) key() string { return s.org + " " + strings.Join(s.ids, " ") }

// read returns the current registrations and omits unknown ids.
func (s appSelector) read(ctx context.Context, applications ApplicationStore) ([]*application.Application, error) {
	if s.org != "" {
		return applications.List(ctx, s.org)
	}
	apps := make([]*application.Application, len(s.ids))
	errs := make([]error, len(s.ids))
	var reads sync.WaitGroup
	for n, id := range s.ids {
		reads.Go(func() { apps[n], errs[n] = applications.Get(ctx, id) })
	}
	reads.Wait()
	return slices.DeleteFunc(apps, func(app *application.Application) bool { return app == nil }), errors.Join(errs...)
}

// query runs q over the current registrations of the selected applications, which determine the
// steps and shards to read. Registrations rarely change. query therefore runs q with the cached
// registrations while it reads the current ones, and runs q again only if they differ.
func (e *QueryEndpoint) query(ctx context.Context, q instancequery.Query, selector appSelector) (instancequery.Page, error) {
	now := time.Now()
	if selector.org == "" && len(selector.ids) == 0 {
		return instancequery.Run(ctx, e.Index, q, now)
	}
	var apps []*application.Application
	var appErr error
	var reading sync.WaitGroup
	reading.Go(func() { apps, appErr = selector.read(ctx, e.Applications) })
	var page instancequery.Page
	var err error
	cached := e.appCache.get(selector)
	if cached != nil {
		q.Apps = cached
		page, err = instancequery.Run(ctx, e.Index, q, now)
	}
	if reading.Wait(); appErr != nil {
		return instancequery.Page{}, appErr
	}
	if cached != nil && slices.EqualFunc(apps, cached, sameVersion) {
		return page, err
	}
	q.Apps = e.appCache.put(selector, apps)
	return instancequery.Run(ctx, e.Index, q, now)
}

func sameVersion(a, b *application.Application) bool { return a.ID == b.ID && a.Version == b.Version }

// appCache caches the applications of earlier queries, by selector.
type appCache struct {
	mu   sync.Mutex
	apps map[string][]*application.Application
}

// maxCachedSelectors bounds the cache. A put into a full cache clears it first.
const maxCachedSelectors = 100

// get returns the cached applications, or nil.
func (c *appCache) get(s appSelector) []*application.Application {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.apps[s.key()]
}

// put caches the members of the applications that a query needs, and returns them.
func (c *appCache) put(s appSelector, apps []*application.Application) []*application.Application {
	needed := make([]*application.Application, len(apps))
	for n, app := range apps {
		needed[n] = app.Listed()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.apps == nil || len(c.apps) >= maxCachedSelectors {
		c.apps = map[string][]*application.Application{}
	}
	c.apps[s.key()] = needed
	return needed
}
