// Package workspace provides where things are in a checkout of this project, and the environment that local
// servers are started with. It starts nothing, and reads no configuration of AWS.
package workspace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Root returns the absolute path of the checkout: the nearest folder, from the working directory upwards, that
// holds a go.mod. Tests run in their package's folder, commands at the root; both find it so.
func Root() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no go.mod in %s or above: run this inside a checkout", start)
		}
	}
}

// Local returns the path of elem under .local, the ignored folder that holds tools, keys and logs.
func Local(root string, elem ...string) string {
	return filepath.Join(append([]string{root, ".local"}, elem...)...)
}

// Installed reports, as an error that names the command to run, that path is not there.
func Installed(path, what, target string) error {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is not installed: run `make %s`", what, target)
	}
	return err
}

// inherited are the variables that a server needs of its starter's environment.
var inherited = []string{"PATH", "HOME", "USER", "TMPDIR", "LANG", "LC_ALL", "TZ"}

// Environment returns a small environment for a server: what any program needs, and extra ("NAME=value"). It has
// none of the developer's AWS_ variables, so that nothing started locally reaches a real account by accident, and
// nothing else that would stand in for a variable the template forgot to give to a function.
func Environment(extra ...string) []string {
	var env []string
	for _, name := range inherited {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return append(env, extra...)
}
