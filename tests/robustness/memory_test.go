package robustness

import (
	"fmt"
	"os"
	"strings"
)

// memory returns an error when a function has needed more memory than it has in Lambda, less what Lambda's own takes. Where the
// system does not tell (it is Linux that does), there is nothing to say.
func (w *env) memory() error {
	const most = 420 << 10 // kB of 512 MB
	for _, f := range w.Template.Functions {
		for _, e := range w.Function(f.Folder).Environments() {
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", e.Process().Pid))
			if err != nil {
				return nil
			}
			_, after, _ := strings.Cut(string(status), "VmHWM:")
			var kilobytes int
			if _, err := fmt.Sscan(after, &kilobytes); err != nil {
				return fmt.Errorf("%s: %w in %s", f.Folder, err, status)
			}
			if kilobytes > most {
				return fmt.Errorf("%s has needed %d MB", f.Folder, kilobytes>>10)
			}
		}
	}
	return nil
}
