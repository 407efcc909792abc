package samlocal

import (
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// copyCheckout copies the files that a clone would have, with all changes, to a new folder.
func copyCheckout(t *testing.T, root string) string {
	t.Helper()
	list := exec.CommandContext(t.Context(), "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = root
	names, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	checkout, err := os.MkdirTemp("", "instance-api-checkout-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(checkout) })
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names), "\x00"), "\x00") {
		content, err := os.ReadFile(filepath.Join(root, name))
		if os.IsNotExist(err) { // deleted, and not committed yet
			continue
		}
		if err == nil {
			err = os.MkdirAll(filepath.Dir(filepath.Join(checkout, name)), 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(checkout, name), content, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return checkout
}

// build runs `sam build` in the checkout, with further arguments, and with variables in the form of
// the shell.
func (s *sam) build(t *testing.T, variables string, arguments ...string) {
	t.Helper()
	argv := append(append([]string{"-c", variables + ` "$@"`, "sh", s.path, "build"}, arguments...), "--parameter-overrides", "Arch="+s.arch)
	cmd := exec.CommandContext(t.Context(), "sh", argv...)
	cmd.Dir, cmd.Env = s.checkout, s.env
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sam build: %v\n%s", err, out)
	}
}

// glibc is the second number of the version of glibc in Amazon Linux 2023: 2.34.
const glibc = 34

// `sam build` without any variable makes programs that run in AWS: if a C compiler is installed, Go
// links them to glibc.
func (s *sam) plainBuild(t *testing.T) {
	folder := t.TempDir()
	s.build(t, "", "InstanceGet", "--build-dir", folder)
	program, err := elf.Open(filepath.Join(folder, "InstanceGet", "bootstrap"))
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	symbols, err := program.ImportedSymbols()
	if err != nil && program.Section(".dynsym") != nil { // a static program has no symbols to import
		t.Fatal(err)
	}
	for _, symbol := range symbols {
		var version int
		if _, err := fmt.Sscanf(symbol.Version, "GLIBC_2.%d", &version); err == nil && version > glibc {
			t.Errorf("%s needs %s; Amazon Linux 2023 has GLIBC_2.%d", symbol.Name, symbol.Version, glibc)
		}
	}
}
