// Package baseline measures what the functions cost as ratios to the least that a Lambda function can cost: command hello,
// built with the same flags and run in the same minute. It runs the real binaries behind the Runtime API of package
// lambdas, on a stand-in for AWS that costs next to nothing.
//
// Instructions are counted by callgrind where there is a valgrind, and are the figures to trust; CPU time is the
// kernel's, a median of alternated runs. No figure is a wall time but that of throughput, and that is a ratio too.
package baseline

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"sync"
	"time"

	"altinn.no/instanceapi/tests/bench/report"
	"altinn.no/instanceapi/tests/local/runtime"
	"altinn.no/instanceapi/tests/local/workspace"
	"altinn.no/instanceapi/tests/token/issuer"
)

// limit is how long an invocation may take; under valgrind everything takes fifty times as long.
const limit = 5 * time.Minute

// Bench is the programs to measure and what they run on.
type Bench struct {
	root          string
	scratch       string
	template      *runtime.Template
	authenticator *issuer.Minter
	cloud         *cloud
	roots         *rootStore
	quick         bool
}

// New builds the programs and starts the stand-in. A quick bench repeats less.
func New(ctx context.Context, quick bool) (_ *Bench, err error) {
	b := &Bench{quick: quick}
	if b.root, err = workspace.Root(); err != nil {
		return nil, err
	}
	if b.template, err = runtime.ReadTemplate(b.root); err != nil {
		return nil, err
	}
	if b.authenticator, err = issuer.Open(workspace.Local(b.root)); err != nil {
		return nil, err
	}
	if building.Do(func() { notBuilt = b.build(ctx) }); notBuilt != nil {
		return nil, notBuilt
	}
	if b.scratch, err = os.MkdirTemp("", "instance-api-bench-"); err != nil {
		return nil, err
	}
	if b.roots, err = newRootStore(filepath.Join(b.scratch, "roots")); err != nil {
		return nil, err
	}
	b.cloud, err = startCloud(b.roots, b.authenticator.KeySet())
	return b, err
}

// Stop ends the stand-in and removes what was written.
func (b *Bench) Stop() {
	if b.cloud != nil {
		b.cloud.stop()
	}
	_ = os.RemoveAll(b.scratch)
}

// The programs are built once in a process.
var (
	building sync.Once
	notBuilt error
)

// build makes every program twice, by the Makefile: as it ships, and with its symbols, which change no instruction but
// let callgrind tell functions apart.
func (b *Bench) build(ctx context.Context) error {
	if err := runtime.Build(ctx, b.root); err != nil {
		return err
	}
	for _, arguments := range [][]string{
		{"build-bench", "DIST=.local/dist"},
		{"build", "build-bench", "DIST=.local/dist-symbols", "LDFLAGS="},
	} {
		cmd := exec.CommandContext(ctx, "make", append(arguments, "-s", "GOOS="+goruntime.GOOS, "ARCH="+runtime.Arch())...)
		cmd.Dir = b.root
		for _, v := range os.Environ() {
			if !strings.HasPrefix(v, "MAKE") && !strings.HasPrefix(v, "MFLAGS=") {
				cmd.Env = append(cmd.Env, v)
			}
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("make %s: %w\n%s", strings.Join(arguments, " "), err, out)
		}
	}
	return nil
}

// The programs that are no functions.
const (
	hello     = "hello"
	dynamoGet = "dynamoget"
)

// What the programs sign with. DynamoDB Local keeps a database for each key.
const accessKey, secretKey = "localaccess", "local-secret"

// binary returns the path of a program as it ships.
func (b *Bench) binary(program string) string {
	if program == hello || program == dynamoGet {
		return workspace.Local(b.root, "dist", ".bench", program)
	}
	return runtime.Binary(b.root, program)
}

// withSymbols returns the path of a program that callgrind can read.
func (b *Bench) withSymbols(program string) string {
	if program == hello || program == dynamoGet {
		return workspace.Local(b.root, "dist-symbols", ".bench", program)
	}
	return workspace.Local(b.root, "dist-symbols", program, "bootstrap")
}

// functions returns the names of all functions.
func (b *Bench) functions() (names []string) {
	for _, f := range b.template.Functions {
		names = append(names, f.Folder)
	}
	return names
}

// variables returns what template.yaml sets for a program, and what Lambda does. The two that are no functions get what
// instance-get gets.
func (b *Bench) variables(program string) []string {
	known := map[string]string{
		"AppsBaseUrl": "https://{org}.apps.altinn.no", "PlatformBaseUrl": "https://platform.altinn.no", "AwsEndpointUrl": "",
		"TokenIssuer": issuer.Issuer, "TokenAudience": issuer.Audience, "TokenJwks": b.authenticator.KeySet(), "IdentityKey": strings.Repeat("k", 32), "Blobs": "blobs",
	}
	if program == hello || program == dynamoGet {
		program = "instance-get"
	}
	env := []string{
		"PATH=" + os.Getenv("PATH"), "AWS_REGION=" + runtime.Region, "AWS_DEFAULT_REGION=" + runtime.Region,
		"AWS_ACCESS_KEY_ID=" + accessKey, "AWS_SECRET_ACCESS_KEY=" + secretKey, "AWS_SESSION_TOKEN=session",
	}
	for _, f := range b.template.Functions {
		if f.Folder != program {
			continue
		}
		for name, value := range f.Environment {
			if ref, ok := strings.CutPrefix(value, "!Ref "); ok {
				value = ref
				if v, ok := known[ref]; ok {
					value = v
				} else if v, ok := b.template.Defaults[ref]; ok {
					value = v
				}
			}
			env = append(env, name+"="+value)
		}
	}
	return env
}

// plain returns the variables with which a function talks to the stand-in over http.
func (b *Bench) plain() []string { return []string{"AWS_ENDPOINT_URL=" + b.cloud.plain} }

// encrypted returns the variables with which a function runs as it does in AWS: over TLS, trusting Amazon's roots and
// the stand-in's in their place, on a system whose own store is that of Amazon Linux.
func (b *Bench) encrypted() ([]string, error) {
	bundle := filepath.Join(b.scratch, "bundle.pem")
	amazon, err := os.ReadFile(filepath.Join(b.root, "shared", "coldstart", "amazon-roots.pem"))
	if err != nil {
		return nil, err
	}
	ours, err := os.ReadFile(b.roots.last)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(bundle, append(amazon, ours...), 0o644); err != nil {
		return nil, err
	}
	return []string{
		"HTTPS_PROXY=" + b.cloud.proxy, "AWS_CA_BUNDLE=" + bundle, "TOKEN_JWKS=https://issuer.example/jwks.json",
		"SSL_CERT_FILE=" + b.roots.bundle, "SSL_CERT_DIR=" + b.roots.folder,
	}, nil
}

// start starts a program with further variables, behind the command line before, which may be empty.
func (b *Bench) start(ctx context.Context, program string, more []string, before ...string) (*runtime.Environment, error) {
	binary := b.binary(program)
	if len(before) > 0 {
		binary = b.withSymbols(program)
	}
	e, err := runtime.StartEnvironment(program, limit, append(b.variables(program), more...), nil, append(before, binary)...)
	if err != nil {
		return nil, err
	}
	if err := e.Ready(ctx); err != nil {
		e.Stop()
		return nil, err
	}
	return e, nil
}

// Measure returns the measurement that makes one table, for command bench.
func Measure(table func(context.Context, *Bench) (*report.Table, error)) func(ctx context.Context, quick bool, print func(*report.Table)) error {
	return func(ctx context.Context, quick bool, print func(*report.Table)) error {
		b, err := New(ctx, quick)
		if err != nil {
			return err
		}
		defer b.Stop()
		t, err := table(ctx, b)
		if err == nil {
			print(t)
		}
		return err
	}
}
