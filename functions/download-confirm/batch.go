package main

import (
	"context"
	"net/http"
	"strings"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance/instancehttp"
)

// Limits of one request.
const (
	maxInstances = 100
	maxBody      = 64 << 10 // bytes
)

// batchBody names the instances to confirm.
type batchBody struct {
	Instances []batchItem `json:"instances"`
}

// batchItem names an instance. Its members are also those of its result.
type batchItem struct {
	InstanceOwnerID string `json:"instanceOwnerId"`
	ID              string `json:"id"`
	ETag            string `json:"etag,omitempty"` // of the version to confirm; "": any
}

// batchResult is the result for an instance: its entity tag, or the problem.
type batchResult struct {
	batchItem
	Status  int              `json:"status"`
	Problem *httpapi.Problem `json:"problem,omitempty"`
}

// batch holds the dependencies of POST /storage/confirmDownload.
type batch struct {
	authorizer   instancehttp.Authorizer
	applications instancehttp.Applications
	instances    instancehttp.ScheduledStore
	view         instancehttp.View
	malware      instancehttp.MalwareScan
}

// confirm confirms the instances that the body names, each as a whole and independently of the
// others. It responds with a result for each, in the order of the body.
func (b *batch) confirm(w http.ResponseWriter, r *http.Request) error {
	caller, err := b.authorizer.AuthenticateOwner(r)
	if err != nil {
		return err
	}
	var body batchBody
	if err := httpapi.DecodeJSON(r, maxBody, &body); err != nil {
		return err
	}
	if err := body.check(); err != nil {
		return err
	}
	applications := &applicationCache{Applications: b.applications}
	results := make([]batchResult, len(body.Instances))
	instancehttp.RunBatch(r.Context(), len(results), func(ctx context.Context, n int) error {
		item := body.Instances[n]
		results[n] = batchResult{batchItem: item, Status: http.StatusOK}
		one := r.Clone(ctx)
		one.Header = http.Header{}
		if item.ETag != "" {
			one.Header.Set("If-Match", item.ETag)
		}
		access, err := caller.Access(item.InstanceOwnerID, item.ID)
		if err != nil {
			return err
		}
		i, err := access.Change(one, b.instances, applications, confirmation(access, b.view, b.malware))
		if err != nil {
			return err
		}
		results[n].ETag = instancehttp.ETag(i)
		return nil
	}, func(n int, err error) {
		problem := httpapi.ItemProblem(r, err)
		item := body.Instances[n]
		item.ETag = ""
		results[n] = batchResult{batchItem: item, Status: problem.Status, Problem: &problem}
	})
	return httpapi.WriteJSON(w, http.StatusOK, struct {
		Results []batchResult `json:"results"`
	}{results})
}

// check returns an Invalid fault if the body names no instance, too many, or one twice.
func (b *batchBody) check() error {
	if len(b.Instances) == 0 || len(b.Instances) > maxInstances {
		return httpapi.InvalidBody("instances must have 1 to %d items", maxInstances)
	}
	named := map[string]bool{}
	for n, item := range b.Instances {
		key := strings.ToLower(item.ID)
		switch {
		case item.InstanceOwnerID == "" || item.ID == "":
			return httpapi.InvalidBody("/instances/%d must have instanceOwnerId and id", n)
		case named[key]:
			return httpapi.InvalidBody("/instances/%d names an instance that an earlier item names", n)
		}
		named[key] = true
	}
	return nil
}

// applicationCache reads each application once in a request.
type applicationCache struct {
	instancehttp.Applications
	reads instancehttp.Shared[string, *application.Application]
}

// Get returns the application as it was at the first call.
func (c *applicationCache) Get(ctx context.Context, id string) (*application.Application, error) {
	return c.reads.Do(id, func() (*application.Application, error) { return c.Applications.Get(ctx, id) })
}
