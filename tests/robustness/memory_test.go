package robustness

import (
	"fmt"
	"os"
	"strings"
)

// checkMemory returns an error if a function has used more than 420 of its 512 MB. It checks
// nothing on systems that do not report memory as Linux does.
func (e *env) checkMemory() error {
	const limit = 420 << 10 // kB, of 512 MB
	for _, f := range e.Template.Functions {
		for _, process := range e.Function(f.Folder).Environments() {
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", process.Process().Pid))
			if err != nil {
				return nil
			}
			_, after, _ := strings.Cut(string(status), "VmHWM:")
			var kilobytes int
			if _, err := fmt.Sscan(after, &kilobytes); err != nil {
				return fmt.Errorf("%s: %w in %s", f.Folder, err, status)
			}
			if kilobytes > limit {
				return fmt.Errorf("%s has used %d MB", f.Folder, kilobytes>>10)
			}
		}
	}
	return nil
}
