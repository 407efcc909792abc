package acceptance

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"altinn.no/instanceapi/tests/contract"
	"altinn.no/instanceapi/tests/local/stack"
)

// A systemUnderTest is the system that the tests of this package use, set up once in a run.
type systemUnderTest struct {
	api
	own          bool   // started by the tests
	awsEndpoint  string // address of EventBridge and SQS; "" if unknown
	bus          string // name of the event bus; "" if unknown
	tokenCommand string // of a shell

	allowedOrigin string // one of AllowedOrigins; "" if there are none, as by default

	mu     sync.Mutex
	tokens map[string]string
}

// cleanups run at the end, the last first.
var cleanups []func()

func TestMain(m *testing.M) {
	code := m.Run()
	if found, err := findSystem(); code == 0 && err == nil && found.own && wholeRun() {
		// The exchanges of the tests prove the contract only for operations that have succeeded.
		for _, o := range found.contract.Untried() {
			fmt.Fprintf(os.Stderr, "%s has succeeded in no script or test of this package\n", o)
			code = 1
		}
	}
	for _, cleanup := range slices.Backward(cleanups) {
		cleanup()
	}
	os.Exit(code)
}

// wholeRun reports whether the run includes every test.
func wholeRun() bool {
	for _, name := range []string{"test.run", "test.skip", "test.list"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != "" {
			return false
		}
	}
	return true
}

var findSystem = sync.OnceValues(func() (*systemUnderTest, error) {
	found := &systemUnderTest{tokenCommand: os.Getenv("TOKEN_COMMAND"), tokens: map[string]string{}}
	root, err := repositoryRoot()
	if err != nil {
		return nil, err
	}
	if found.contract, err = contract.Read(root); err != nil {
		return nil, err
	}
	if found.tokenCommand == "" {
		command, err := buildToken()
		if err != nil {
			return nil, err
		}
		found.tokenCommand = command
	}
	found.base = strings.TrimRight(os.Getenv("BASE_URL"), "/")
	if found.base == "" {
		return found, found.start()
	}
	found.appsBase = strings.TrimRight(os.Getenv("APPS_BASE_URL"), "/")
	if found.appsBase == "" {
		found.appsBase = found.base
	}
	found.awsEndpoint = strings.TrimRight(os.Getenv("AWS_ENDPOINT"), "/")
	found.bus = os.Getenv("EVENT_BUS")
	found.allowedOrigin = os.Getenv("ALLOWED_ORIGIN")
	return found, nil
})

// start starts the stack. It does not outlive the test process.
func (s *systemUnderTest) start() error {
	s.allowedOrigin = "https://skjema.example.no"
	started, err := stack.Start(context.Background(), stack.Options{
		Progress: os.Stderr, Parameters: map[string]string{
			"AllowedOrigins": "http://localhost:3000," + s.allowedOrigin, "HeldRequestsPerOrg": strconv.Itoa(heldPerOrg),
		},
	})
	if err != nil {
		return err
	}
	cleanups = append(cleanups, started.Stop)
	s.own = true
	s.base, s.appsBase = started.BaseURL, started.BaseURL
	s.awsEndpoint, s.bus = started.AWSEndpoint, started.Outputs["EventBusName"]
	return nil
}

// system returns the system under test. The first call starts it if BASE_URL is not set.
func system(t *testing.T) *systemUnderTest {
	t.Helper()
	found, err := findSystem()
	if err != nil {
		t.Fatalf("no system to test: %v", err)
	}
	return found
}

// buildToken builds the program behind make token, and returns the shell command that runs it.
func buildToken() (string, error) {
	root, err := repositoryRoot()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "acceptance-")
	if err != nil {
		return "", err
	}
	cleanups = append(cleanups, func() { os.RemoveAll(dir) })
	cmd := exec.Command("go", "build", "-o", dir, "./tests/token")
	cmd.Dir = root
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building tests/token: %w: %s", err, output)
	}
	return "'" + filepath.Join(dir, "token") + "'", nil
}

// tokenKeys are the variables of make token.
var tokenKeys = []string{"ORG", "USERID", "PARTY", "SSN", "ORGNR", "USER_NAME", "SCOPE", "EXPIRES"}

// token runs the token command with vars in its environment. The same vars give the same token
// within a run.
func (s *systemUnderTest) token(ctx context.Context, vars map[string]string) (string, error) {
	env := slices.DeleteFunc(os.Environ(), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		// The command must not get the token variables of this run or the flags of a calling make.
		return slices.Contains(tokenKeys, name) || slices.Contains([]string{"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES"}, name)
	})
	var key []string
	for name, value := range vars {
		key = append(key, name+"="+value)
	}
	slices.Sort(key)
	s.mu.Lock()
	cached, known := s.tokens[strings.Join(key, "\n")]
	s.mu.Unlock()
	if known {
		return cached, nil
	}
	root, err := repositoryRoot()
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "sh", "-c", s.tokenCommand)
	cmd.Dir, cmd.Env = root, append(env, key...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", s.tokenCommand, err, strings.TrimSpace(stderr.String()))
	}
	token := strings.TrimSpace(stdout.String())
	if strings.Count(token, ".") != 2 || strings.ContainsAny(token, " \n") {
		return "", fmt.Errorf("%s did not print a token (%d bytes)", s.tokenCommand, stdout.Len())
	}
	s.mu.Lock()
	s.tokens[strings.Join(key, "\n")] = token
	s.mu.Unlock()
	return token, nil
}

// mustToken is like token, but fails the test if there is an error.
func (s *systemUnderTest) mustToken(t *testing.T, vars map[string]string) string {
	t.Helper()
	token, err := s.token(t.Context(), vars)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// repositoryRoot returns the folder of go.mod.
func repositoryRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no go.mod in a folder above the tests")
		}
	}
}
