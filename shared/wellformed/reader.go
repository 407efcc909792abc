package wellformed

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/jacoelho/xsd/xsderrors"
)

// maxDeclaration is the number of bytes in which NewReader looks for the end of the XML
// declaration.
const maxDeclaration = 1024

// maxRead is the maximum number of bytes of one Read. The validation of the bytes between two reads
// cannot be stopped.
const maxRead = 8 << 10

// NewReader returns a reader of the XML document in r. The reader fails with the error of ctx if
// ctx has ended. It drops a byte order mark. It replaces a declared encoding US-ASCII by UTF-8,
// which includes US-ASCII, and then fails with an *Error for any other byte. It also fails with
// an *Error for a control character, which package xsd accepts in &\x00lt;. The lines of the
// document stay the same.
func NewReader(ctx context.Context, r io.Reader) *Reader {
	return &Reader{ctx: ctx, r: bufio.NewReader(r)}
}

// Reader reads an XML document. See NewReader.
type Reader struct {
	ctx         context.Context
	r           *bufio.Reader
	started     bool
	declaration []byte // with the replaced encoding; what is not yet read
	ascii       bool   // the document declares US-ASCII
	scanner     scanner
	neutral     bool  // hide the namespace of XML Schema's instance attributes
	matched     int   // bytes of that namespace at the end of what is read
	err         error // the first error except io.EOF
	ended       bool  // Read has returned io.EOF
}

// Err returns the first error that Read has returned, or nil if that was io.EOF or none.
func (r *Reader) Err() error { return r.err }

// Finish returns an *Error if the document has what package xsd accepts although expat and .NET
// reject it. The result has a meaning if package xsd has read the document and has found it
// well-formed.
func (r *Reader) Finish() error {
	if r.scanner.err == nil {
		return nil
	}
	return r.scanner.err
}

// Read reads the document. See NewReader.
func (r *Reader) Read(p []byte) (int, error) {
	n, err := r.read(p)
	switch {
	case errors.Is(err, io.EOF):
		r.ended = true
	case err != nil && r.err == nil:
		r.err = err
	}
	return n, err
}

func (r *Reader) read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	if !r.started {
		r.started = true
		if err := r.start(); err != nil {
			return 0, err
		}
	}
	if len(r.declaration) > 0 {
		n := copy(p, r.declaration)
		r.declaration = r.declaration[n:]
		return n, nil
	}
	n, err := r.r.Read(p[:min(len(p), maxRead)])
	for i, c := range p[:n] {
		switch {
		case c < ' ' && !isSpace(c):
			return 0, &Error{"has a character that XML does not allow", 1 + r.scanner.line}
		case c >= 0x80 && r.ascii:
			return 0, &Error{"declares US-ASCII but has other characters; declare UTF-8", 1 + r.scanner.line}
		}
		r.scanner.next(c)
		if r.neutral && r.endsInstance(c) {
			p[i] = neutralEnd
		}
	}
	return n, err
}

// The namespace of XML Schema's instance attributes, and a last byte that makes it another one
// without a meaning.
const (
	instance   = "http://www.w3.org/2001/XMLSchema-instance"
	neutralEnd = 'E'
)

// endsInstance reports whether c is the last byte of the namespace instance.
func (r *Reader) endsInstance(c byte) bool {
	switch c {
	case instance[r.matched]:
		r.matched++
	case instance[0]: // the longest end of a part of the namespace that is also its start
		r.matched = 1
	default:
		r.matched = 0
	}
	if r.matched < len(instance) {
		return false
	}
	r.matched = 0
	return true
}

func (r *Reader) start() error {
	head, err := r.r.Peek(maxDeclaration)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if bytes.HasPrefix(head, []byte(byteOrderMark)) {
		_, _ = r.r.Discard(len(byteOrderMark)) // peeked, so it does not fail
		head = head[len(byteOrderMark):]
		if bytes.HasPrefix(head, []byte(byteOrderMark)) {
			return &Error{messages[xsderrors.CodeValidationText], 1}
		}
	}
	end := bytes.Index(head, []byte("?>"))
	if end < len("<?xml") || !bytes.HasPrefix(head, []byte("<?xml")) || !bytes.ContainsAny(head[5:6], space) {
		return nil
	}
	head = head[:end]
	at, length := encodingName(head)
	if !bytes.EqualFold(head[at:at+length], []byte("US-ASCII")) {
		return nil
	}
	r.ascii = true
	// Spaces before the = keep the length. White space is always allowed there.
	equals := bytes.LastIndexByte(head[:at], '=')
	r.declaration = fmt.Appendf(nil, "%s   %sUTF-8", head[:equals], head[equals:at])
	_, err = r.r.Discard(len(r.declaration))
	r.scanner.line = bytes.Count(r.declaration, []byte("\n"))
	return err
}

const space = " \t\r\n" // XML's white space

const byteOrderMark = "\xef\xbb\xbf"

// encodingName returns the position and the length of the encoding's name in an XML declaration.
// The length is 0 if there is none.
func encodingName(declaration []byte) (at, length int) {
	at = bytes.Index(declaration, []byte("encoding"))
	if at < 0 {
		return 0, 0
	}
	rest := bytes.TrimLeft(declaration[at+len("encoding"):], space)
	rest, ok := bytes.CutPrefix(rest, []byte("="))
	rest = bytes.TrimLeft(rest, space)
	if !ok || len(rest) == 0 || rest[0] != '"' && rest[0] != '\'' {
		return 0, 0
	}
	length = bytes.IndexByte(rest[1:], rest[0])
	if length < 0 {
		return 0, 0
	}
	return len(declaration) - len(rest) + 1, length
}
