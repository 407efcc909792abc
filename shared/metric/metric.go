// Package metric provides CloudWatch metrics as a member of log lines that are written anyway, in CloudWatch's embedded
// metric format: the member "_aws" says which of a line's other members are metrics, and CloudWatch makes them of the
// log, at no call and no wait of the function's.
//
// It never holds a value: those are attributes of the line, under the names given here. Each distinct set of dimension
// values is a metric that costs money, so dimensions are things of which there are few: routes, classes of status, codes.
package metric

import (
	"log/slog"
	"strconv"
	"time"

	"altinn.no/instanceapi/shared/appendjson"
)

// Variable is the environment variable that a function takes its namespace from.
const Variable = "METRIC_NAMESPACE"

// Namespace is where CloudWatch keeps the metrics, one for each stack. The empty one means that there are none to keep.
type Namespace string

// Unit is a unit that CloudWatch knows.
type Unit string

// The units in use.
const (
	Milliseconds Unit = "Milliseconds"
	Bytes        Unit = "Bytes"
	Count        Unit = "Count"
)

// Metric is one figure: the name of an attribute of the line, whose value is a number or a list of at most 100 of them.
type Metric struct {
	Name string
	Unit Unit
}

// Directive makes metrics of a line, told apart by its dimensions: names of attributes of the line whose values are text.
type Directive struct {
	Dimensions []string
	Metrics    []Metric
}

// Set is the metrics of one kind of line, encoded once.
type Set struct {
	head []byte // the member up to the time
}

// Set returns the metrics that the directives make of a line, nil for the empty namespace.
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
	return &Set{head: w.Buf}
}

// Attr returns the attribute that makes a line one of the set's; for a nil set one that slog leaves out.
func (s *Set) Attr(at time.Time) slog.Attr {
	if s == nil {
		return slog.Attr{}
	}
	return slog.Any("_aws", Member{s.head, at.UnixMilli()})
}

// Member is the value of an Attr. It holds names and a time, and nothing that would have to be masked.
type Member struct {
	head  []byte
	milli int64
}

// MarshalJSON completes the member.
func (m Member) MarshalJSON() ([]byte, error) {
	out := make([]byte, 0, len(m.head)+16)
	return append(strconv.AppendInt(append(out, m.head...), m.milli, 10), '}'), nil
}
