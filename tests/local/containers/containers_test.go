package containers

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"

	"altinn.no/instanceapi/tests/local/stack"
	"altinn.no/instanceapi/tests/token/issuer"
)

// TestOpen opens ports on another loopback address, which replaces a bridge.
func TestOpen(t *testing.T) {
	const address = "127.0.0.2"
	if runtime.GOOS != "linux" {
		return // other systems have neither a bridge nor this address
	}
	aws := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, r.Host+" "+string(body))
	}))
	defer aws.Close()
	root := t.TempDir()
	tokens, err := issuer.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	running := &stack.Stack{AWSEndpoint: aws.URL, Authenticator: tokens, Environment: map[string]map[string]string{
		"DataGet": {"INSTANCES_TABLE": "instance-api-Instances-1", "AWS_ENDPOINT_URL": aws.URL, "TOKEN_JWKS": "/a/file"},
	}}
	forwarder, err := Open(root, running, address, SamURL)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(forwarder.AWSEndpoint, "", strings.NewReader(strings.Repeat("x", 100_000)))
	if err != nil {
		t.Fatal(err)
	}
	response, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if host := strings.TrimPrefix(forwarder.AWSEndpoint, "http://"); !strings.HasPrefix(string(response), host+" xxx") || len(response) != len(host)+1+100_000 {
		t.Errorf("through the forwarder: %.80q, %d bytes", response, len(response))
	}

	content, err := os.ReadFile(EnvFile(root))
	if err != nil {
		t.Fatal(err)
	}
	var variables map[string]map[string]string
	if err := json.Unmarshal(content, &variables); err != nil {
		t.Fatal(err)
	}
	got := variables["DataGet"]
	if got["INSTANCES_TABLE"] != "instance-api-Instances-1" || got["AWS_ENDPOINT_URL"] != forwarder.AWSEndpoint || len(got) != 3 {
		t.Errorf("the variables are %v", got)
	}
	keys, err := http.Get(got["TOKEN_JWKS"])
	if err != nil {
		t.Fatal(err)
	}
	set, _ := io.ReadAll(keys.Body)
	_ = keys.Body.Close()
	if want, _ := os.ReadFile(tokens.KeySet()); string(set) != string(want) || len(want) == 0 {
		t.Errorf("the keys are %s", set)
	}

	forwarder.Close()
	http.DefaultClient.CloseIdleConnections()
	if _, err := os.Stat(EnvFile(root)); !os.IsNotExist(err) {
		t.Error("the file was not removed")
	}
	if _, err := http.Get(forwarder.AWSEndpoint); err == nil {
		t.Error("the port is still open")
	}
}

func TestBridgeAddress(t *testing.T) {
	if address, err := bridgeAddress("darwin"); err != nil || address != "host.docker.internal" {
		t.Errorf("%s, %v", address, err)
	}
	if address, err := bridgeAddress("linux"); (err == nil) == (address == "") || err != nil && !strings.Contains(err.Error(), "CONTAINERS=172.17.0.1") {
		t.Errorf("%s, %v", address, err)
	}
}
