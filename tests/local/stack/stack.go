// Package stack runs the whole system on this machine: a local AWS with template.yaml deployed to
// it, and both APIs joined at one address, with the console at /. The binaries, routes, policies,
// queues and rules are the deployed ones.
//
// It holds no logic of the API. Where the local AWS differs from AWS, tests/local/deploy.py
// bridges the gap; neither the template nor a function adapts to it. Package servers starts
// servers for tests of one adapter.
package stack

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"altinn.no/instanceapi/tests/local/build"
	"altinn.no/instanceapi/tests/local/process"
	"altinn.no/instanceapi/tests/local/workspace"
	"altinn.no/instanceapi/tests/token/issuer"
)

// Region is the region of the local AWS, which accepts any credentials.
const Region = "us-east-1"

// name is the stack's name in CloudFormation, and the prefix of every resource name.
const name = "instance-api"

// Options configures Start. The zero value suits tests.
type Options struct {
	Port     string    // of the APIs; "" chooses a free one
	AWSPort  string    // of the local AWS; "" chooses a free one
	Progress io.Writer // receives one line per step; nil discards them

	// Parameters are those of template.yaml, in addition to those that Start sets. A value of
	// MalwareScan other than "off" also starts a scanner: see package scanner.
	Parameters map[string]string

	// Keep, if not empty, is a folder with data, which Start copies to the new stack. The stack
	// saves its data there every few seconds, and at Save.
	Keep string

	// Between, when set, is called with the local AWS's address. It returns the address that the
	// functions use instead, for example of a proxy.
	Between func(awsEndpoint string) (endpoint string)
}

// Stack is a running system.
type Stack struct {
	BaseURL       string                       // address of both APIs, http://localhost:PORT
	AWSEndpoint   string                       // address of the local AWS, for SDKs and the aws command
	Outputs       map[string]string            // outputs of template.yaml: table names, queue URLs, the bus
	LogGroups     map[string]string            // log group by logical id of the function
	Environment   map[string]map[string]string // variables of each function, by logical id
	Authenticator *issuer.Signer               // issues tokens that the functions accept
	LogDir        string                       // folder of the servers' logs

	functionsAWS string // the address of AWS that the functions get

	aws      *process.Process
	front    *http.Server
	keeper   *keeper  // nil without Options.Keep
	keepLock *os.File // likewise
	endScan  func()   // nil without a malware scan
	stop     sync.Once
}

// Start builds the functions for this machine, starts the local AWS, deploys to it and joins the
// APIs. When it returns without an error, the APIs are ready. The tools must be installed;
// otherwise the error names the command that installs them.
func Start(ctx context.Context, options Options) (_ *Stack, err error) {
	root, err := workspace.Root()
	if err != nil {
		return nil, err
	}
	if err := workspace.Installed(workspace.Local(root, "venv", ".stamp"), "the local AWS", "install"); err != nil {
		return nil, err
	}
	logf := func(string, ...any) {}
	if options.Progress != nil {
		logf = func(format string, args ...any) { fmt.Fprintf(options.Progress, format+"\n", args...) }
	}
	listener, err := listen(options.Port)
	if err != nil {
		return nil, err
	}
	s := &Stack{BaseURL: fmt.Sprintf("http://localhost:%d", listener.Addr().(*net.TCPAddr).Port)}
	defer func() {
		if err != nil {
			_ = listener.Close()
			s.Stop()
		}
	}()
	if s.Authenticator, err = issuer.Open(workspace.Local(root)); err != nil {
		return nil, err
	}
	if options.Keep != "" {
		if s.keepLock, err = lock(options.Keep); err != nil {
			return nil, err
		}
	}

	logf("building the functions")
	stopProgress := reportProgress(logf)
	err = build.Build(ctx, root)
	stopProgress()
	if err != nil {
		return nil, err
	}
	logf("starting the local AWS")
	if err := s.startAWS(root, options); err != nil {
		return nil, err
	}
	logf("deploying template.yaml")
	apis, data, err := s.deploy(ctx, root, options.Parameters)
	if err != nil {
		return nil, err
	}
	if options.Keep != "" {
		restored, err := s.keep(ctx, root, options.Keep, data)
		if err != nil {
			return nil, err
		}
		logf("%s", restored)
	}
	if scan := options.Parameters["MalwareScan"]; scan != "" && scan != "off" {
		s.startScan(logf)
	}
	if s.front, err = newFront(s.AWSEndpoint, apis.Apps, apis.Storage, s.Authenticator); err != nil {
		return nil, err
	}
	go func() { _ = s.front.Serve(listener) }() // always returns an error, also after Stop
	return s, nil
}

// reportProgress prints a message every ten seconds until the returned function is called: a
// first build compiles everything, which takes minutes on a small machine.
func reportProgress(logf func(string, ...any)) (done func()) {
	stop := make(chan struct{})
	go func() {
		for began, tick := time.Now(), time.Tick(10*time.Second); ; {
			select {
			case <-stop:
				return
			case <-tick:
				logf("  … still building, %.0f s; the first build compiles everything", time.Since(began).Seconds())
			}
		}
	}()
	return func() { close(stop) }
}

// Exited returns a channel that is closed when the local AWS has ended, by Stop or by itself.
func (s *Stack) Exited() <-chan struct{} { return s.aws.Exited() }

// Stop stops everything that Start started: the front, the scan, the local AWS and its functions.
// It may be called twice. Without a Save before, the last seconds of the data may be lost.
func (s *Stack) Stop() {
	s.stop.Do(func() {
		if s.endScan != nil {
			s.endScan()
		}
		if s.keeper != nil {
			_ = s.keeper.cmd.Process.Kill()
			_ = s.keeper.end()
		}
		if s.front != nil {
			_ = s.front.Close()
		}
		if s.aws != nil {
			s.aws.Stop()
		}
		if s.keepLock != nil {
			_ = s.keepLock.Close()
		}
	})
}

// listen opens the front's port, "" for a free one. A port that accepts connections counts as in
// use, even if the system would allow a second listener on another address.
func listen(port string) (net.Listener, error) {
	if port == "" {
		port = "0"
	} else if conn, err := net.DialTimeout("tcp", net.JoinHostPort("localhost", port), time.Second); err == nil {
		_ = conn.Close()
		return nil, errPortInUse(port)
	}
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil && strings.Contains(err.Error(), "in use") {
		return nil, errPortInUse(port)
	}
	return l, err
}

func errPortInUse(port string) error {
	return fmt.Errorf("port %s is in use: stop the process that uses it, or choose another port with PORT=", port)
}

// startAWS starts the local AWS on the loopback interface and waits until it responds.
func (s *Stack) startAWS(root string, options Options) error {
	port := options.AWSPort
	if port == "" {
		var err error
		if port, err = process.FreePort(); err != nil {
			return err
		}
	} else if conn, err := net.DialTimeout("tcp", "127.0.0.1:"+port, time.Second); err == nil {
		_ = conn.Close()
		return fmt.Errorf("port %s is in use: stop the process that uses it, or choose another port with AWS_PORT=", port)
	}
	// The functions get the server's AWS_ENDPOINT_URL even if the template sets another one. The
	// server unpacks every function into its temporary folder; a separate folder can be removed
	// completely.
	temp, err := os.MkdirTemp("", "instance-api-aws-")
	if err != nil {
		return err
	}
	s.AWSEndpoint = "http://127.0.0.1:" + port
	s.functionsAWS = s.AWSEndpoint
	if options.Between != nil {
		s.functionsAWS = options.Between(s.AWSEndpoint)
	}
	s.LogDir = workspace.Local(root, "log")
	env := workspace.Environment("TMPDIR="+temp, "BIND_HOST=127.0.0.1", "GATEWAY_PORT="+port, "MINISTACK_HOST=localhost",
		"MINISTACK_REGION="+Region, "AWS_ENDPOINT_URL="+s.functionsAWS, "PYTHONUNBUFFERED=1", "LOG_LEVEL=INFO")
	s.aws, err = process.Start("the local AWS", temp, env, filepath.Join(s.LogDir, "aws-"+port+".log"),
		workspace.Local(root, "venv", "bin", "python"), filepath.Join(root, "tests", "local", "aws.py"))
	if err != nil {
		return err
	}
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	return s.aws.Ready(3*time.Minute, func() error {
		resp, err := client.Get(s.AWSEndpoint + "/_ministack/health")
		if err != nil {
			return err
		}
		return resp.Body.Close()
	})
}

// apiIDs are the ids of the two APIs, by their names in template.yaml.
type apiIDs struct {
	Apps    string `json:"AppsApi"`
	Storage string `json:"StorageApi"`
}

// deploy creates the stack of template.yaml. data has its tables, buckets and queues, for keep.py.
func (s *Stack) deploy(ctx context.Context, root string, overrides map[string]string) (apis apiIDs, data json.RawMessage, err error) {
	identityKey, err := identityKey(workspace.Local(root, "identity.key"))
	if err != nil {
		return apiIDs{}, nil, err
	}
	parameters := map[string]string{
		"WebhookInsecure": "true", // endpoints on this machine
		"Arch":            build.Arch(),
		"AppsBaseUrl":     s.BaseURL,
		"PlatformBaseUrl": s.BaseURL,
		"TokenIssuer":     issuer.Issuer,
		"TokenAudience":   issuer.Audience,
		"TokenJwks":       s.Authenticator.KeySet(),
		"TokenPartyClaim": issuer.PartyClaim,
		"ProtectData":     "false",
	}
	maps.Copy(parameters, overrides)
	body, err := json.Marshal(map[string]any{"parameters": parameters, "secrets": map[string]string{"IdentityKeySecretArn": identityKey}})
	if err != nil {
		return apiIDs{}, nil, err
	}
	cmd := exec.CommandContext(ctx, workspace.Local(root, "venv", "bin", "python"), filepath.Join("tests", "local", "deploy.py"),
		"template.yaml", workspace.Local(root, "dist"), name)
	cmd.Dir, cmd.Stdin = root, bytes.NewReader(body)
	cmd.Env = workspace.Environment("AWS_ENDPOINT_URL="+s.AWSEndpoint, "AWS_DEFAULT_REGION="+Region)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		return apiIDs{}, nil, fmt.Errorf("deploying template.yaml failed (%w)\n%s", err, strings.TrimSpace(errOut.String()))
	}
	var deployed struct {
		Outputs   map[string]string `json:"outputs"`
		APIs      apiIDs            `json:"apis"`
		Data      json.RawMessage   `json:"data"`
		Functions map[string]struct {
			LogGroup    string            `json:"logGroup"`
			Environment map[string]string `json:"environment"`
		} `json:"functions"`
	}
	if err := json.Unmarshal(out.Bytes(), &deployed); err != nil {
		return apiIDs{}, nil, fmt.Errorf("the output of deploy.py is not the expected JSON: %w", err)
	}
	if deployed.APIs.Apps == "" || deployed.APIs.Storage == "" {
		return apiIDs{}, nil, errors.New("template.yaml has no AppsApi or no StorageApi")
	}
	s.Outputs, s.LogGroups, s.Environment = deployed.Outputs, map[string]string{}, map[string]map[string]string{}
	for id, f := range deployed.Functions {
		s.LogGroups[id], s.Environment[id] = f.LogGroup, f.Environment
	}
	return deployed.APIs, deployed.Data, nil
}

// identityKey returns the key of the local party table. The first run creates the key.
func identityKey(path string) (string, error) {
	key, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(key)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails
	created := hex.EncodeToString(random)
	// If two first runs race, the first link wins, and both use its key.
	temp, err := os.CreateTemp(filepath.Dir(path), "identity-")
	if err != nil {
		return "", err
	}
	defer os.Remove(temp.Name())
	_, err = temp.WriteString(created + "\n")
	if err := errors.Join(err, temp.Close()); err != nil {
		return "", err
	}
	if err := os.Link(temp.Name(), path); errors.Is(err, fs.ErrExist) {
		return identityKey(path)
	} else if err != nil {
		return "", err
	}
	return created, nil
}
