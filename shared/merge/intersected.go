package merge

import "context"

// Intersected returns the rows of the first stream whose keys stand in all the others too. Each stream is made to
// skip to where the others are, so that a rare one is not paid for with the reading of a frequent one.
func Intersected[T any](streams ...Stream[T]) Stream[T] {
	if len(streams) == 1 {
		return streams[0]
	}
	return intersected[T](streams)
}

// intersected is the stream of what stands in all of several.
type intersected[T any] []Stream[T]

func (x intersected[T]) Peek(ctx context.Context) (row Row[T], ok bool, err error) {
	for {
		row, ok, err = x[0].Peek(ctx)
		if err != nil || !ok {
			return row, false, err
		}
		ahead, err := x.ahead(ctx, row.Key)
		switch {
		case err != nil:
			return row, false, err
		case ahead == nil:
			return row, true, nil
		case ahead.end:
			return row, false, nil
		}
		x[0].Skip(ahead.key)
	}
}

// ahead is where a stream is that does not have the key asked for.
type ahead struct {
	key string
	end bool // there is no further row
}

// ahead returns nil when all streams but the first have key, or else where the first of them that has not is.
func (x intersected[T]) ahead(ctx context.Context, key string) (*ahead, error) {
	for _, s := range x[1:] {
		s.Skip(key)
		row, ok, err := s.Peek(ctx)
		if err != nil {
			return nil, err
		}
		if !ok || row.Key != key {
			return &ahead{key: row.Key, end: !ok}, nil
		}
	}
	return nil, nil
}

func (x intersected[T]) Drop() { x[0].Drop() }

func (x intersected[T]) Skip(key string) { x[0].Skip(key) }
