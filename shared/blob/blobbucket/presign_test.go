package blobbucket

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"altinn.no/instanceapi/shared/blob"
)

func TestPresignPut(t *testing.T) {
	key := blob.KeyOf("nav/app", "50001", "i", revision)
	request, err := storeOn(&replies{}).PresignPut(t.Context(), key, "text/xml; charset=utf-8", "", blob.Info{Size: 5, SHA256: helloHex})
	if err != nil {
		t.Fatal(err)
	}
	at, err := url.Parse(request.URL)
	if err != nil {
		t.Fatal(err)
	}
	if got := request.Method + " " + at.Scheme + "://" + at.Host + at.Path; got != "PUT https://blobs.s3.eu-north-1.amazonaws.com/2026-11-30/f/nav/app/50001/i/"+revision {
		t.Error(got)
	}
	if got := at.Query().Get("X-Amz-SignedHeaders"); got != "content-length;content-type;host;if-none-match;x-amz-checksum-sha256" {
		t.Errorf("signed headers %s", got)
	}
	if got := at.Query().Get("X-Amz-Expires"); got != "300" {
		t.Errorf("valid for %s s", got)
	}
	want := map[string]string{
		"Content-Length": "5", "Content-Type": "text/xml; charset=utf-8", "If-None-Match": "*", "X-Amz-Checksum-Sha256": helloChecksum,
	}
	if !maps.Equal(request.Header, want) {
		t.Errorf("header %v, want %v", request.Header, want)
	}
	if left := time.Until(request.Expires); left > blob.PresignExpiry || left < blob.PresignExpiry-10*time.Second || request.Expires.Nanosecond() != 0 {
		t.Errorf("expires %s", request.Expires)
	}
}

func TestPresignPutRejectsInvalidInfo(t *testing.T) {
	for name, info := range map[string]blob.Info{
		"empty": {Size: 0, SHA256: helloHex}, "negative": {Size: -1, SHA256: helloHex}, "more than S3 accepts": {Size: blob.MaxUploadBytes + 1, SHA256: helloHex},
		"no checksum": {Size: 5}, "half a checksum": {Size: 5, SHA256: helloHex[:32]}, "not a checksum": {Size: 5, SHA256: strings.Repeat("x", 64)},
	} {
		if request, err := storeOn(&replies{}).PresignPut(t.Context(), blob.KeyOf("nav/app", "50001", "i", revision), "text/plain", "", info); err == nil {
			t.Errorf("%s: %s", name, request.URL)
		}
	}
}

func TestPresignGet(t *testing.T) {
	const disposition = `attachment; filename="a b"`
	request, err := storeOn(&replies{}).PresignGet(t.Context(), blob.KeyOf("nav/app", "50001", "i", revision), disposition)
	if err != nil {
		t.Fatal(err)
	}
	at, err := url.Parse(request.URL)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"response-content-disposition": disposition, "response-content-type": "",
		"response-cache-control": "no-store", "X-Amz-Expires": "300", "X-Amz-SignedHeaders": "host",
	} {
		if got := at.Query().Get(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	// A client that follows a redirect sends no extra headers.
	if request.Method != "GET" || len(request.Header) > 0 {
		t.Errorf("%s with %v", request.Method, request.Header)
	}
}

func TestStat(t *testing.T) {
	for name, test := range map[string]struct {
		reply func() (*http.Response, error)
		info  blob.Info
		want  error // nil with no info: any
	}{
		"exists":           {reply(200, "", "Content-Length", "5", "X-Amz-Checksum-Sha256", helloChecksum), blob.Info{Size: 5, SHA256: helloHex}, nil},
		"missing":          {reply(404, ""), blob.Info{}, blob.ErrNotFound},
		"forbidden":        {reply(403, ""), blob.Info{}, blob.ErrNotFound}, // the response for a missing key if the role may not list the bucket
		"no checksum":      {reply(200, "", "Content-Length", "5"), blob.Info{}, nil},
		"invalid checksum": {reply(200, "", "Content-Length", "5", "X-Amz-Checksum-Sha256", "aGVp"), blob.Info{}, nil},
		"bad request":      {reply(400, ""), blob.Info{}, nil},
	} {
		r := &replies{next: []func() (*http.Response, error){test.reply}}
		info, err := storeOn(r).Stat(t.Context(), blob.KeyOf("nav/app", "50001", "i", revision))
		if info != test.info || (err == nil) != (info != blob.Info{}) || test.want != nil && !errors.Is(err, test.want) || test.want == nil && errors.Is(err, blob.ErrNotFound) {
			t.Errorf("%s: %+v, %v", name, info, err)
		}
		if got := r.requests[0].Method + r.requests[0].Header.Get("X-Amz-Checksum-Mode"); got != "HEADENABLED" {
			t.Errorf("%s: request %s", name, got)
		}
	}
}

// Package logging redacts a presigned URL in log lines; the type itself must not print it either.
func TestStringOmitsSecret(t *testing.T) {
	request := blob.PresignedRequest{Method: "PUT", URL: "https://blobs.test/key?X-Amz-Signature=secret"}
	for _, format := range []string{"%v", "%+v", "%s"} {
		if text := fmt.Sprintf(format, request); strings.Contains(text, "secret") {
			t.Errorf("%s prints %s", format, text)
		}
	}
}
