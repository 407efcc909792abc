package capacity

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func TestSize(t *testing.T) {
	number := func(s string) types.AttributeValue { return &types.AttributeValueMemberN{Value: s} }
	for name, test := range map[string]struct {
		value types.AttributeValue
		size  int
	}{
		"text":            {text("abc"), 3},
		"not ASCII":       {text("æø"), 4},
		"empty":           {text(""), 0},
		"bytes":           {&types.AttributeValueMemberB{Value: []byte{0, 1, 2}}, 3},
		"one digit":       {number("7"), 2},
		"three digits":    {number("123"), 3},
		"zeros at an end": {number("12000"), 2},
		"a fraction":      {number("0.0012"), 2},
		"negative":        {number("-12"), 3},
		"zero":            {number("0"), 1},
		"true":            {&types.AttributeValueMemberBOOL{Value: true}, 1},
		"null":            {&types.AttributeValueMemberNULL{Value: true}, 1},
		"a set":           {&types.AttributeValueMemberSS{Value: []string{"ab", "c"}}, 3},
		"a list":          {&types.AttributeValueMemberL{Value: []types.AttributeValue{text("ab"), text("c")}}, 3 + 3 + 2},
		"a map":           {&types.AttributeValueMemberM{Value: Item{"ab": text("c")}}, 3 + 1 + 2 + 1},
	} {
		if got := Size(Item{"name": test.value}); got != 4+test.size {
			t.Errorf("%s: %d, want %d", name, got, 4+test.size)
		}
	}
	if Size(nil) != 0 {
		t.Error("a nil item has a size")
	}
}

func TestRead(t *testing.T) {
	for _, test := range []struct {
		size       int
		consistent bool
		units      float64
	}{{0, false, 0.5}, {1, true, 1}, {4096, true, 1}, {4097, true, 2}, {4097, false, 1}, {56_000, false, 7}} {
		if got := Read(test.size, test.consistent); got != test.units {
			t.Errorf("%+v: %v", test, got)
		}
	}
}

func TestWrite(t *testing.T) {
	table := Table{Keys: []string{"PK"}, Indexes: []Index{
		{Name: "all", Keys: []string{"a", "s"}, All: true}, {Name: "keys", Keys: []string{"k", "s"}},
	}}
	item := func(a, k, s string, size int) Item {
		i := Item{"PK": text("1"), "s": text(s), "d": text(strings.Repeat("x", size))}
		for name, value := range map[string]string{"a": a, "k": k} {
			if value != "" {
				i[name] = text(value)
			}
		}
		return i
	}
	for name, test := range map[string]struct {
		before, after   Item
		base, all, keys int
	}{
		"new":                      {nil, item("a", "k", "1", 100), 1, 1, 1},
		"new and large":            {nil, item("a", "k", "1", 2000), 2, 2, 1},
		"in no index":              {nil, item("", "", "1", 100), 1, 0, 0},
		"gone":                     {item("a", "k", "1", 2000), nil, 2, 2, 1},
		"gone from one":            {item("a", "k", "1", 100), item("", "k", "1", 100), 1, 1, 0},
		"into one":                 {item("", "k", "1", 100), item("a", "k", "1", 100), 1, 1, 0},
		"another attribute":        {item("a", "k", "1", 100), item("a", "k", "1", 200), 1, 1, 0},
		"no change":                {item("a", "k", "1", 100), item("a", "k", "1", 100), 1, 0, 0},
		"another key":              {item("a", "k", "1", 100), item("b", "k", "1", 100), 1, 2, 0},
		"another sort key":         {item("a", "k", "1", 100), item("a", "k", "2", 100), 1, 2, 2},
		"larger, another sort key": {item("a", "k", "1", 100), item("a", "k", "2", 1100), 2, 3, 2},
		"no item":                  {nil, nil, 1, 0, 0},
	} {
		for _, transaction := range []bool{false, true} {
			base := test.base
			if transaction {
				base *= 2
			}
			w := table.Write(test.before, test.after, transaction)
			if w.Base != base || w.Indexes["all"] != test.all || w.Indexes["keys"] != test.keys || w.Total() != base+test.all+test.keys {
				t.Errorf("%s, transaction %v: %+v, want %d, %d, %d", name, transaction, w, base, test.all, test.keys)
			}
		}
	}
	if w := table.Rejected(item("a", "k", "1", 1500), true); w.Total() != 4 {
		t.Errorf("a rejected write: %+v", w)
	}
	if w := table.Rejected(nil, false); w.Total() != 1 {
		t.Errorf("a rejected write without an item: %+v", w)
	}
}
