// Package baseline measures the cost of the functions as ratios to a baseline: command hello, the
// minimal Lambda function. Both are built with the same flags and run in the same minute. The
// package runs the deployed binaries behind the Runtime API of package runtime, against an AWS
// emulator whose own cost is negligible.
//
// Callgrind counts instructions if valgrind is installed; instructions are the figures to trust.
// CPU time comes from the kernel, as a median of alternated runs. Only throughput is measured in
// wall time, and as a ratio too.
package baseline

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"altinn.no/instanceapi/tests/bench/report"
	"altinn.no/instanceapi/tests/local/runtime"
	"altinn.no/instanceapi/tests/local/workspace"
	"altinn.no/instanceapi/tests/token/issuer"
)

// limit is the time limit of an invocation. Valgrind slows everything down about fifty times.
const limit = 5 * time.Minute

// Bench holds the programs to measure and their environment.
type Bench struct {
	root     string
	scratch  string
	template *runtime.Template
	issuer   *issuer.Signer
	cloud    *cloud
	roots    *rootStore
	quick    bool
}

// New builds the programs and starts the emulator. A quick bench makes fewer repetitions.
func New(ctx context.Context, quick bool) (_ *Bench, err error) {
	b := &Bench{quick: quick}
	if b.root, err = workspace.Root(); err != nil {
		return nil, err
	}
	if b.template, err = runtime.ReadTemplate(b.root); err != nil {
		return nil, err
	}
	if b.issuer, err = issuer.Open(workspace.Local(b.root)); err != nil {
		return nil, err
	}
	if buildOnce.Do(func() { buildErr = b.build(ctx) }); buildErr != nil {
		return nil, buildErr
	}
	if b.scratch, err = os.MkdirTemp("", "instance-api-bench-"); err != nil {
		return nil, err
	}
	if b.roots, err = newRootStore(filepath.Join(b.scratch, "roots")); err != nil {
		return nil, err
	}
	b.cloud, err = startCloud(b.roots, b.issuer.KeySet())
	return b, err
}

// Stop stops the emulator and removes the scratch folder.
func (b *Bench) Stop() {
	if b.cloud != nil {
		b.cloud.stop()
	}
	_ = os.RemoveAll(b.scratch)
}

// A process builds the programs once.
var (
	buildOnce sync.Once
	buildErr  error
)

// build builds every program twice with the Makefile: as deployed, and with symbols. Symbols
// change no instruction, and callgrind needs them to attribute instructions to functions.
func (b *Bench) build(ctx context.Context) error {
	if err := runtime.Build(ctx, b.root); err != nil {
		return err
	}
	for _, arguments := range [][]string{
		{"build-bench"},
		{"build", "build-bench", "DIST=.local/dist-symbols", "LDFLAGS="},
	} {
		cmd := exec.CommandContext(ctx, "make", append(arguments, "-s")...)
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

// The programs that are not functions.
const (
	hello     = "hello"
	dynamoGet = "dynamoget"
)

// The credentials with which the programs sign. DynamoDB Local keeps one database per access key.
const accessKey, secretKey = "localaccess", "local-secret"

// binary returns the path of a program as deployed.
func (b *Bench) binary(program string) string {
	if program == hello || program == dynamoGet {
		return workspace.Local(b.root, "dist", ".bench", program)
	}
	return runtime.Binary(b.root, program)
}

// withSymbols returns the path of a program with symbols, for callgrind.
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

// variables returns the variables that template.yaml sets for a program, and those that Lambda
// sets. The two programs that are not functions get the variables of instance-get.
func (b *Bench) variables(program string) []string {
	known := map[string]string{
		"AppsBaseUrl": "https://{org}.apps.altinn.no", "PlatformBaseUrl": "https://platform.altinn.no",
		"TokenIssuer": issuer.Issuer, "TokenAudience": issuer.Audience, "TokenJwks": b.issuer.KeySet(), "TokenPartyClaim": issuer.PartyClaim, "IdentityKeySecretArn": runtime.IdentityKeyARN, "Blobs": "blobs",
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

// plain returns the variables with which a function calls the emulator over http.
func (b *Bench) plain() []string { return []string{"AWS_ENDPOINT_URL=" + b.cloud.plain} }

// encrypted returns the variables with which a function runs as in AWS: over TLS, and with the root
// store of Amazon Linux. The bundle has Amazon's roots and the emulator's root.
func (b *Bench) encrypted() ([]string, error) {
	bundle := filepath.Join(b.scratch, "bundle.pem")
	amazon, err := os.ReadFile(filepath.Join(b.root, "shared", "coldstart", "amazon-roots.pem"))
	if err != nil {
		return nil, err
	}
	emulatorRoot, err := os.ReadFile(b.roots.last)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(bundle, append(amazon, emulatorRoot...), 0o644); err != nil {
		return nil, err
	}
	return []string{
		"HTTPS_PROXY=" + b.cloud.proxy, "AWS_CA_BUNDLE=" + bundle, "TOKEN_JWKS=https://issuer.example/jwks.json",
		"SSL_CERT_FILE=" + b.roots.bundle, "SSL_CERT_DIR=" + b.roots.folder,
	}, nil
}

// start starts a program with additional variables. The command line before precedes the program;
// it may be empty.
func (b *Bench) start(ctx context.Context, program string, additional []string, before ...string) (*runtime.Environment, error) {
	binary := b.binary(program)
	if len(before) > 0 {
		binary = b.withSymbols(program)
	}
	e, err := runtime.StartEnvironment(program, limit, append(b.variables(program), additional...), nil, append(before, binary)...)
	if err != nil {
		return nil, err
	}
	if err := e.Ready(ctx); err != nil {
		e.Stop()
		return nil, err
	}
	return e, nil
}

// Measure returns a measurement of command bench that prints one table.
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
