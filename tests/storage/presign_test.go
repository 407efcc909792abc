package storage

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"altinn.no/instanceapi/shared/blob"
	"altinn.no/instanceapi/shared/blob/blobbucket"
)

// sendPresigned sends a presigned request with changes, and returns the response with its body.
func sendPresigned(t *testing.T, link blob.PresignedRequest, body string, change func(*http.Request)) (*http.Response, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), link.Method, link.URL, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range link.Header {
		if name != "Content-Length" { // net/http uses the length of the body
			r.Header.Set(name, value)
		}
	}
	if change != nil {
		change(r)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return resp, content
}

func infoOf(body string) blob.Info {
	sum := sha256.Sum256([]byte(body))
	return blob.Info{Size: int64(len(body)), SHA256: hex.EncodeToString(sum[:])}
}

// presignPut checks that a presigned PUT stores only the announced content, and only once.
func presignPut(t *testing.T, store *blobbucket.Bucket) {
	const body, contentType = "the announced bytes", `text/xml; charset="utf-8"`
	key := blobKey()
	link, err := store.PresignPut(t.Context(), key, contentType, "", infoOf(body))
	if err != nil {
		t.Fatal(err)
	}
	sum := func(body string) string {
		s := sha256.Sum256([]byte(body))
		return base64.StdEncoding.EncodeToString(s[:])
	}
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for name, try := range map[string]struct {
		body   string
		change func(*http.Request)
	}{
		"other bytes":            {"the pronounced byte", nil},
		"other bytes, their sum": {"the pronounced byte", set("X-Amz-Checksum-Sha256", sum("the pronounced byte"))},
		"fewer bytes":            {"the announced", nil},
		"fewer bytes, their sum": {"the announced", set("X-Amz-Checksum-Sha256", sum("the announced"))},
		"more bytes":             {body + "!", nil},
		"no bytes":               {"", nil},
		"another type":           {body, set("Content-Type", "text/html")},
		"no type":                {body, func(r *http.Request) { r.Header.Del("Content-Type") }},
		"no sum":                 {body, func(r *http.Request) { r.Header.Del("X-Amz-Checksum-Sha256") }},
		"no condition":           {body, func(r *http.Request) { r.Header.Del("If-None-Match") }},
		"another key":            {body, func(r *http.Request) { r.URL.Path += "0" }},
		"another method":         {"", func(r *http.Request) { r.Method, r.Body, r.ContentLength = "GET", nil, 0 }},
		"deleting":               {"", func(r *http.Request) { r.Method, r.Body, r.ContentLength = "DELETE", nil, 0 }},
		"another access key": {body, func(r *http.Request) {
			r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "localaccess", "otheraccess", 1)
		}},
		"a later expiry": {body, func(r *http.Request) {
			r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "Expires=300", "Expires=600", 1)
		}},
		"a later date": {body, func(r *http.Request) {
			r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "X-Amz-Date=20", "X-Amz-Date=21", 1)
		}},
		"one more parameter":         {body, func(r *http.Request) { r.URL.RawQuery += "&acl=public-read" }},
		"fewer signed headers":       {body, func(r *http.Request) { r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "content-length%3B", "", 1) }},
		"without a signature":        {body, func(r *http.Request) { r.URL.RawQuery = "" }},
		"with an invented signature": {body, func(r *http.Request) { r.URL.RawQuery = r.URL.RawQuery[:len(r.URL.RawQuery)-8] + "00000000" }},
	} {
		if resp, content := sendPresigned(t, link, try.body, try.change); resp.StatusCode < 400 || resp.StatusCode >= 500 {
			t.Errorf("%s: %s %s", name, resp.Status, content)
		}
		if _, err := store.Stat(t.Context(), key); !errors.Is(err, blob.ErrNotFound) {
			t.Fatalf("%s: an object exists (%v)", name, err)
		}
	}
	if resp, content := sendPresigned(t, link, body, nil); resp.StatusCode != 200 {
		t.Fatalf("the announced content: %s %s", resp.Status, content)
	}
	if info, err := store.Stat(t.Context(), key); err != nil || info != infoOf(body) {
		t.Errorf("stored %+v, %v; want %+v", info, err, infoOf(body))
	}
	if resp, content := sendPresigned(t, link, body, nil); resp.StatusCode != http.StatusPreconditionFailed {
		t.Errorf("a second time: %s %s", resp.Status, content)
	}
	other, err := store.PresignPut(t.Context(), key, "text/plain", "", infoOf("other"))
	if err != nil {
		t.Fatal(err)
	}
	if resp, content := sendPresigned(t, other, "other", nil); resp.StatusCode != http.StatusPreconditionFailed {
		t.Errorf("over an existing object: %s %s", resp.Status, content)
	}
}

func presignGet(t *testing.T, store *blobbucket.Bucket) {
	key, body := blobKey(), bytes.Repeat([]byte("0123456789"), 1000)
	const contentType, disposition = `application/pdf; name="a & co?.pdf"`, `attachment; filename="s_knad + 1.pdf"; filename*=UTF-8''s%C3%B8knad%20%2B%201.pdf`
	if _, err := store.Put(t.Context(), key, contentType, "", body); err != nil {
		t.Fatal(err)
	}
	link, err := store.PresignGet(t.Context(), key, disposition)
	if err != nil {
		t.Fatal(err)
	}
	if len(link.Header) > 0 {
		t.Errorf("a client that follows a redirect sends none of %v", link.Header)
	}
	resp, content := sendPresigned(t, link, "", nil)
	if resp.StatusCode != 200 || !bytes.Equal(content, body) {
		t.Fatalf("%s, %d bytes", resp.Status, len(content))
	}
	for name, want := range map[string]string{
		"Content-Type": contentType, "Content-Disposition": disposition, "Cache-Control": "no-store",
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	resp, content = sendPresigned(t, link, "", func(r *http.Request) { r.Header.Set("Range", "bytes=5-14") })
	if resp.StatusCode != 206 || string(content) != "5678901234" || resp.Header.Get("Content-Range") != "bytes 5-14/10000" || resp.Header.Get("Content-Type") != contentType {
		t.Errorf("range: %s, %q, %v", resp.Status, content, resp.Header)
	}
	for name, change := range map[string]func(*http.Request){
		"another key":   func(r *http.Request) { r.URL.Path = strings.Replace(r.URL.Path, "/nav/", "/skd/", 1) },
		"another name":  func(r *http.Request) { r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "pdf", "xml", 1) },
		"another type":  func(r *http.Request) { r.URL.RawQuery += "&response-content-type=text%2Fxml" },
		"as attachment": func(r *http.Request) { r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "attachment", "inline", 1) },
		"writing":       func(r *http.Request) { r.Method = "PUT" },
	} {
		if resp, _ := sendPresigned(t, link, "", change); resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %s", name, resp.Status)
		}
	}
}

// A request that is signed with a wrong secret is rejected.
func presignWithWrongSecret(t *testing.T, server s3Server, store *blobbucket.Bucket) {
	key, impostor := blobKey(), blobbucket.New(server.client("another-secret", nil), blobsBucket)
	link, err := impostor.PresignPut(t.Context(), key, "text/plain", "", infoOf("x"))
	if err != nil {
		t.Fatal(err)
	}
	if resp, _ := sendPresigned(t, link, "x", nil); resp.StatusCode != http.StatusForbidden {
		t.Errorf("put: %s", resp.Status)
	}
	if _, err := store.Put(t.Context(), key, "text/plain", "", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if link, err = impostor.PresignGet(t.Context(), key, "attachment"); err != nil {
		t.Fatal(err)
	}
	if resp, _ := sendPresigned(t, link, "", nil); resp.StatusCode != http.StatusForbidden {
		t.Errorf("get: %s", resp.Status)
	}
	// A caller without permission cannot distinguish a forbidden key from a missing one.
	if _, err := impostor.Stat(t.Context(), key); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("stat: %v", err)
	}
}
