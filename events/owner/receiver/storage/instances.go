package storage

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"time"
)

// Instance is the part of an instance that an owner needs. Document is the complete JSON.
type Instance struct {
	ID              string    `json:"id"`
	InstanceOwnerID string    `json:"instanceOwnerId"`
	Workflow        Workflow  `json:"workflow"`
	Data            []Element `json:"data"`

	Version  string          `json:"-"` // the ETag; "" in the result of a query
	Document json.RawMessage `json:"-"`
}

// Workflow is the workflow state of an instance.
type Workflow struct {
	CurrentStep       string    `json:"currentStep"`
	SubmittedDateTime time.Time `json:"submittedDateTime"` // of the latest submission
}

// Element is the part of a data element that an owner needs.
type Element struct {
	ID                  string    `json:"id"`
	FormID              string    `json:"formId"`
	FileName            string    `json:"fileName"`
	FileSize            int64     `json:"fileSize"`
	LastChangedDateTime time.Time `json:"lastChangedDateTime"`
	ApplicationOwner    struct {
		Downloaded []time.Time `json:"downloaded"`
	} `json:"applicationOwner"`
	Scan Scan `json:"scan"`
}

// Scan is the state of the malware scan of a data element. It is zero if the API does not scan the
// content.
type Scan struct {
	Status string    `json:"status"` // ScanPending, ScanInfected, ScanUnscannable or another one
	At     time.Time `json:"at"`     // when the content became pending, or when its result was recorded
}

// Pending reports whether the scan has no result, and became pending at least d ago.
func (s Scan) Pending(d time.Duration) bool {
	return s.Status == ScanPending && time.Since(s.At) >= d
}

// Statuses of a Scan without content, if the API enforces the scan.
const (
	ScanPending     = "pending"
	ScanInfected    = "infected"
	ScanUnscannable = "unscannable"
)

// Downloaded reports whether the API has recorded a download of the current content by the owner.
func (e Element) Downloaded() bool { return len(e.ApplicationOwner.Downloaded) > 0 }

// ContentTime returns the time of the latest submission, or of the latest change of the content if
// that is later. The API gives each submission and each change a later time than all before, so
// the time identifies the content, except for the deletion of elements.
func (i Instance) ContentTime() time.Time {
	latest := i.Workflow.SubmittedDateTime
	for _, e := range i.Data {
		if e.LastChangedDateTime.After(latest) {
			latest = e.LastChangedDateTime
		}
	}
	return latest
}

// SameSubmission reports whether both documents are of the same submission of an instance, with the
// same content.
func (i Instance) SameSubmission(other Instance) bool {
	return i.ContentTime().Equal(other.ContentTime()) &&
		slices.EqualFunc(i.Data, other.Data, func(a, b Element) bool { return a.ID == b.ID })
}

// Ref identifies an instance. Both parts become parts of paths, so check accepts only valid ids.
type Ref struct{ InstanceOwnerID, ID string }

var (
	ownerPattern = regexp.MustCompile(`^[0-9]{1,18}$`)
	guidPattern  = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
)

var errInvalidID = errors.New("an id in the response is invalid")

func (r Ref) path() string { return "/storage/instances/" + r.InstanceOwnerID + "/" + r.ID }

func (r Ref) check() error {
	if !ownerPattern.MatchString(r.InstanceOwnerID) || !guidPattern.MatchString(r.ID) {
		return errInvalidID
	}
	return nil
}

// Ref returns the reference to the instance.
func (i Instance) Ref() Ref { return Ref{i.InstanceOwnerID, i.ID} }

func (i Instance) check() error {
	for _, e := range i.Data {
		if !guidPattern.MatchString(e.ID) {
			return errInvalidID
		}
	}
	return i.Ref().check()
}

// Instance fetches the current state of an instance.
func (c *Client) Instance(ctx context.Context, ref Ref) (Instance, error) {
	if err := ref.check(); err != nil {
		return Instance{}, err
	}
	var document json.RawMessage
	header, err := c.call(ctx, http.MethodGet, ref.path(), nil, nil, &document)
	if err != nil {
		return Instance{}, err
	}
	i := Instance{Version: header.Get("ETag"), Document: document}
	if err := json.Unmarshal(document, &i); err != nil {
		return Instance{}, err
	}
	if i.Version == "" {
		return Instance{}, errors.New("the response has no ETag")
	}
	return i, i.check()
}

// Queue returns a page of the owner's work queue: the submitted instances of the application that
// are not confirmed, also deleted ones. Start with page ""; next is "" after the last page.
func (c *Client) Queue(ctx context.Context, app, page string) (instances []Instance, next string, err error) {
	if page == "" {
		page = "/storage/instances?" + url.Values{"appId": {app}, "downloadConfirmed": {"false"}, "size": {"100"}}.Encode()
	}
	var result struct {
		Links struct {
			Next struct{ Href string } `json:"next"`
		} `json:"_links"`
		Embedded struct{ Instances []Instance } `json:"_embedded"`
	}
	if _, err := c.call(ctx, http.MethodGet, page, nil, nil, &result); err != nil {
		return nil, "", err
	}
	for _, i := range result.Embedded.Instances {
		if err := i.check(); err != nil {
			return nil, "", err
		}
	}
	if result.Links.Next.Href != "" {
		next, err = LocalPath(result.Links.Next.Href)
	}
	return result.Embedded.Instances, next, err
}

// confirmation is an item of a request to confirm instances, and of its response.
type confirmation struct {
	InstanceOwnerID string   `json:"instanceOwnerId"`
	ID              string   `json:"id"`
	Version         string   `json:"etag,omitempty"`
	Status          int      `json:"status,omitempty"`
	Problem         *Problem `json:"problem,omitempty"`
}

// Confirm confirms the receipt of up to 100 instances in one request, each with all its content, in
// the fetched version. It returns the error of each: a Problem with status 412 if the instance has
// changed since. Confirm sends the instances again that failed with a retryable error.
func (c *Client) Confirm(ctx context.Context, instances []Instance) []error {
	errs := make([]error, len(instances))
	left := make([]int, len(instances)) // indexes of those to send
	for n := range left {
		left[n] = n
	}
	for attempts := (Attempts{}); len(left) > 0; {
		results, err := c.confirmOnce(ctx, instances, left)
		var retry []int
		for k, n := range left {
			if errs[n] = err; err == nil && results[k].Status != http.StatusOK {
				problem := &Problem{}
				if results[k].Problem != nil {
					problem = results[k].Problem
				}
				problem.Status = results[k].Status
				errs[n] = problem
				if c.IsRetryable(problem) {
					retry = append(retry, n)
				}
			}
		}
		if len(retry) < len(left) {
			attempts.Reset()
		}
		if left = retry; len(left) > 0 && !c.Retry(ctx, &attempts, "confirming", errs[left[0]]) {
			break
		}
	}
	return errs
}

// confirmOnce confirms the instances with these indexes, and returns a result for each.
func (c *Client) confirmOnce(ctx context.Context, instances []Instance, indexes []int) ([]confirmation, error) {
	var request struct {
		Instances []confirmation `json:"instances"`
	}
	for _, n := range indexes {
		request.Instances = append(request.Instances, confirmation{InstanceOwnerID: instances[n].InstanceOwnerID, ID: instances[n].ID, Version: instances[n].Version})
	}
	body, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	var response struct{ Results []confirmation }
	_, err = c.call(ctx, http.MethodPost, "/storage/confirmDownload", nil, body, &response)
	if err == nil && len(response.Results) != len(indexes) {
		err = errors.New("the response does not have one result for each instance")
	}
	return response.Results, err
}
