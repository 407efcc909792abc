package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"altinn.no/instanceapi/shared/application"
	"altinn.no/instanceapi/shared/auth"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/instance"
	"altinn.no/instanceapi/shared/instance/instancehttp"
	"altinn.no/instanceapi/shared/logging"
	"altinn.no/instanceapi/shared/party"
)

// keyLifetime is how long a key identifies its item. An owner that prefills forms may continue a
// job weeks after it failed.
const keyLifetime = 90 * 24 * time.Hour

// handler holds the dependencies of POST …/batch.
type handler struct {
	authorizer   instancehttp.Authorizer
	applications instancehttp.Applications
	creator      instancehttp.Creator
}

func newHandler(h *handler) http.Handler {
	return httpapi.HandlerFunc(h.createInstances)
}

// result is the result for an item: the instance that it has made, or the problem.
type result struct {
	Key             string           `json:"key"`
	Status          int              `json:"status"`
	InstanceOwnerID string           `json:"instanceOwnerId,omitempty"`
	ID              string           `json:"id,omitempty"`
	ETag            string           `json:"etag,omitempty"`
	Location        string           `json:"location,omitempty"`
	Problem         *httpapi.Problem `json:"problem,omitempty"`
}

// createInstances creates the instances that the body describes, independently of each other. It
// responds with a result for each, in the order of the body.
func (h *handler) createInstances(w http.ResponseWriter, r *http.Request) error {
	owner, err := h.authorizer.AuthenticateOwner(r)
	if err != nil {
		return err
	}
	if owner.Caller.Org != r.PathValue("org") {
		return fault.NoSuchResource()
	}
	app, err := h.applications.Get(r.Context(), r.PathValue("org")+"/"+r.PathValue("app"))
	if err != nil {
		return err
	}
	if app == nil {
		return fault.NoSuchResource()
	}
	items, err := decodeBody(r)
	if err != nil {
		return err
	}
	b := batch{h.creator, owner.Caller, app}
	b.creator.Parties = &sharedParties{PartyRegister: h.creator.Parties}
	results := make([]result, len(items))
	instancehttp.RunBatch(r.Context(), len(items), func(ctx context.Context, n int) error {
		i, err := b.create(ctx, &items[n])
		if err == nil {
			results[n] = result{
				Key: items[n].Key, Status: http.StatusCreated, InstanceOwnerID: i.InstanceOwnerID, ID: i.ID,
				ETag: instancehttp.ETag(i), Location: h.creator.View.Links(i).Apps,
			}
		}
		return err
	}, func(n int, err error) {
		problem := httpapi.ItemProblem(r, err)
		results[n] = result{Key: items[n].Key, Status: problem.Status, Problem: &problem}
	})
	var ids []string
	for _, each := range results {
		ids = append(ids, each.ID)
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { return id == "" })
	logging.Add(r.Context(), slog.String("app", app.ID), slog.Int("items", len(items)), slog.Any("instances", ids))
	return httpapi.WriteJSON(w, http.StatusOK, struct {
		Results []result `json:"results"`
	}{results})
}

// batch is a request of an owner for instances of an application.
type batch struct {
	creator instancehttp.Creator
	caller  auth.Caller
	app     *application.Application
}

// create creates the instance that an item describes, or returns the instance that an earlier item
// with the same key and content has made. All clients of the application share its keys, so two
// clients that run the same job make each instance once. An Idempotency-Key of a single creation
// never names an item.
func (b *batch) create(ctx context.Context, item *item) (i *instance.Instance, err error) {
	if item.err != nil {
		return nil, item.err
	}
	id := sha256.Sum256([]byte("batch\x00" + b.app.ID + "\x00" + item.Key))
	err = instancehttp.IdempotentRecord(ctx, b.creator.Instances, &instance.IdempotencyRecord{
		ID: hex.EncodeToString(id[:]), Fingerprint: item.fingerprint, Expires: time.Now().Add(keyLifetime).Truncate(time.Second),
	}, func(earlier *instance.IdempotencyRecord) (err error) {
		i, err = b.creator.LoadCreated(ctx, b.caller, instancehttp.CallerParty{}, earlier)
		return err
	}, func(record *instance.IdempotencyRecord) (err error) {
		i, err = b.creator.Create(ctx, b.caller, instancehttp.CallerParty{}, b.app, &item.Creation, record)
		return err
	})
	return i, err
}

// sharedParties looks up each party once in a request. Items for the same new party would otherwise
// compete for its number.
type sharedParties struct {
	instancehttp.PartyRegister
	numbers instancehttp.Shared[party.Identity, string]
	known   instancehttp.Shared[string, bool]
}

// FindOrAssign returns the number of the identity, which is one.
func (s *sharedParties) FindOrAssign(ctx context.Context, identities ...party.Identity) (string, error) {
	return s.numbers.Do(identities[0].Canonical(), func() (string, error) { return s.PartyRegister.FindOrAssign(ctx, identities...) })
}

// Exists reports whether the number is assigned.
func (s *sharedParties) Exists(ctx context.Context, instanceOwnerID string) (bool, error) {
	return s.known.Do(instanceOwnerID, func() (bool, error) { return s.PartyRegister.Exists(ctx, instanceOwnerID) })
}
