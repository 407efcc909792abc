package client

import (
	"bytes"
	"mime/multipart"
	"net/textproto"
)

// Part is one part of a form.
type Part struct {
	Disposition string // after "form-data; "
	Type        string // Content-Type; "" sends none
	Body        []byte
}

// Form returns the Content-Type and the body of a multipart/form-data request.
func Form(parts ...Part) (contentType string, body []byte) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, p := range parts {
		header := textproto.MIMEHeader{"Content-Disposition": {"form-data; " + p.Disposition}}
		if p.Type != "" {
			header.Set("Content-Type", p.Type)
		}
		part, err := w.CreatePart(header)
		if err == nil {
			_, err = part.Write(p.Body)
		}
		if err != nil {
			panic(err) // a buffer accepts every write
		}
	}
	_ = w.Close()
	return w.FormDataContentType(), b.Bytes()
}
