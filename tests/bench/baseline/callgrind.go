package baseline

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// errNoValgrind reports that instructions cannot be counted on this system.
var errNoValgrind = errors.New("valgrind is not installed")

// callgrind returns the command line that counts instructions. Go programs need asyncpreemptoff
// under valgrind, and GOMAXPROCS=1 makes the counts reproducible.
func callgrind(out string, more ...string) ([]string, error) {
	valgrind, err := exec.LookPath("valgrind")
	if err != nil {
		return nil, errNoValgrind
	}
	return append([]string{valgrind, "-q", "--tool=callgrind", "--callgrind-out-file=" + out}, more...), nil
}

var singleThread = []string{"GODEBUG=asyncpreemptoff=1", "GOMAXPROCS=1"}

// part is a section of callgrind's counts.
type part struct {
	until        string // the function before which the part ends, or the end of the program
	instructions int64
}

var partNumber = regexp.MustCompile(`\.(\d+)$`)

// parts reads callgrind's files, in order: the numbered ones, then the one without a number.
func parts(out string) ([]part, error) {
	files, err := filepath.Glob(out + "*")
	if err != nil {
		return nil, err
	}
	number := func(file string) int {
		if m := partNumber.FindStringSubmatch(file); m != nil {
			n, _ := strconv.Atoi(m[1])
			return n
		}
		return 1 << 30
	}
	slices.SortFunc(files, func(a, b string) int { return number(a) - number(b) })
	var all []part
	for _, file := range files {
		p, err := readPart(file)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	if len(all) == 0 {
		return nil, errors.New("callgrind wrote no file")
	}
	return all, nil
}

func readPart(name string) (p part, err error) {
	file, err := os.Open(name)
	if err != nil {
		return p, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if trigger, ok := strings.CutPrefix(lines.Text(), "desc: Trigger: "); ok {
			p.until = trigger
		}
		if total, ok := strings.CutPrefix(lines.Text(), "totals: "); ok {
			if p.instructions, err = strconv.ParseInt(total, 10, 64); err != nil {
				return p, err
			}
		}
	}
	return p, lines.Err()
}
