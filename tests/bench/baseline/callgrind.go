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

// errNoValgrind says that instructions cannot be counted here.
var errNoValgrind = errors.New("there is no valgrind here")

// callgrind is the command line that counts instructions. Go needs asyncpreemptoff under it, and one thread at a time
// makes its figures the same from run to run.
func callgrind(out string, more ...string) ([]string, error) {
	valgrind, err := exec.LookPath("valgrind")
	if err != nil {
		return nil, errNoValgrind
	}
	return append([]string{valgrind, "-q", "--tool=callgrind", "--callgrind-out-file=" + out}, more...), nil
}

var singleThread = []string{"GODEBUG=asyncpreemptoff=1", "GOMAXPROCS=1"}

// part is what callgrind has counted up to a point.
type part struct {
	until        string // the function before which it ends, or the end of the program
	instructions int64
}

var partNumber = regexp.MustCompile(`\.(\d+)$`)

// parts reads callgrind's files, in order: those numbered, then the one that is not.
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
		return nil, errors.New("callgrind has written nothing")
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
