// Package workspace provides paths in a checkout of this project, and the environment of local
// servers. It starts nothing and reads no AWS configuration.
package workspace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Root returns the absolute path of the checkout: the nearest folder with a go.mod, from the
// working directory upwards. Tests run in their package's folder, commands at the root; both find
// the checkout.
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

// Local returns the path of elem under .local, the ignored folder of tools, keys and logs.
func Local(root string, elem ...string) string {
	return filepath.Join(append([]string{root, ".local"}, elem...)...)
}

// Installed returns an error that names the command to run if path does not exist.
func Installed(path, what, target string) error {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is not installed: run `make %s`", what, target)
	}
	return err
}

// inherited are the variables that a server inherits.
var inherited = []string{"PATH", "HOME", "USER", "TMPDIR", "LANG", "LC_ALL", "TZ"}

// Environment returns a small environment for a server: the inherited variables, and extra
// ("NAME=value"). It contains none of the developer's AWS_ variables, so local programs never reach
// a real account. It contains no other variables, so that a variable that the template does not set
// for a function is missing here, too.
func Environment(extra ...string) []string {
	var env []string
	for _, name := range inherited {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return append(env, extra...)
}
