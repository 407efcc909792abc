// Package scan records the results of the malware scan in the documents of instances.
//
// A result and the change that commits its content can come in any order. The recorder stores the
// result before it reads the document. A writer commits the content as pending before it reads the
// result. So the one that comes second sees the write of the first. If a writer crashes before it
// reads the result, the agenda applies the result when the scan is overdue.
//
// Results come at least once and in any order. The most severe one wins, so the recorder applies
// the stored result and not the arriving one.
package scan

import (
	"context"
	"errors"
	"sync"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/instance"
)

// Store has instances and scan results; *instancetable.Table implements it.
type Store interface {
	// ScanResults returns the stored scan results of the revisions that have one. The reads are
	// strongly consistent.
	ScanResults(ctx context.Context, revisions ...string) (map[string]instance.ScanResult, error)
	MutateFrom(ctx context.Context, i *instance.Instance, change func(*instance.Instance) ([]event.Event, error)) (*instance.Instance, error)
}

// RecorderStore is the Store of a Recorder; *instancetable.Table implements it.
type RecorderStore interface {
	Store
	Get(ctx context.Context, instanceOwnerID, id string) (*instance.Instance, error)
	// PutScanResult stores the result of a revision, unless the stored one is at least as severe,
	// and returns the result that is stored then.
	PutScanResult(ctx context.Context, revision string, result instance.ScanResult) (stored instance.ScanResult, err error)
}

// Applications reads registrations; *applicationtable.Table implements it.
type Applications interface {
	Get(ctx context.Context, id string) (*application.Application, error)
}

// LinksFunc returns the links of an instance, for its events.
type LinksFunc = func(*instance.Instance) instance.Links

// Apply applies the stored scan results of the revisions, of elements of i, and returns the
// changed instance. It returns i if there are none. The caller must not use i afterwards.
func Apply(ctx context.Context, store Store, app *application.Application, links LinksFunc, i *instance.Instance, revisions []string) (*instance.Instance, error) {
	if len(revisions) == 0 {
		return i, nil
	}
	results, err := store.ScanResults(ctx, revisions...)
	if err != nil || len(results) == 0 {
		return i, err
	}
	return apply(ctx, store, app, links, i, results)
}

func apply(ctx context.Context, store Store, app *application.Application, links LinksFunc, i *instance.Instance, results map[string]instance.ScanResult) (*instance.Instance, error) {
	for {
		version := i.Version
		var err error
		i, err = store.MutateFrom(ctx, i, func(i *instance.Instance) ([]event.Event, error) {
			if i.Status.IsMarkedForHardDelete {
				return nil, instance.ErrUnchanged
			}
			return i.ApplyScans(app, results, time.Now(), links(i))
		})
		if err != nil || i.Version == version || len(results) <= instance.MaxScansPerChange {
			return i, err
		}
	}
}

// Result is the result of the scan of stored content.
type Result struct {
	Key blob.Key
	instance.ScanResult
}

// Recorder records results.
type Recorder struct {
	Store        RecorderStore
	Applications Applications
	Links        LinksFunc
}

// parallelInstances is the maximum number of instances that a Recorder changes at the same time.
const parallelInstances = 8

// Record stores the results and changes the data elements that have the content. It returns an
// error, or nil, for each result. After an error the call can be repeated. A result of content
// that no data element has is only stored: the content may be committed later.
func (r Recorder) Record(ctx context.Context, results []Result) []error {
	errs := make([]error, len(results))
	byInstance := map[instance.Ref][]int{}
	for n, result := range results {
		ref := instance.Ref{InstanceOwnerID: result.Key.InstanceOwnerID(), ID: result.Key.InstanceGuid()}
		byInstance[ref] = append(byInstance[ref], n)
	}
	free := make(chan struct{}, parallelInstances)
	var running sync.WaitGroup
	for ref, indexes := range byInstance {
		free <- struct{}{}
		running.Go(func() {
			defer func() { <-free }()
			r.recordInstance(ctx, ref, results, indexes, errs)
		})
	}
	running.Wait()
	return errs
}

// recordInstance records the results with the given indexes, which are of one instance, with one
// change of the instance.
func (r Recorder) recordInstance(ctx context.Context, ref instance.Ref, results []Result, indexes []int, errs []error) {
	stored := map[string]instance.ScanResult{}
	var ofStored []int
	for _, n := range indexes {
		revision := results[n].Key.Revision()
		result, err := r.Store.PutScanResult(ctx, revision, results[n].ScanResult)
		if err != nil {
			errs[n] = err
			continue
		}
		stored[revision] = result // at least as severe as that of an earlier message
		ofStored = append(ofStored, n)
	}
	if err := r.change(ctx, ref, stored); err != nil {
		for _, n := range ofStored {
			errs[n] = err
		}
	}
}

// change applies the results to the instance, if it exists and one of its elements has the content.
func (r Recorder) change(ctx context.Context, ref instance.Ref, results map[string]instance.ScanResult) error {
	if len(results) == 0 {
		return nil
	}
	i, err := r.Store.Get(ctx, ref.InstanceOwnerID, ref.ID)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := i.Clone().ApplyScans(&application.Application{}, results, time.Now(), instance.Links{}); errors.Is(err, instance.ErrUnchanged) {
		return nil
	}
	app, err := r.Applications.Get(ctx, i.AppID)
	if err != nil {
		return err
	}
	if app == nil { // without a registration there is no event
		app = &application.Application{ID: i.AppID}
	}
	_, err = apply(ctx, r.Store, app, r.Links, i, results)
	return err
}
