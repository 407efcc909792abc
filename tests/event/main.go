// Command event writes the sample events of a function for `sam local invoke`, with a token and a
// real instance of the system that runs on this machine. It creates that instance, one for each
// sample, and prints the command that invokes the function with each event.
//
//	event FUNCTION     the logical id or the folder of a function: InstanceGet, instance-get
//
// The environment variable PORT selects the system, by default the one that started last.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"altinn.no/instanceapi/tests/event/sample"
	"altinn.no/instanceapi/tests/local/build"
	"altinn.no/instanceapi/tests/local/workspace"
	"altinn.no/instanceapi/tests/token/issuer"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	root, err := workspace.Root()
	if err == nil {
		err = run(ctx, root, os.Args[1:], os.Getenv("PORT"), os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "event:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, root string, arguments []string, port string, out io.Writer) error {
	if len(arguments) != 1 {
		return errors.New("name one function: make event FUNCTION=InstanceGet")
	}
	name := logicalID(arguments[0])
	paths, err := samples(root, name)
	if err != nil {
		return err
	}
	base, err := running(root, port)
	if err != nil {
		return err
	}
	signer, err := issuer.Open(workspace.Local(root))
	if err != nil {
		return err
	}
	system, err := sample.NewSystem(base, signer)
	if err != nil {
		return err
	}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if content, err = system.Fill(ctx, content); err != nil {
			return fmt.Errorf("preparing %s at %s: %w", path, base, err)
		}
		relative := filepath.Join(".local", "events", name, filepath.Base(path))
		if err := write(filepath.Join(root, relative), content); err != nil {
			return err
		}
		fmt.Fprintf(out, "sam local invoke %s --event %s --parameter-overrides Arch=%s\n", name, relative, build.Arch())
	}
	return nil
}

// logicalID returns the logical id of a function: InstanceGet for instance-get and for InstanceGet.
func logicalID(name string) string {
	var id strings.Builder
	for word := range strings.SplitSeq(name, "-") {
		if word != "" {
			id.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	return id.String()
}

// folder returns the folder of a function: instance-get for InstanceGet.
func folder(id string) string {
	var name strings.Builder
	for n, letter := range id {
		if unicode.IsUpper(letter) && n > 0 {
			name.WriteByte('-')
		}
		name.WriteRune(unicode.ToLower(letter))
	}
	return name.String()
}

// samples returns the paths of the samples of a function, at least one.
func samples(root, id string) ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(root, "events", folder(id), "*.json"))
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(root, "functions", folder(id))); err == nil && len(paths) > 0 {
		return paths, nil
	}
	folders, err := os.ReadDir(filepath.Join(root, "functions"))
	if err != nil {
		return nil, err
	}
	var known []string
	for _, f := range folders {
		if f.IsDir() {
			known = append(known, logicalID(f.Name()))
		}
	}
	return nil, fmt.Errorf("there is no function %q; the functions are %s", id, strings.Join(known, ", "))
}

// running returns the address of the system on a port, or of the one that started last. `make run`
// writes a file with it while it runs.
func running(root, port string) (string, error) {
	files, err := filepath.Glob(workspace.Local(root, "run", cmp.Or(port, "*")+".json"))
	if err != nil {
		return "", err
	}
	if len(files) == 0 {
		return "", errors.New("no system is running here; start one with `make run CONTAINERS=1`")
	}
	started := func(path string) (at time.Time) {
		if info, err := os.Stat(path); err == nil {
			at = info.ModTime()
		}
		return at
	}
	latest := slices.MaxFunc(files, func(a, b string) int { return started(a).Compare(started(b)) })
	content, err := os.ReadFile(latest)
	if err != nil {
		return "", err
	}
	var file struct{ BaseURL string }
	if err := json.Unmarshal(content, &file); err != nil {
		return "", fmt.Errorf("%s: %w", latest, err)
	}
	return file.BaseURL, nil
}

// write writes a file that only its owner can read: the event has a token.
func write(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}
