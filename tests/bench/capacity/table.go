package capacity

import (
	"reflect"
	"slices"
)

// Table is the part of a table's schema that determines the cost of a write.
type Table struct {
	Keys    []string
	Indexes []Index
}

// Index is a global secondary index. It omits items that lack one of its keys.
type Index struct {
	Name       string
	Keys       []string
	All        bool     // it projects all attributes
	Attributes []string // otherwise it projects these and the keys
}

// Write is the cost of one write: of the item, and of its entries in the indexes.
type Write struct {
	Base    int
	Indexes map[string]int // by index name; without indexes that cost nothing
}

// Total returns the sum of all write units.
func (w Write) Total() int {
	total := w.Base
	for _, units := range w.Indexes {
		total += units
	}
	return total
}

// Write returns the write units of replacing the item before by after; nil means no item. The table
// charges for the larger of the two, and twice in a transaction. An index charges one write if its
// entry is new, is removed or has other attributes. If the key of the entry changes, it charges two
// writes: the removal and the new entry.
func (t Table) Write(before, after Item, transaction bool) Write {
	w := Write{Base: each(max(Size(before), Size(after)), perWrite), Indexes: map[string]int{}}
	if transaction {
		w.Base *= 2
	}
	for _, index := range t.Indexes {
		if units := index.write(t.project(index, before), t.project(index, after)); units > 0 {
			w.Indexes[index.Name] = units
		}
	}
	return w
}

// Rejected returns the write units of a write whose condition failed: those of the current item.
func (t Table) Rejected(current Item, transaction bool) Write {
	return Table{}.Write(current, current, transaction)
}

func (i Index) write(before, after Item) int {
	switch {
	case before == nil && after == nil:
		return 0
	case before == nil:
		return each(Size(after), perWrite)
	case after == nil:
		return each(Size(before), perWrite)
	}
	for _, key := range i.Keys {
		if !reflect.DeepEqual(before[key], after[key]) {
			return each(Size(before), perWrite) + each(Size(after), perWrite)
		}
	}
	if reflect.DeepEqual(before, after) {
		return 0
	}
	return each(max(Size(before), Size(after)), perWrite)
}

// project returns the entry of an item in an index, or nil if the index omits the item.
func (t Table) project(index Index, item Item) Item {
	for _, key := range index.Keys {
		if item[key] == nil {
			return nil
		}
	}
	if index.All {
		return item
	}
	entry := Item{}
	for _, name := range slices.Concat(t.Keys, index.Keys, index.Attributes) {
		if value, ok := item[name]; ok {
			entry[name] = value
		}
	}
	return entry
}
