package structure

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// insights runs a query of CloudWatch Logs Insights on log lines. It knows the part of the language
// that the operations guide uses, and returns an error for anything else, also for a member that no
// line has, and for a column without a value.
//
// Like Insights it reads a nested member by its path ("record.status", "feedLagMs.0"), and a number
// in quotes as a number. A comparison with a missing member is false.
func insights(query string, lines []string) (rows []insightsRow, err error) {
	q := &insightsQuery{tokens: insightsToken.FindAllString(query, -1), known: map[string]bool{"@message": true}}
	for _, line := range lines {
		var document any
		if err := json.Unmarshal([]byte(line), &document); err != nil {
			return nil, fmt.Errorf("%w: %s", err, line)
		}
		row := insightsRow{"@message": line}
		row.flatten("", document)
		for name := range row {
			q.known[name] = true
		}
		rows = append(rows, row)
	}
	defer func() {
		if r := recover(); r != nil {
			failed, ok := r.(insightsError)
			if !ok {
				panic(r)
			}
			err = failed
		}
	}()
	for {
		rows = q.command(rows)
		if q.peek() == "" {
			return rows, nil
		}
		q.expect("|")
	}
}

// insightsRow is a line or a result: the values by path or by name.
type insightsRow map[string]any

// String returns the columns in alphabetical order, such as "count:2 route:GET /x".
func (r insightsRow) String() string {
	var columns []string
	for _, name := range slices.Sorted(maps.Keys(r)) {
		if value, ok := r[name].(float64); ok {
			columns = append(columns, name+":"+strconv.FormatFloat(value, 'f', -1, 64))
		} else {
			columns = append(columns, fmt.Sprintf("%s:%v", name, r[name]))
		}
	}
	return strings.Join(columns, " ")
}

func (r insightsRow) flatten(path string, value any) {
	children := map[string]any{}
	switch v := value.(type) {
	case map[string]any:
		children = v
	case []any:
		for n, element := range v {
			children[strconv.Itoa(n)] = element
		}
	default:
		r[path] = value
	}
	for name, child := range children {
		r.flatten(strings.TrimPrefix(path+"."+name, "."), child)
	}
}

type insightsError string

func (e insightsError) Error() string { return string(e) }

// insightsToken matches a text, a number, a name or an operator.
var insightsToken = regexp.MustCompile(`"[^"]*"|[0-9]+[a-z]*|[@a-zA-Z_][@a-zA-Z0-9_.]*|[<>!]?=|[^\s]`)

// insightsQuery is the rest of a query.
type insightsQuery struct {
	tokens []string
	known  map[string]bool // members of the lines, and names that the query gives
}

func (q *insightsQuery) peek() string {
	if len(q.tokens) == 0 {
		return ""
	}
	return q.tokens[0]
}

func (q *insightsQuery) next() string {
	token := q.peek()
	if token == "" {
		panic(insightsError("the query ends too early"))
	}
	q.tokens = q.tokens[1:]
	return token
}

func (q *insightsQuery) accept(token string) bool {
	if q.peek() != token {
		return false
	}
	q.tokens = q.tokens[1:]
	return true
}

func (q *insightsQuery) expect(token string) {
	if got := q.next(); got != token {
		panic(insightsError(fmt.Sprintf("%q instead of %q", got, token)))
	}
}

// insightsExpr computes a value from the rows of a group; outside stats a group is one row.
type insightsExpr func(group []insightsRow) any

// insightsColumn is a named expression of fields or stats.
type insightsColumn struct {
	name string
	expr insightsExpr
}

func (q *insightsQuery) command(rows []insightsRow) []insightsRow {
	switch name := q.next(); name {
	case "filter":
		condition := q.or()
		return slices.DeleteFunc(rows, func(r insightsRow) bool { return condition([]insightsRow{r}) != true })
	case "fields":
		return project(q.columns(), nil, rows)
	case "stats":
		columns := q.columns()
		var by []insightsColumn
		if q.accept("by") {
			by = q.columns()
		}
		return project(columns, by, rows)
	case "sort":
		key := q.or()
		direction := 1
		if q.accept("desc") {
			direction = -1
		}
		slices.SortStableFunc(rows, func(a, b insightsRow) int {
			return direction * compare(key([]insightsRow{a}), key([]insightsRow{b}))
		})
		return rows
	case "limit":
		n, err := strconv.Atoi(q.next())
		if err != nil {
			panic(insightsError(err.Error()))
		}
		return rows[:min(n, len(rows))]
	default:
		panic(insightsError("unknown command " + name))
	}
}

// project returns a row for each group of rows with equal values of by. Without by, each row is a
// group of its own, unless the columns aggregate.
func project(columns, by []insightsColumn, rows []insightsRow) []insightsRow {
	var keys []string
	groups := map[string][]insightsRow{}
	for n, row := range rows {
		key := strconv.Itoa(n)
		if by != nil {
			key = fmt.Sprint(values(by, []insightsRow{row}))
		}
		if groups[key] == nil {
			keys = append(keys, key)
		}
		groups[key] = append(groups[key], row)
	}
	var out []insightsRow
	for _, key := range keys {
		out = append(out, values(append(slices.Clone(by), columns...), groups[key]))
	}
	for _, c := range append(slices.Clone(by), columns...) {
		if len(out) > 0 && !slices.ContainsFunc(out, func(r insightsRow) bool { return r[c.name] != nil }) {
			panic(insightsError("the column " + c.name + " is always empty"))
		}
	}
	return out
}

func values(columns []insightsColumn, group []insightsRow) insightsRow {
	row := insightsRow{}
	for _, c := range columns {
		if value := c.expr(group); value != nil {
			row[c.name] = value
		}
	}
	return row
}

func (q *insightsQuery) columns() (columns []insightsColumn) {
	for {
		before := q.tokens
		expr := q.or()
		name := strings.Join(before[:len(before)-len(q.tokens)], "")
		if q.accept("as") {
			name = q.next()
		}
		q.known[name] = true
		if columns = append(columns, insightsColumn{name, expr}); !q.accept(",") {
			return columns
		}
	}
}

func (q *insightsQuery) or() insightsExpr {
	left := q.and()
	for q.accept("or") {
		a, b := left, q.and()
		left = func(g []insightsRow) any { return a(g) == true || b(g) == true }
	}
	return left
}

func (q *insightsQuery) and() insightsExpr {
	left := q.not()
	for q.accept("and") {
		a, b := left, q.not()
		left = func(g []insightsRow) any { return a(g) == true && b(g) == true }
	}
	return left
}

func (q *insightsQuery) not() insightsExpr {
	if q.accept("not") {
		inner := q.not()
		return func(g []insightsRow) any { return inner(g) != true }
	}
	left := q.quotient()
	operator := q.peek()
	if !slices.Contains([]string{"=", "!=", "<", "<=", ">", ">="}, operator) {
		return left
	}
	q.next()
	right := q.quotient()
	return func(g []insightsRow) any {
		a, b := left(g), right(g)
		if a == nil || b == nil {
			return false
		}
		c := compare(a, b)
		return map[string]bool{"=": c == 0, "!=": c != 0, "<": c < 0, "<=": c <= 0, ">": c > 0, ">=": c >= 0}[operator]
	}
}

// quotient reads operands and divisions, the only arithmetic of the guide.
func (q *insightsQuery) quotient() insightsExpr {
	left := q.operand()
	for q.accept("/") {
		a, b := left, q.operand()
		left = func(g []insightsRow) any { return number(a(g)) / number(b(g)) }
	}
	return left
}

func (q *insightsQuery) operand() insightsExpr {
	token := q.next()
	if token[0] == '"' {
		text := strings.Trim(token, `"`)
		return func([]insightsRow) any { return text }
	}
	if value, err := strconv.ParseFloat(token, 64); err == nil {
		return func([]insightsRow) any { return value }
	}
	if q.accept("(") {
		return q.call(token)
	}
	if !q.known[token] {
		panic(insightsError("no line has the member " + token))
	}
	return func(g []insightsRow) any { return g[0][token] }
}

// call reads the arguments of a function.
func (q *insightsQuery) call(function string) insightsExpr {
	switch function {
	case "count":
		q.expect("*")
		q.expect(")")
		return func(g []insightsRow) any { return float64(len(g)) }
	case "bin":
		if period := q.next(); !regexp.MustCompile(`^[0-9]+[smhd]$`).MatchString(period) {
			panic(insightsError("bin of " + period))
		}
		q.expect(")")
		return func([]insightsRow) any { return "one period" } // which the lines of a test belong to
	}
	argument := q.or()
	var percent float64
	if function == "pct" {
		q.expect(",")
		percent = number(q.operand()(nil))
	}
	q.expect(")")
	all := func(g []insightsRow) (all []any) {
		for _, row := range g {
			if value := argument([]insightsRow{row}); value != nil {
				all = append(all, value)
			}
		}
		return all
	}
	pick := func(choose func(sorted []any) any) insightsExpr {
		return func(g []insightsRow) any {
			sorted := all(g)
			if len(sorted) == 0 {
				return nil
			}
			slices.SortFunc(sorted, compare)
			return choose(sorted)
		}
	}
	switch function {
	case "ispresent":
		return func(g []insightsRow) any { return argument(g) != nil }
	case "sum":
		return func(g []insightsRow) any {
			total := 0.0
			for _, value := range all(g) {
				total += number(value)
			}
			return total
		}
	case "max":
		return pick(func(sorted []any) any { return sorted[len(sorted)-1] })
	case "earliest": // of a time
		return pick(func(sorted []any) any { return sorted[0] })
	case "pct":
		return pick(func(sorted []any) any { return sorted[int(math.Ceil(percent/100*float64(len(sorted))))-1] })
	}
	panic(insightsError("unknown function " + function))
}

// number returns the number of a value, or NaN.
func number(value any) float64 {
	switch v := value.(type) {
	case float64:
		return v
	case string:
		if f, err := strconv.ParseFloat(v, 64); err == nil {
			return f
		}
	}
	return math.NaN()
}

func compare(a, b any) int {
	if x, y := number(a), number(b); !math.IsNaN(x) && !math.IsNaN(y) {
		return cmp.Compare(x, y)
	}
	return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b))
}

func TestInsights(t *testing.T) {
	lines := []string{
		`{"m": "a", "n": 1, "s": "503", "list": [7], "deep": {"er": "x"}}`, `{"m": "a", "n": 3, "s": "-"}`, `{"m": "b", "n": 20, "s": "200"}`,
	}
	for query, want := range map[string][]insightsRow{
		`filter m = "a" and s >= 500 | fields n, deep.er, list.0`:               {{"n": 1.0, "deep.er": "x", "list.0": 7.0}},
		`filter m = "a" and not ispresent(list.0) | fields s`:                   {{"s": "-"}},
		`filter n < 2 and s != "503" or n = 20 | fields m`:                      {{"m": "b"}},
		`filter deep.er != "y" | fields m`:                                      {{"m": "a"}},
		`stats count(*) as c, sum(n) / 2 as half, max(n) by m | sort c desc`:    {{"m": "a", "c": 2.0, "half": 2.0, "max(n)": 3.0}, {"m": "b", "c": 1.0, "half": 10.0, "max(n)": 20.0}},
		`stats pct(n, 50) as p, earliest(m) as first by bin(5m)`:                {{"bin(5m)": "one period", "p": 3.0, "first": "a"}},
		`fields n | sort n desc | limit 1`:                                      {{"n": 20.0}},
		`filter m = "none" | stats count(*) as c by m`:                          nil,
		`stats max(list.0) as l by m | sort m | filter ispresent(l) | fields l`: {{"l": 7.0}},
	} {
		if got, err := insights(query, lines); err != nil || !reflect.DeepEqual(got, want) && len(got)+len(want) > 0 {
			t.Errorf("%s\nreturns %v, %v\nwant    %v", query, got, err, want)
		}
	}
	for _, query := range []string{`filter x = 1`, `filter m = `, `parse m "*" as x`, `stats median(n) by m`, `fields m n`, `limit many`, `filter m like /a/`, `filter m = "b" | fields deep.er`} {
		if got, err := insights(query, lines); err == nil {
			t.Errorf("%s returns %v, want an error", query, got)
		}
	}
}
