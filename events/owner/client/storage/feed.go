package storage

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Event is what an owner needs to know of a workflow change: which instance, and which step it entered.
type Event struct {
	Instance Ref
	Step     string
}

// FeedSince returns where to begin in an application's feed to see what happens after t. Keep what Events returns, and go on
// from there.
func FeedSince(app string, t time.Time) string {
	return "/storage/applications/" + app + "/events?" + url.Values{"after": {t.UTC().Format(time.RFC3339)}}.Encode()
}

// Events returns what is in the feed from a place on, and where to go on. When there is nothing yet, it waits for something
// as long as is said.
func (c *Client) Events(ctx context.Context, place string, wait time.Duration) (events []Event, next string, err error) {
	header := http.Header{}
	if wait > 0 {
		header.Set("Prefer", fmt.Sprintf("wait=%d", int(wait.Seconds())))
	}
	var page []struct{ InstanceLink, WorkflowStep string }
	answer, err := c.read(ctx, http.MethodGet, place, header, &page)
	if err != nil {
		return nil, "", err
	}
	for _, e := range page {
		ref, err := refOf(e.InstanceLink)
		if err != nil {
			return nil, "", err
		}
		events = append(events, Event{ref, e.WorkflowStep})
	}
	for _, link := range strings.Split(strings.Join(answer.Values("Link"), ","), ",") {
		target, rel, ok := strings.Cut(strings.TrimSpace(link), ">")
		if ok && strings.HasPrefix(target, "<") && strings.Contains(rel, `rel="next"`) {
			next, err := Local(target[1:])
			return events, next, err
		}
	}
	return nil, "", errors.New("the feed does not say where to go on")
}
