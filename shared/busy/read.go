package busy

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/fault"
)

// errBrokenOff means that a response of S3 ended before its last byte.
var errBrokenOff = errors.New("the content broke off")

// Read returns the size bytes of the blob that get opens. If the response of S3 breaks off, Read
// calls get once more. If the second response breaks off too, Read returns fault.Busy. Another size
// or a wrong checksum is an error that repetition does not remove. Read returns the errors of get
// unchanged.
func Read(ctx context.Context, size int64, get func(context.Context) (blob.Object, error)) ([]byte, error) {
	ctx = WithBudget(ctx)
	body, err := readOnce(ctx, size, get)
	if !errors.Is(err, errBrokenOff) || ctx.Err() != nil {
		return body, err
	}
	if err := Retry(ctx); err != nil {
		return nil, err
	}
	body, err = readOnce(ctx, size, get)
	if errors.Is(err, errBrokenOff) && ctx.Err() == nil {
		err = fault.Busy(err)
	}
	return body, err
}

func readOnce(ctx context.Context, size int64, get func(context.Context) (blob.Object, error)) (_ []byte, err error) {
	object, err := get(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, object.Body.Close()) }()
	if object.Size != size {
		return nil, fmt.Errorf("the stored content has %d bytes where %d were expected", object.Size, size)
	}
	// The buffer has room for the last read, which returns only io.EOF, so it never grows.
	buffer := bytes.NewBuffer(make([]byte, 0, size+bytes.MinRead))
	_, err = buffer.ReadFrom(object.Body)
	switch read := int64(buffer.Len()); {
	case read < size && err != nil:
		return nil, fmt.Errorf("%w after %d of %d bytes: %w", errBrokenOff, read, size, err)
	case read < size:
		return nil, fmt.Errorf("%w after %d of %d bytes", errBrokenOff, read, size)
	case err != nil: // the checksum is compared after the last byte
		return nil, fmt.Errorf("reading the stored content: %w", err)
	case read > size:
		return nil, fmt.Errorf("the stored content has more than %d bytes", size)
	}
	return buffer.Bytes(), nil
}
