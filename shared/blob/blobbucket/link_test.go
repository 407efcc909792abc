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

func TestLinkPutBindsEverything(t *testing.T) {
	key := blob.KeyOf("nav/app", "i", "d", "r")
	link, err := storeOn(&replies{}).PresignPut(t.Context(), key, "text/xml; charset=utf-8", blob.Info{Size: 5, SHA256: helloHex})
	if err != nil {
		t.Fatal(err)
	}
	at, err := url.Parse(link.URL)
	if err != nil {
		t.Fatal(err)
	}
	if got := link.Method + " " + at.Scheme + "://" + at.Host + at.Path; got != "PUT https://blobs.s3.eu-north-1.amazonaws.com/nav/app/i/data/d/r" {
		t.Error(got)
	}
	if got := at.Query().Get("X-Amz-SignedHeaders"); got != "content-length;content-type;host;if-none-match;x-amz-checksum-sha256" {
		t.Errorf("signed are %s", got)
	}
	if got := at.Query().Get("X-Amz-Expires"); got != "300" {
		t.Errorf("good for %s s", got)
	}
	want := map[string]string{
		"Content-Length": "5", "Content-Type": "text/xml; charset=utf-8", "If-None-Match": "*", "X-Amz-Checksum-Sha256": helloChecksum,
	}
	if !maps.Equal(link.Header, want) {
		t.Errorf("header %v, want %v", link.Header, want)
	}
	if left := time.Until(link.Expires); left > blob.PresignExpiry || left < blob.PresignExpiry-10*time.Second || link.Expires.Nanosecond() != 0 {
		t.Errorf("expires %s", link.Expires)
	}
}

func TestLinkPutRefuses(t *testing.T) {
	for name, info := range map[string]blob.Info{
		"no bytes": {Size: 0, SHA256: helloHex}, "fewer": {Size: -1, SHA256: helloHex}, "more than S3 takes": {Size: blob.MaxUploadBytes + 1, SHA256: helloHex},
		"no checksum": {Size: 5}, "half a checksum": {Size: 5, SHA256: helloHex[:32]}, "what is no checksum": {Size: 5, SHA256: strings.Repeat("x", 64)},
	} {
		if link, err := storeOn(&replies{}).PresignPut(t.Context(), blob.KeyOf("nav/app", "i", "d", "r"), "text/plain", info); err == nil {
			t.Errorf("%s: %s", name, link.URL)
		}
	}
}

func TestLinkGet(t *testing.T) {
	shape := blob.ResponseHeaders{ContentType: "text/xml; charset=utf-8", ContentDisposition: `attachment; filename="a b"`}
	link, err := storeOn(&replies{}).PresignGet(t.Context(), blob.KeyOf("nav/app", "i", "d", "r"), shape)
	if err != nil {
		t.Fatal(err)
	}
	at, err := url.Parse(link.URL)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"response-content-type": shape.ContentType, "response-content-disposition": shape.ContentDisposition,
		"response-cache-control": "no-store", "X-Amz-Expires": "300", "X-Amz-SignedHeaders": "host",
	} {
		if got := at.Query().Get(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	// Whoever follows a redirect sends none of its own accord.
	if link.Method != "GET" || len(link.Header) > 0 {
		t.Errorf("%s with %v", link.Method, link.Header)
	}
}

func TestStat(t *testing.T) {
	for name, test := range map[string]struct {
		answer func() (*http.Response, error)
		info   blob.Info
		want   error // nil with no info: any
	}{
		"there":               {reply(200, "", "Content-Length", "5", "X-Amz-Checksum-Sha256", helloChecksum), blob.Info{Size: 5, SHA256: helloHex}, nil},
		"not there":           {reply(404, ""), blob.Info{}, blob.ErrNotFound},
		"not there, or so":    {reply(403, ""), blob.Info{}, blob.ErrNotFound}, // to a role that may not list the bucket
		"without a checksum":  {reply(200, "", "Content-Length", "5"), blob.Info{}, nil},
		"with an odd one":     {reply(200, "", "Content-Length", "5", "X-Amz-Checksum-Sha256", "aGVp"), blob.Info{}, nil},
		"of a malformed kind": {reply(400, ""), blob.Info{}, nil},
	} {
		r := &replies{next: []func() (*http.Response, error){test.answer}}
		info, err := storeOn(r).Stat(t.Context(), blob.KeyOf("nav/app", "i", "d", "r"))
		if info != test.info || (err == nil) != (info != blob.Info{}) || test.want != nil && !errors.Is(err, test.want) || test.want == nil && errors.Is(err, blob.ErrNotFound) {
			t.Errorf("%s: %+v, %v", name, info, err)
		}
		if got := r.asked[0].Method + r.asked[0].Header.Get("X-Amz-Checksum-Mode"); got != "HEADENABLED" {
			t.Errorf("%s: asked by %s", name, got)
		}
	}
}

// What goes to a log of a link that was printed by mistake is masked by package coldstart; the type itself prints nothing.
func TestLinkIsNotPrinted(t *testing.T) {
	link := blob.PresignedRequest{Method: "PUT", URL: "https://blobs.test/key?X-Amz-Signature=secret"}
	for _, format := range []string{"%v", "%+v", "%s"} {
		if text := fmt.Sprintf(format, link); strings.Contains(text, "secret") {
			t.Errorf("%s prints %s", format, text)
		}
	}
}
