package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A token that expires during a run is replaced: from a file as soon as it has another token, or by
// the token command.
func TestTokenExpires(t *testing.T) {
	forEachCommand(t, func(t *testing.T, c command) {
		for _, source := range []string{"TOKEN_FILE", "TOKEN_COMMAND"} {
			t.Run(source, func(t *testing.T) {
				f, dir := newFake(t), t.TempDir()
				f.submit("a.xml", "the form", "b.xml", "another")
				path := filepath.Join(dir, "token")
				mustWrite(t, path, goodToken+"\n")
				rejections := 0
				f.intercept = func(w http.ResponseWriter, r *http.Request) bool {
					switch {
					case !strings.Contains(r.URL.Path, "/data/"), r.Header.Get("Authorization") == "Bearer renewed":
						r.Header.Set("Authorization", "Bearer "+goodToken)
						return false
					case rejections == 8: // long after the token has expired
						mustWrite(t, path, "renewed\n")
					}
					rejections++
					problem(w, 401, "token-expired")
					return true
				}
				env := map[string]string{"TOKEN_FILE": path, "TOKEN_COMMAND": "exit 1"}
				if source == "TOKEN_COMMAND" {
					env = map[string]string{"TOKEN_COMMAND": "cat '" + path + "'"}
				}
				status, _, stderr := f.drainWith(c, dir, env)
				if status != exitOK || rejections < 8 {
					t.Errorf("exit status %d after %d rejections\n%s", status, rejections, stderr)
				}
				f.checkAll(filepath.Join(dir, "inbox"))
			})
		}
	})
}

// Without a usable token, a command ends before it writes anything, and repeats no text that may be
// a token.
func TestUnusableToken(t *testing.T) {
	forEachCommand(t, func(t *testing.T, c command) {
		dir := t.TempDir()
		two, empty := filepath.Join(dir, "two"), filepath.Join(dir, "empty")
		mustWrite(t, two, "first-secret\nsecond-secret\n")
		mustWrite(t, empty, "\n")
		for name, env := range map[string]map[string]string{
			"two tokens":       {"TOKEN_FILE": two},
			"an empty file":    {"TOKEN_FILE": empty},
			"no file":          {"TOKEN_FILE": filepath.Join(dir, "missing")},
			"a failed command": {"TOKEN_COMMAND": "exit 1"},
			"a silent command": {"TOKEN_COMMAND": "true"},
		} {
			t.Run(name, func(t *testing.T) {
				f := newFake(t)
				f.submit("a.xml", "the form")
				status, out, stderr := f.drainWith(c, filepath.Join(dir, name), env)
				if status != exitDenied || out != "" || !strings.Contains(stderr, "access denied") || strings.Contains(stderr, "secret") {
					t.Errorf("exit status %d, out %q\n%s", status, out, stderr)
				}
				if left, _ := os.ReadDir(filepath.Join(dir, name, "inbox")); len(left) > 1 {
					t.Errorf("the command has written %v", left)
				}
			})
		}
	})
}
