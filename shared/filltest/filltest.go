// Package filltest fills every field of a value by reflection. It is for tests of code that must
// handle every field: such a test fails if the code omits a new field.
package filltest

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"
)

// Fill sets every field of the struct that into points at, recursively, to a unique value. Booleans
// are true, lists have two items, and times are UTC with microseconds. A pointer to a type that
// encloses it stays nil. Fill fails the test for an unexported field or an unknown kind.
func Fill(t testing.TB, into any) {
	t.Helper()
	v := reflect.ValueOf(into).Elem()
	(&filler{t: t}).fill(v, v.Type().Name())
}

type filler struct {
	t      testing.TB
	values int            // numbers and times so far
	open   []reflect.Type // the structs around the current value
}

func (f *filler) fill(v reflect.Value, path string) {
	f.t.Helper()
	f.values++
	switch v.Kind() {
	case reflect.Pointer:
		if !slices.Contains(f.open, v.Type().Elem()) {
			v.Set(reflect.New(v.Type().Elem()))
			f.fill(v.Elem(), path)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 5))
		for n := range v.Len() {
			f.fill(v.Index(n), fmt.Sprintf("%s[%d]", path, n))
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Date(2026, 11, 23, 12, 0, f.values, 123_456_000, time.UTC)))
			return
		}
		f.open = append(f.open, v.Type())
		for field, value := range v.Fields() {
			if !field.IsExported() {
				f.t.Fatalf("%s.%s is not exported", path, field.Name)
			}
			f.fill(value, path+"."+field.Name)
		}
		f.open = f.open[:len(f.open)-1]
	case reflect.String:
		v.SetString(path)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(f.values))
	default:
		f.t.Fatalf("%s: filltest does not support %v", path, v.Kind())
	}
}

// Zero returns the paths of the fields in v, a struct, that have their zero value.
func Zero(v any) (paths []string) { return zero(reflect.ValueOf(v), reflect.TypeOf(v).Name()) }

func zero(v reflect.Value, path string) (paths []string) {
	switch {
	case v.IsZero():
		return []string{path}
	case v.Kind() == reflect.Pointer:
		return zero(v.Elem(), path)
	case v.Kind() == reflect.Slice:
		for n := range v.Len() {
			paths = append(paths, zero(v.Index(n), fmt.Sprintf("%s[%d]", path, n))...)
		}
	case v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[time.Time]():
		for field, value := range v.Fields() {
			paths = append(paths, zero(value, path+"."+field.Name)...)
		}
	}
	return paths
}
