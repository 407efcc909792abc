package capacity

import (
	"reflect"
	"slices"
)

// Table is what a write's cost depends on: which attributes identify an item, and the indexes.
type Table struct {
	Keys    []string
	Indexes []Index
}

// Index is a global secondary index. An item that lacks one of its keys is not in it.
type Index struct {
	Name     string
	Keys     []string
	KeysOnly bool // else it projects all attributes
}

// Write is what one write costs: of the item itself, and of its entries in the indexes.
type Write struct {
	Base    int
	Indexes map[string]int // by name; those that cost nothing are left out
}

// Total returns the write units of all together.
func (w Write) Total() int {
	total := w.Base
	for _, units := range w.Indexes {
		total += units
	}
	return total
}

// Write returns the write units of turning an item into another; nil is none. In the table it is the larger of the two,
// twice that in a transaction. An index pays for what changes in it: an entry that is new, gone or has other attributes
// is one write, one whose key has changed is two, the old entry's removal and the new one.
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

// Refused returns the write units of a write whose condition did not hold: those of the item as it is.
func (t Table) Refused(current Item, transaction bool) Write {
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

// project returns the entry of an item in an index, or nil when it has none.
func (t Table) project(index Index, item Item) Item {
	for _, key := range index.Keys {
		if item[key] == nil {
			return nil
		}
	}
	if !index.KeysOnly {
		return item
	}
	entry := Item{}
	for _, name := range slices.Concat(t.Keys, index.Keys) {
		entry[name] = item[name]
	}
	return entry
}
