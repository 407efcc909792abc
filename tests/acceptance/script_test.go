package acceptance

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"altinn.no/instanceapi/tests/contract"
)

// TestScripts runs every script of this folder against the system.
func TestScripts(t *testing.T) {
	sut := system(t)
	runScripts(t, ".", sut.api, sut.token, sut.own)
}

// runScripts runs the scripts of dir against target. token fetches a token for the given variables.
// own is the value of the condition [own].
func runScripts(t *testing.T, dir string, target api, token func(ctx context.Context, vars map[string]string) (string, error), own bool) {
	shared, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	root, err := repositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	commands := map[string]func(*testscript.TestScript, bool, []string){}
	for name, verb := range verbs {
		commands[name] = func(ts *testscript.TestScript, negated bool, args []string) {
			run := ts.Value(runKey{}).(*scriptRun)
			if negated {
				ts.Fatalf("%s cannot be negated; use the opposite rule", name)
			}
			if err := verb(run, script{ts}, args); err != nil {
				ts.Fatalf("%v\n%v", err, run.last)
			}
		}
	}
	for name, check := range checks {
		commands[name] = func(ts *testscript.TestScript, negated bool, args []string) {
			run := ts.Value(runKey{}).(*scriptRun)
			switch {
			case negated:
				ts.Fatalf("%s cannot be negated; use the opposite rule", name)
			case run.last == nil:
				ts.Fatalf("%s before any call", name)
			}
			if err := check(script{ts}, run.last, args); err != nil {
				ts.Fatalf("%v\n%v", err, run.last)
			}
		}
	}
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		Cmds:                commands,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Condition: func(condition string) (bool, error) {
			if condition == "own" {
				return own, nil
			}
			return false, fmt.Errorf("unknown condition %q", condition)
		},
		Setup: func(env *testscript.Env) error {
			org := freshOrg()
			env.Setenv("ORG", org)
			env.Setenv("BASE", target.base)
			env.Setenv("APPS", strings.ReplaceAll(target.appsBase, "{org}", org))
			env.Setenv("SHARED", shared)
			env.Setenv("CONTRACT", filepath.Join(root, contract.File))
			if err := setEICAR(env); err != nil {
				return err
			}
			env.Values[runKey{}] = &scriptRun{ctx: t.Context(), api: target, fetch: token, tokens: map[string]string{}}
			return nil
		},
	})
}

// freshOrg returns a new org.
func freshOrg() string {
	var random [5]byte
	_, _ = rand.Read(random[:]) // never fails: crypto/rand
	return "org-" + hex.EncodeToString(random[:])
}

// runKey finds the scriptRun of a script.
type runKey struct{}

// A scriptRun is the state of one script.
type scriptRun struct {
	ctx    context.Context
	api    api
	fetch  func(ctx context.Context, vars map[string]string) (string, error)
	tokens map[string]string
	last   *exchange // nil before the first call
}

// script implements files for a testscript.
type script struct{ *testscript.TestScript }

func (s script) readFile(name string) ([]byte, error) { return os.ReadFile(s.MkAbs(name)) }

func (s script) writeFile(name string, data []byte) error {
	return os.WriteFile(s.MkAbs(name), data, 0o600)
}

// verbs are the verbs that send requests or set variables. A failure prints the last exchange.
var verbs = map[string]func(run *scriptRun, s script, args []string) error{
	"token":  (*scriptRun).token,
	"random": (*scriptRun).random,
	"time":   (*scriptRun).time,
	"call":   (*scriptRun).call,
	"crawl":  (*scriptRun).crawl,
	"each":   (*scriptRun).each,
	"poll":   (*scriptRun).poll,
}

// time sets a variable to a time of the given duration from now.
func (run *scriptRun) time(s script, args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("usage: time VAR DURATION")
	}
	after, err := time.ParseDuration(args[1])
	if err != nil {
		return err
	}
	s.Setenv(args[0], time.Now().Add(after).UTC().Format("2006-01-02T15:04:05.000000Z"))
	return nil
}

func (run *scriptRun) token(_ script, args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("usage: token NAME KEY=VALUE…")
	}
	vars := map[string]string{}
	for _, arg := range args[1:] {
		key, val, ok := strings.Cut(arg, "=")
		if !ok || !slices.Contains(tokenKeys, key) {
			return fmt.Errorf("token: %q is not one of %s with a value", arg, strings.Join(tokenKeys, "=, "))
		}
		vars[key] = val
	}
	token, err := run.fetch(run.ctx, vars)
	if err != nil {
		return fmt.Errorf("token %s: %w", args[0], err)
	}
	run.tokens[args[0]] = token
	return nil
}

func (run *scriptRun) random(s script, args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("usage: random VAR DIGITS")
	}
	digits, err := strconv.Atoi(args[1])
	if err != nil || digits < 1 || digits > 18 {
		return fmt.Errorf("random: 1 to 18 digits, not %q", args[1])
	}
	s.Setenv(args[0], randomDigits(digits))
	return nil
}

func randomDigits(digits int) string {
	low := int64(1)
	for range digits - 1 {
		low *= 10
	}
	n, err := rand.Int(rand.Reader, big.NewInt(9*low))
	if err != nil {
		panic(err) // never: crypto/rand
	}
	return strconv.FormatInt(low+n.Int64(), 10)
}

func (run *scriptRun) call(s script, args []string) error {
	req, err := parseCall(s, args)
	if err != nil {
		return err
	}
	return run.send(s, req)
}

func (run *scriptRun) send(s script, req request) error {
	token, err := run.tokenOf(req)
	if err != nil {
		return err
	}
	x, err := run.api.do(run.ctx, req, token)
	if err != nil {
		return err
	}
	run.last = x
	s.Setenv("NEXT", x.next())
	return nil
}

func (run *scriptRun) tokenOf(req request) (string, error) {
	token, known := run.tokens[req.as]
	if req.as != "" && !known {
		return "", fmt.Errorf("there is no token %q; fetch it with the verb token", req.as)
	}
	return token, nil
}

// parseCall reads the words of a call.
func parseCall(s script, args []string) (request, error) {
	req := request{header: http.Header{}}
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		if len(args) < 2 {
			return req, fmt.Errorf("call: %s needs a word after it", args[0])
		}
		operand := args[1]
		switch args[0] {
		case "-as":
			req.as = operand
		case "-H":
			name, val, ok := strings.Cut(operand, ":")
			if !ok {
				return req, fmt.Errorf("call: -H 'Name: value', not %q", operand)
			}
			req.header.Add(name, strings.TrimSpace(val))
		case "-json":
			document := []byte(operand)
			if !strings.ContainsAny(operand[:min(1, len(operand))], `{["`) {
				var err error
				if document, err = s.readFile(operand); err != nil {
					return req, err
				}
			}
			req.body = []byte(expandBraces(string(document), s.Getenv))
			if req.header.Get("Content-Type") == "" {
				req.header.Set("Content-Type", "application/json")
			}
		case "-body":
			var err error
			if req.body, err = s.readFile(operand); err != nil {
				return req, err
			}
		default:
			return req, fmt.Errorf("call: unknown option %s", args[0])
		}
		args = args[2:]
	}
	if len(args) != 2 || strings.ToUpper(args[0]) != args[0] {
		return req, fmt.Errorf("usage: call [OPTION…] METHOD TARGET")
	}
	req.method, req.target = args[0], args[1]
	return req, nil
}

// expandBraces replaces ${NAME} and leaves any other dollar unchanged.
func expandBraces(text string, get func(string) string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "${")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			b.WriteString("${" + rest)
			return b.String()
		}
		b.WriteString(get(name))
		text = after
	}
}

func (run *scriptRun) crawl(s script, args []string) error {
	req, wantPages := request{method: http.MethodGet}, ""
	for len(args) > 2 {
		switch args[0] {
		case "-as":
			req.as = args[1]
		case "-pages":
			wantPages = args[1]
		default:
			return fmt.Errorf("crawl: unknown option %s", args[0])
		}
		args = args[2:]
	}
	if len(args) != 1 {
		return fmt.Errorf("usage: crawl [-as NAME] [-pages N] TARGET")
	}
	req.target = args[0]
	token, err := run.tokenOf(req)
	if err != nil {
		return err
	}
	x, pages, err := run.api.crawl(run.ctx, req, token)
	if x != nil {
		run.last = x
	}
	if err == nil && wantPages != "" && strconv.Itoa(pages) != wantPages {
		err = fmt.Errorf("crawl: %d pages had items, want %s", pages, wantPages)
	}
	return err
}

// each sends the calls of a file and applies the same check to each. It reports all failures.
func (run *scriptRun) each(s script, args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("usage: each FILE [-as NAME] CHECK")
	}
	file, err := s.readFile(args[0])
	if err != nil {
		return err
	}
	as, check := []string(nil), args[1:]
	if check[0] == "-as" && len(check) > 2 {
		as, check = check[:2], check[2:]
	}
	var failures []string
	sent := 0
	for lines := bufio.NewScanner(strings.NewReader(string(file))); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		words := strings.Fields(os.Expand(line, s.Getenv))
		if err := run.call(s, append(slices.Clone(as), words...)); err != nil {
			return fmt.Errorf("%s: %w", line, err)
		}
		sent++
		if err := checkAll(s, run.last, check); err != nil {
			failures = append(failures, fmt.Sprintf("%s\n%v\n%v", line, err, run.last))
		}
	}
	run.last = nil // the error names the calls that failed
	if sent == 0 {
		return fmt.Errorf("each: %s lists no calls", args[0])
	}
	if failures != nil {
		return fmt.Errorf("%d of %d:\n%s", len(failures), sent, strings.Join(failures, "\n"))
	}
	return nil
}

// pollEvery is the interval between two calls of poll.
const pollEvery = 150 * time.Millisecond

// patience is how long a test waits for what must happen, on a busy machine.
const patience = 3 * time.Minute

func (run *scriptRun) poll(s script, args []string) error {
	until := slices.Index(args, "until")
	if until < 3 || args[1] != "call" {
		return fmt.Errorf("usage: poll SECONDS call… until CHECK")
	}
	seconds, err := strconv.Atoi(strings.TrimSuffix(args[0], "s"))
	if err != nil || seconds < 1 {
		return fmt.Errorf("poll: seconds, not %q", args[0])
	}
	req, err := parseCall(s, args[2:until])
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(time.Duration(seconds) * time.Second); ; {
		if err := run.send(s, req); err != nil {
			return err
		}
		if run.last.status >= 500 {
			return fmt.Errorf("poll: the status is %d", run.last.status)
		}
		err := checkAll(s, run.last, args[until+1:])
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not within %d s: %w", seconds, err)
		}
		select {
		case <-run.ctx.Done():
			return run.ctx.Err()
		case <-time.After(pollEvery):
		}
	}
}
