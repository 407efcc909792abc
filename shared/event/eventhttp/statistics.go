package eventhttp

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"altinn.no/instanceapi/shared/event"
	"altinn.no/instanceapi/shared/fault"
	"altinn.no/instanceapi/shared/httpapi"
	"altinn.no/instanceapi/shared/rfc3339"
)

// The number of days of the statistics, which end today in UTC.
const (
	defaultDays = 31
	maxDays     = 366
)

// Counter counts the events of all applications; eventtable.Feed implements it.
type Counter interface {
	// Counts returns the counts of an application's events, with the days from first on, and the
	// time of the last event that they include. The time is zero for an empty feed.
	Counts(ctx context.Context, appID, first string) (event.Counts, time.Time, error)
}

// StatisticsEndpoint serves the statistics of an application: the number of its instances in each
// step, and what happened on the latest days. An event counts as soon as the feed has it.
type StatisticsEndpoint struct {
	Authenticator Authenticator
	Applications  ApplicationStore
	Counts        Counter
	Now           func() time.Time
}

// statistics is the body of the response.
type statistics struct {
	AsOf   rfc3339.Time      `json:"asOf"` // the time of the request
	Steps  map[string]int64  `json:"steps"`
	PerDay []event.DayCounts `json:"perDay"`
}

// Serve responds with the statistics. A request costs two reads: the last slot of the feed and the
// days.
func (e StatisticsEndpoint) Serve(w http.ResponseWriter, r *http.Request) error {
	appID, err := authorize(e.Authenticator, r)
	if err != nil {
		return err
	}
	values, err := httpapi.ParseQuery(r, "days")
	if err != nil {
		return err
	}
	days, err := parseDays(values)
	if err != nil {
		return err
	}
	now := e.Now().UTC()
	counts, recordedAt, err := e.Counts.Counts(r.Context(), appID, event.DayOf(now.AddDate(0, 0, 1-days)))
	if err != nil {
		return err
	}
	if recordedAt.IsZero() { // as for an empty feed
		if err := requireApplication(r.Context(), e.Applications, appID); err != nil {
			return err
		}
	}
	// The clocks of two functions differ. The response includes the event of recordedAt.
	if recordedAt.After(now) {
		now = recordedAt
	}
	body := statistics{AsOf: rfc3339.Time{Time: now.Truncate(time.Microsecond)}, Steps: map[string]int64{}, PerDay: []event.DayCounts{}}
	maps.Copy(body.Steps, counts.Steps)
	// A feed that lost its events, and was continued, has only the leaving of some steps until the
	// archive is replayed.
	maps.DeleteFunc(body.Steps, func(_ string, n int64) bool { return n < 1 })
	body.PerDay = append(body.PerDay, counts.Days...)
	return httpapi.WriteJSON(w, http.StatusOK, body)
}

// parseDays returns the value of the parameter days. It returns an Invalid fault if the value is
// not a whole number from 1 to maxDays.
func parseDays(values url.Values) (int, error) {
	text, err := httpapi.SingleValue(values, "days")
	if err != nil || text == "" {
		return defaultDays, err
	}
	days, err := strconv.Atoi(text)
	if err != nil || days < 1 || days > maxDays || strconv.Itoa(days) != text {
		return 0, fault.InvalidParameter("days", "it must be a whole number from 1 to %d", maxDays)
	}
	return days, nil
}
