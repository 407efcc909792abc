package client

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
)

// Instance is the part of an instance that the suites read.
type Instance struct {
	ID, AppID, InstanceOwnerID string
	Data                       []struct{ ID string }
}

// Instance decodes the body as an instance. Its fields are empty if the body is not an instance.
func (r *Response) Instance() (i Instance) {
	_ = json.Unmarshal(r.Body, &i)
	return i
}

// Apps returns the instance's path on the Application API.
func (i Instance) Apps() string {
	return "/" + i.AppID + "/instances/" + i.InstanceOwnerID + "/" + i.ID
}

// Storage returns the instance's path on the Storage API.
func (i Instance) Storage() string {
	return "/storage/instances/" + i.InstanceOwnerID + "/" + i.ID
}

// Upload is the response that starts a large upload: where and how to send the content.
type Upload struct {
	ID, Method, URL string
	Headers         map[string]string
}

// Announcement returns the JSON body that starts an upload of a text file.
func Announcement(content string) string {
	sum := sha256.Sum256([]byte(content))
	return fmt.Sprintf(`{"fileName":"c.txt","contentType":"text/plain","size":%d,"sha256":%q}`, len(content), hex.EncodeToString(sum[:]))
}

// Upload decodes the body as an upload. Its fields are empty if the body is not an upload.
func (r *Response) Upload() (u Upload) {
	_ = json.Unmarshal(r.Body, &u)
	return u
}

// Put returns the request that sends the content of the upload to the store.
func (u Upload) Put(content string) Request {
	r := Request{Method: u.Method, Path: u.URL, Header: http.Header{}, Body: content}
	for name, value := range u.Headers {
		r.Header.Set(name, value)
	}
	return r
}
