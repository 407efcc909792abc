package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"uuid"

	"altinn.no/instanceapi/shared/apitest"
	"altinn.no/instanceapi/shared/instance"
)

const many = "/storage/confirmDownload"

func itemOf(i *instance.Instance, members string) string {
	return fmt.Sprintf(`{"instanceOwnerId":%q,"id":%q%s}`, i.InstanceOwnerID, i.ID, members)
}

func bodyOf(items ...string) apitest.Option {
	return apitest.JSON(`{"instances":[` + strings.Join(items, ",") + `]}`)
}

// confirmMany sends a batch and returns its results.
func confirmMany(t *testing.T, api *apitest.API, caller string, items ...string) []batchResult {
	t.Helper()
	var body struct{ Results []batchResult }
	if err := json.Unmarshal(api.Do(t, caller, "POST", many, bodyOf(items...)).Want(200, "").Body.Bytes(), &body); err != nil {
		t.Fatal(err)
	}
	if len(body.Results) != len(items) {
		t.Fatalf("%d results of %d items", len(body.Results), len(items))
	}
	return body.Results
}

// TestConfirmMany confirms a hundred instances, of which one in each way fails. The others are
// confirmed, the results are in order, and sending all again confirms what is left.
func TestConfirmMany(t *testing.T) {
	api := newAPI(t)
	var instances []*instance.Instance
	var items []string
	for range maxInstances - 4 {
		i := add(t, api, 0, 1)
		instances, items = append(instances, i), append(items, itemOf(i, ""))
	}
	half, stale := add(t, api, 0), add(t, api, 0, 1)
	foreign := api.Add(t, apitest.InstanceSpec{App: apitest.SkdApp, Forms: []string{"default"}})
	items = append(items, itemOf(half, ""), itemOf(stale, `,"etag":"\"1\""`), itemOf(foreign, ""), `{"instanceOwnerId":"x","id":"`+uuid.New().String()+`"}`)
	results := confirmMany(t, api, apitest.NavWriter, items...)
	for n, i := range instances {
		if stored := api.Stored(t, i); stored.InQueue() || results[n].Status != 200 || results[n].ID != i.ID || results[n].InstanceOwnerID != i.InstanceOwnerID ||
			results[n].ETag != fmt.Sprintf(`"%d"`, stored.Version) || results[n].Problem != nil {
			t.Errorf("item %d: %+v", n, results[n])
		}
	}
	for n, want := range []string{"409 not-downloaded", "412 version-stale", "404 not-found", "404 not-found"} {
		result := results[len(instances)+n]
		if result.Problem == nil || fmt.Sprint(result.Status, " ", result.Problem.Code) != want || result.Problem.Status != result.Status || result.ETag != "" {
			t.Errorf("got %+v, want %s", result, want)
		}
	}
	if !api.Stored(t, half).InQueue() || !api.Stored(t, stale).InQueue() {
		t.Error("a rejected instance is confirmed")
	}
	for n, result := range confirmMany(t, api, apitest.NavWriter, items...) {
		if n < len(instances) && (result.Status != 200 || result.ETag != results[n].ETag) {
			t.Errorf("repeated: %+v, first %+v", result, results[n])
		}
	}
}

// TestConfirmManyAsOneByOne checks that an etag names the version to confirm, that a guid in
// capitals is accepted, and that one item is confirmed like with its own request.
func TestConfirmManyAsOneByOne(t *testing.T) {
	api := newAPI(t)
	i := add(t, api, 0, 1)
	result := confirmMany(t, api, apitest.Nav, strings.Replace(itemOf(i, fmt.Sprintf(`,"etag":"\"%d\""`, i.Version)), i.ID, strings.ToUpper(i.ID), 1))[0]
	if stored := api.Stored(t, i); result.Status != 200 || stored.Version != i.Version+1 || stored.InQueue() {
		t.Errorf("got %+v, stored %+v", result, stored)
	}
	other := add(t, api, 0, 1)
	api.SoftDelete(t, other)
	if result := confirmMany(t, api, apitest.Nav, itemOf(other, ""))[0]; result.Status != 200 {
		t.Errorf("a deleted submission: %+v", result)
	}
}

func TestRejectedBatches(t *testing.T) {
	api := newAPI(t)
	i := add(t, api, 0, 1)
	one := itemOf(i, "")
	for name, test := range map[string]struct {
		caller, body string
		status       int
		code         string
	}{
		"a user":              {apitest.Kari, `{"instances":[` + one + `]}`, 403, "owner-only"},
		"no scope":            {apitest.NavReader, `{"instances":[` + one + `]}`, 403, "scope-missing"},
		"no token":            {apitest.Nobody, `{"instances":[` + one + `]}`, 401, "token-missing"},
		"no instances":        {apitest.Nav, `{"instances":[]}`, 400, "body-invalid"},
		"nothing":             {apitest.Nav, `{}`, 400, "body-invalid"},
		"one twice":           {apitest.Nav, `{"instances":[` + one + `,` + strings.Replace(one, i.ID, strings.ToUpper(i.ID), 1) + `]}`, 400, "body-invalid"},
		"no id":               {apitest.Nav, `{"instances":[{"instanceOwnerId":"1"}]}`, 400, "body-invalid"},
		"no owner":            {apitest.Nav, `{"instances":[{"id":"` + i.ID + `"}]}`, 400, "body-invalid"},
		"an unknown member":   {apitest.Nav, `{"instances":[{"instanceOwnerId":"1","id":"1","eTag":""}]}`, 400, "body-invalid"},
		"too many":            {apitest.Nav, `{"instances":[` + strings.Repeat(one+",", maxInstances) + one + `]}`, 400, "body-invalid"},
		"over the body limit": {apitest.Nav, `{"instances":[` + one + strings.Repeat(" ", maxBody) + `]}`, 413, "body-too-large"},
	} {
		t.Run(name, func(t *testing.T) {
			api.AssertUnchanged(t, i, func() { api.Do(t, test.caller, "POST", many, apitest.JSON(test.body)).Want(test.status, test.code) })
		})
	}
	api.AssertUnchanged(t, i, func() {
		api.Do(t, apitest.Nav, "POST", many+"?all=true", bodyOf(one)).Want(400, "parameter-unknown")
	})
}

// TestInternalErrorOfAnItem checks that the store's errors appear as problems of the items, without
// their text.
func TestInternalErrorOfAnItem(t *testing.T) {
	api := newAPI(t)
	i := add(t, api, 0, 1)
	api.Instances.Fail = func() error { return fmt.Errorf("table down at %v", time.Now()) }
	result := confirmMany(t, api, apitest.Nav, itemOf(i, ""))[0]
	if result.Status != 500 || result.Problem == nil || result.Problem.Code != "internal" || strings.Contains(result.Problem.Detail, "table") {
		t.Errorf("got %+v", result)
	}
}
