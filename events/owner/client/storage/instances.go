package storage

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// Instance is what an owner needs to know of an instance. Document is all of it.
type Instance struct {
	ID              string    `json:"id"`
	InstanceOwnerID string    `json:"instanceOwnerId"`
	Workflow        Workflow  `json:"workflow"`
	Data            []Element `json:"data"`

	Version  string          `json:"-"` // the ContentETag; "" in the result of a query
	Document json.RawMessage `json:"-"`
}

// Workflow is where an instance is.
type Workflow struct {
	CurrentStep string `json:"currentStep"`
}

// Element is what an owner needs to know of a data element.
type Element struct {
	ID                  string    `json:"id"`
	FormID              string    `json:"formId"`
	FileName            string    `json:"fileName"`
	FileSize            int64     `json:"fileSize"`
	LastChangedDateTime time.Time `json:"lastChangedDateTime"`
	ApplicationOwner    struct {
		Downloaded        []time.Time `json:"downloaded"`
		DownloadConfirmed []time.Time `json:"downloadConfirmed"`
	} `json:"applicationOwner"`
}

// Downloaded reports whether the API has seen the owner download the bytes as they are now.
func (e Element) Downloaded() bool { return len(e.ApplicationOwner.Downloaded) > 0 }

// Confirmed reports whether the bytes as they are now are confirmed.
func (e Element) Confirmed() bool { return len(e.ApplicationOwner.DownloadConfirmed) > 0 }

// Confirmed reports whether there is nothing left to confirm.
func (i Instance) Confirmed() bool {
	for _, e := range i.Data {
		if !e.Confirmed() {
			return false
		}
	}
	return true
}

// SameBytes reports whether both have the same data elements with the same bytes: every change of the bytes moves the
// element's lastChangedDateTime.
func (i Instance) SameBytes(other Instance) bool {
	if len(i.Data) != len(other.Data) {
		return false
	}
	for n, e := range i.Data {
		o := other.Data[n]
		if e.ID != o.ID || e.FileSize != o.FileSize || !e.LastChangedDateTime.Equal(o.LastChangedDateTime) {
			return false
		}
	}
	return true
}

// Ref names an instance. Both parts become parts of paths, so nothing else than what ids look like is taken.
type Ref struct{ InstanceOwnerID, ID string }

var (
	ownerForm = regexp.MustCompile(`^[0-9]{1,18}$`)
	guidForm  = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
)

var errIDs = errors.New("an id in the answer does not look like one")

func (r Ref) path() string { return "/storage/instances/" + r.InstanceOwnerID + "/" + r.ID }

func (r Ref) check() error {
	if !ownerForm.MatchString(r.InstanceOwnerID) || !guidForm.MatchString(r.ID) {
		return errIDs
	}
	return nil
}

// Ref returns the instance's name.
func (i Instance) Ref() Ref { return Ref{i.InstanceOwnerID, i.ID} }

func (i Instance) check() error {
	for _, e := range i.Data {
		if !guidForm.MatchString(e.ID) {
			return errIDs
		}
	}
	return i.Ref().check()
}

// Instance fetches an instance as it is now.
func (c *Client) Instance(ctx context.Context, ref Ref) (Instance, error) {
	if err := ref.check(); err != nil {
		return Instance{}, err
	}
	var document json.RawMessage
	header, err := c.read(ctx, http.MethodGet, ref.path(), nil, &document)
	if err != nil {
		return Instance{}, err
	}
	i := Instance{Version: header.Get("ETag"), Document: document}
	if err := json.Unmarshal(document, &i); err != nil {
		return Instance{}, err
	}
	if i.Version == "" {
		return Instance{}, errors.New("the answer has no ETag")
	}
	return i, i.check()
}

// Unconfirmed returns a page of the application's instances in a step that have something unconfirmed. Begin with page "";
// the next one is "" at the end.
func (c *Client) Unconfirmed(ctx context.Context, app, step, page string) (refs []Ref, next string, err error) {
	if page == "" {
		page = "/storage/instances?" + url.Values{
			"appId": {app}, "workflow.currentStep": {step}, "downloadConfirmed": {"false"}, "size": {"100"},
		}.Encode()
	}
	var answer struct {
		Links struct {
			Next struct{ Href string } `json:"next"`
		} `json:"_links"`
		Embedded struct{ Instances []Instance } `json:"_embedded"`
	}
	if _, err := c.read(ctx, http.MethodGet, page, nil, &answer); err != nil {
		return nil, "", err
	}
	for _, i := range answer.Embedded.Instances {
		if err := i.check(); err != nil {
			return nil, "", err
		}
		refs = append(refs, i.Ref())
	}
	if answer.Links.Next.Href != "" {
		next, err = Local(answer.Links.Next.Href)
	}
	return refs, next, err
}

// Confirm tells that all bytes of the instance are here, as it was when it was fetched. When it has changed since, the
// answer is a Problem 412, and nothing is confirmed.
func (c *Client) Confirm(ctx context.Context, i Instance) error {
	_, err := c.read(ctx, http.MethodPost, i.Ref().path()+"/confirmDownload", http.Header{"If-Match": {i.Version}}, nil)
	return err
}

// refOf returns the instance that a link of an event points at.
func refOf(link string) (Ref, error) {
	path, err := Local(link)
	if err != nil {
		return Ref{}, err
	}
	parts := strings.Split(withoutQuery(path), "/")
	if len(parts) < 2 {
		return Ref{}, errIDs
	}
	ref := Ref{parts[len(parts)-2], parts[len(parts)-1]}
	return ref, ref.check()
}
