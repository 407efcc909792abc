package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"altinn.no/instanceapi/shared/httpapi"
)

// serverToken is in place of the server in the document of each API. The server is known only to
// the stack, not to the build.
const serverToken = `"@server@"`

// A server is a Server Object of OpenAPI.
type server struct {
	URL       string              `json:"url"`
	Variables map[string]variable `json:"variables,omitempty"`
}

// A variable is a Server Variable Object of OpenAPI.
type variable struct {
	Default     string `json:"default"`
	Description string `json:"description"`
}

// serverOf returns the server of the API that a file describes, or nil for any other file.
func serverOf(file string, urls httpapi.BaseURLs) *server {
	switch {
	case strings.HasPrefix(file, "storage."):
		return &server{URL: urls.Platform}
	case strings.HasPrefix(file, "apps.") && strings.Contains(urls.Apps, "{org}"):
		return &server{urls.Apps, map[string]variable{"org": {"nav", "The short name of the application owner."}}}
	case strings.HasPrefix(file, "apps."):
		return &server{URL: urls.Apps}
	}
	return nil
}

// readWithServer returns the content of a file with s in place of its only serverToken. JSON is
// valid in YAML, too.
func readWithServer(path string, s *server) ([]byte, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if n := bytes.Count(content, []byte(serverToken)); n != 1 {
		return nil, fmt.Errorf("%s has %s %d times, not once; build the deployment package again", path, serverToken, n)
	}
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	return bytes.Replace(content, []byte(serverToken), text, 1), nil
}

// compress returns the content that load returns, compressed with gzip.
func compress(load func() ([]byte, error)) ([]byte, error) {
	content, err := load()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(content); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
