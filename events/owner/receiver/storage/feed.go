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

// FeedSince returns the position in an application's feed from which Events finds the events after
// t. Continue from the position that Events returns.
func FeedSince(app string, t time.Time) string {
	return "/storage/applications/" + app + "/events?" + url.Values{"after": {t.UTC().Format(time.RFC3339)}}.Encode()
}

// codeHeldCount is the problem code if the API already holds the maximum number of requests of the
// organisation.
const codeHeldCount = "feed-held-count"

// Events returns the number of events on the feed's page at a position, and the next position. When
// there are no events yet, it waits for one up to wait. If the API holds too many requests of the
// organisation, Events waits for the time in Retry-After and then polls once.
func (c *Client) Events(ctx context.Context, position string, wait time.Duration) (count int, next string, err error) {
	header := http.Header{}
	if wait > 0 {
		header.Set("Prefer", fmt.Sprintf("wait=%d", int(wait.Seconds())))
	}
	var page []struct{}
	responseHeader, err := c.call(ctx, http.MethodGet, position, header, nil, &page)
	if problem := (*Problem)(nil); wait > 0 && errors.As(err, &problem) && problem.Code == codeHeldCount {
		c.Backoff(ctx, 1, "the feed", err)
		return c.Events(ctx, position, 0)
	}
	if err != nil {
		return 0, "", err
	}
	for _, link := range strings.Split(strings.Join(responseHeader.Values("Link"), ","), ",") {
		target, rel, ok := strings.Cut(strings.TrimSpace(link), ">")
		if ok && strings.HasPrefix(target, "<") && strings.Contains(rel, `rel="next"`) {
			next, err := LocalPath(target[1:])
			return len(page), next, err
		}
	}
	return 0, "", errors.New("the feed has no link to the next page")
}
