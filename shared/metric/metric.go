// Package metric publishes CloudWatch metrics in log lines, in CloudWatch's embedded metric format.
// The member "_aws" names the members of the line that are metrics, and CloudWatch reads them from
// the log. The function itself makes no call and does not wait.
//
// The package holds no values: a value is an attribute of the line with the name of the metric.
// Each distinct combination of dimension values is a metric that costs money. Use dimensions with
// few values: routes, status classes, codes.
//
// The functions publish requests by route and status class and errors by code. They do not
// duplicate metrics that AWS publishes itself.
package metric

import (
	"log/slog"
	"slices"
	"strconv"
	"time"

	"altinn.no/instanceapi/shared/appendjson"
)

// Variable is the name of the environment variable with a function's namespace.
const Variable = "METRIC_NAMESPACE"

// Namespace is the CloudWatch namespace of the metrics, one per stack. An empty Namespace means no
// metrics.
type Namespace string

// Unit is a unit of CloudWatch.
type Unit string

// The units in use.
const (
	Milliseconds Unit = "Milliseconds"
	Bytes        Unit = "Bytes"
	Count        Unit = "Count"
)

// Metric is one metric. Name is the name of the line's attribute with the value: a number or a list
// of at most 100 numbers.
type Metric struct {
	Name string
	Unit Unit
}

// maxValues is the number of values of a metric that CloudWatch accepts in one line.
const maxValues = 100

// Values is the value of a line's attribute with several values of a metric. It contains only
// computed numbers, so the log need not redact it: it would take several lags for the digits of an
// identity number.
type Values []int64

// NewValues returns the values, or a hundred of them with the same distribution, the smallest and
// the largest among them. It sorts values in that case.
func NewValues(values []int64) Values {
	if len(values) <= maxValues {
		return values
	}
	slices.Sort(values)
	sampled := make(Values, maxValues)
	for n := range sampled {
		sampled[n] = values[n*(len(values)-1)/(maxValues-1)]
	}
	return sampled
}

// Directive defines metrics of a line and their dimensions. A dimension is the name of an attribute
// of the line with a text value.
type Directive struct {
	Dimensions []string
	Metrics    []Metric
}

// Set holds the encoded metric definitions of one kind of line.
type Set struct {
	prefix []byte // the member "_aws" up to the time
}

// Set returns the metrics that the directives define, or nil for the empty namespace.
func (n Namespace) Set(directives ...Directive) *Set {
	if n == "" {
		return nil
	}
	// encoding/json/v2 would analyse these types at each cold start, which costs a quarter of the
	// instructions that the simplest function needs to initialise.
	var w appendjson.Writer
	w.Raw(`{"CloudWatchMetrics":[`)
	for at, d := range directives {
		w.Raw(appendjson.Separator(at))
		w.String(`{"Namespace":`, string(n))
		w.Strings(`,"Dimensions":[`, d.Dimensions)
		w.Raw(`],"Metrics":[`)
		for at, m := range d.Metrics {
			w.Raw(appendjson.Separator(at))
			w.String(`{"Name":`, m.Name)
			w.String(`,"Unit":`, string(m.Unit))
			w.Raw("}")
		}
		w.Raw("]}")
	}
	w.Raw(`],"Timestamp":`)
	return &Set{prefix: w.Buf}
}

// Attr returns the attribute that adds the set's metrics to a line, with the time at. For a nil set
// it returns an empty attribute, which slog omits.
func (s *Set) Attr(at time.Time) slog.Attr {
	if s == nil {
		return slog.Attr{}
	}
	return slog.Any("_aws", Member{s.prefix, at.UnixMilli()})
}

// Member is the value of an Attr. It contains only names and a time, so the log need not redact it.
type Member struct {
	prefix []byte
	milli  int64
}

// MarshalJSON returns the value of the member "_aws". It never fails.
func (m Member) MarshalJSON() ([]byte, error) {
	out := make([]byte, 0, len(m.prefix)+16)
	return append(strconv.AppendInt(append(out, m.prefix...), m.milli, 10), '}'), nil
}
