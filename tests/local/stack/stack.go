// Package stack provides the whole system on this machine: a local AWS with template.yaml deployed to it, and both
// APIs joined under one address. What answers are the binaries, routes, policies, queues and rules that ship.
//
// It holds no logic of the API. Where the local AWS falls short of the real one, tests/local/deploy.py bridges the
// gap; neither the template nor a function is bent to it. Servers for tests of one adapter alone are in package
// service.
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

// Region is the AWS region of the local AWS. Any credentials will do there.
const Region = "us-east-1"

// name is the stack's name in CloudFormation, and with it the start of every resource's.
const name = "instance-api"

// Options say what Start may not choose by itself. The zero value is what tests want.
type Options struct {
	Port     string    // of the APIs; "" takes a free one
	AWSPort  string    // of the local AWS; "" takes a free one
	Progress io.Writer // gets a line a step; nil gets none

	Parameters map[string]string // of template.yaml, beside those that Start gives it itself

	// Between, when set, is told the local AWS's address and returns the one that the functions get instead: of a proxy
	// that a test has put between.
	Between func(awsEndpoint string) (endpoint string)
}

// Stack is a running system.
type Stack struct {
	BaseURL       string                       // address of both APIs, http://localhost:PORT
	AWSEndpoint   string                       // address of the local AWS, for SDKs and the aws command
	Outputs       map[string]string            // outputs of template.yaml: table names, queue URLs, the bus
	LogGroups     map[string]string            // log group by logical id of the function
	Environment   map[string]map[string]string // variables of each function, by logical id
	Authenticator *issuer.Minter               // signs what the functions accept
	LogDir        string                       // folder of the servers' own logs

	functionsAWS string // the address of AWS that the functions get

	aws   *process.Process
	front *http.Server
	stop  sync.Once
}

// Start builds the functions for this machine, starts the local AWS, deploys to it and joins the APIs. When it
// returns without an error, the APIs answer. The tools must be installed already; an error says how when they are not.
func Start(ctx context.Context, options Options) (_ *Stack, err error) {
	root, err := workspace.Root()
	if err != nil {
		return nil, err
	}
	if err := workspace.Installed(workspace.Local(root, "venv", ".stamp"), "the local AWS", "install"); err != nil {
		return nil, err
	}
	say := func(string, ...any) {}
	if options.Progress != nil {
		say = func(format string, args ...any) { fmt.Fprintf(options.Progress, format+"\n", args...) }
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

	say("building the functions")
	built := stillAtIt(say)
	err = build.Build(ctx, root)
	built()
	if err != nil {
		return nil, err
	}
	say("starting the local AWS")
	if err := s.startAWS(root, options); err != nil {
		return nil, err
	}
	say("deploying template.yaml")
	apis, err := s.deploy(ctx, root, options.Parameters)
	if err != nil {
		return nil, err
	}
	if s.front, err = newFront(s.AWSEndpoint, apis.Apps, apis.Storage); err != nil {
		return nil, err
	}
	go func() { _ = s.front.Serve(listener) }() // ends with an error of its own making when Stop closes it
	return s, nil
}

// stillAtIt says every ten seconds that something goes on, until the function that it returns is called: a first build
// compiles everything, and takes minutes on a small machine.
func stillAtIt(say func(string, ...any)) (done func()) {
	stop := make(chan struct{})
	go func() {
		for began, tick := time.Now(), time.Tick(10*time.Second); ; {
			select {
			case <-stop:
				return
			case <-tick:
				say("  … still building, %.0f s; the first time everything is compiled", time.Since(began).Seconds())
			}
		}
	}()
	return func() { close(stop) }
}

// Exited is closed when the local AWS has ended, by Stop or by itself.
func (s *Stack) Exited() <-chan struct{} { return s.aws.Exited() }

// Stop ends everything that Start started: the front, the local AWS, the functions it runs. It may be called twice.
func (s *Stack) Stop() {
	s.stop.Do(func() {
		if s.front != nil {
			_ = s.front.Close()
		}
		if s.aws != nil {
			s.aws.Stop()
		}
	})
}

// listen opens the front's port, "" for a free one. A port on which anything answers already counts as taken, also
// where the system would allow a second listener on another address of it.
func listen(port string) (net.Listener, error) {
	if port == "" {
		port = "0"
	} else if conn, err := net.DialTimeout("tcp", net.JoinHostPort("localhost", port), time.Second); err == nil {
		_ = conn.Close()
		return nil, taken(port)
	}
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil && strings.Contains(err.Error(), "in use") {
		return nil, taken(port)
	}
	return l, err
}

func taken(port string) error {
	return fmt.Errorf("port %s is in use: stop what uses it, or choose another one with PORT=", port)
}

// startAWS starts the local AWS on the loopback interface and waits until it answers.
func (s *Stack) startAWS(root string, options Options) error {
	port := options.AWSPort
	if port == "" {
		var err error
		if port, err = process.FreePort(); err != nil {
			return err
		}
	} else if conn, err := net.DialTimeout("tcp", "127.0.0.1:"+port, time.Second); err == nil {
		_ = conn.Close()
		return fmt.Errorf("port %s is in use: stop what uses it, or choose another one with AWS_PORT=", port)
	}
	// The functions get the server's own AWS_ENDPOINT_URL, whatever the template says. It unpacks every function into the temporary folder; one of its own is removed as a whole.
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
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	return s.aws.Ready(time.Minute, func() error {
		resp, err := client.Get(s.AWSEndpoint + "/_ministack/health")
		if err != nil {
			return err
		}
		return resp.Body.Close()
	})
}

// apiIDs are the ids of the two APIs, under their names in template.yaml.
type apiIDs struct {
	Apps    string `json:"AppsApi"`
	Storage string `json:"StorageApi"`
}

// deploy creates the stack of template.yaml.
func (s *Stack) deploy(ctx context.Context, root string, further map[string]string) (apiIDs, error) {
	identityKey, err := identityKey(workspace.Local(root, "identity.key"))
	if err != nil {
		return apiIDs{}, err
	}
	given := map[string]string{
		"Arch":            build.Arch(),
		"AppsBaseUrl":     s.BaseURL,
		"PlatformBaseUrl": s.BaseURL,
		"TokenIssuer":     issuer.Issuer,
		"TokenAudience":   issuer.Audience,
		"TokenJwks":       s.Authenticator.KeySet(),
		"IdentityKey":     identityKey,
		"ProtectData":     "false",
		"AwsEndpointUrl":  s.functionsAWS,
	}
	maps.Copy(given, further)
	parameters, err := json.Marshal(given)
	if err != nil {
		return apiIDs{}, err
	}
	cmd := exec.CommandContext(ctx, workspace.Local(root, "venv", "bin", "python"), filepath.Join("tests", "local", "deploy.py"),
		"template.yaml", workspace.Local(root, "dist"), name)
	cmd.Dir, cmd.Stdin = root, bytes.NewReader(parameters)
	cmd.Env = workspace.Environment("AWS_ENDPOINT_URL="+s.AWSEndpoint, "AWS_DEFAULT_REGION="+Region)
	var out, trouble bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &trouble
	if err := cmd.Run(); err != nil {
		return apiIDs{}, fmt.Errorf("template.yaml was not deployed (%w)\n%s", err, strings.TrimSpace(trouble.String()))
	}
	var deployed struct {
		Outputs   map[string]string `json:"outputs"`
		APIs      apiIDs            `json:"apis"`
		Functions map[string]struct {
			LogGroup    string            `json:"logGroup"`
			Environment map[string]string `json:"environment"`
		} `json:"functions"`
	}
	if err := json.Unmarshal(out.Bytes(), &deployed); err != nil {
		return apiIDs{}, fmt.Errorf("deploy.py printed something else than its result: %w", err)
	}
	if deployed.APIs.Apps == "" || deployed.APIs.Storage == "" {
		return apiIDs{}, errors.New("template.yaml has no AppsApi or no StorageApi")
	}
	s.Outputs, s.LogGroups, s.Environment = deployed.Outputs, map[string]string{}, map[string]map[string]string{}
	for id, f := range deployed.Functions {
		s.LogGroups[id], s.Environment[id] = f.LogGroup, f.Environment
	}
	return deployed.APIs, nil
}

// identityKey returns the key of the local party register, made at the first run.
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
	made := hex.EncodeToString(random)
	// Two first runs at once: the link of one comes first, and both use that one.
	temp, err := os.CreateTemp(filepath.Dir(path), "identity-")
	if err != nil {
		return "", err
	}
	defer os.Remove(temp.Name())
	_, err = temp.WriteString(made + "\n")
	if err := errors.Join(err, temp.Close()); err != nil {
		return "", err
	}
	if err := os.Link(temp.Name(), path); errors.Is(err, fs.ErrExist) {
		return identityKey(path)
	} else if err != nil {
		return "", err
	}
	return made, nil
}
