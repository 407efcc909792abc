package baseline

import (
	"errors"
	"math"
	"regexp"
	"strconv"
	"testing"

	"altinn.no/instanceapi/shared/buffertest"
	"altinn.no/instanceapi/tests/local/runtime"
)

// bounds prevent unnoticed growth. Each is the value that was measured when the bound was set, plus
// a tenth. Raise a bound in the commit that exceeds it, and state the reason in that commit.
type bounds struct {
	instructions float64 // of the initialisation without warm-up calls, as a ratio to hello
	heap         float64 // kilobytes that package initialisers allocate
	zip          float64 // as a ratio to hello
}

var (
	standard   = bounds{instructions: 3.5, heap: 850, zip: 1.5}
	withS3     = bounds{instructions: 4.25, heap: 990, zip: 1.69}
	publishing = bounds{instructions: 3.05, heap: 700, zip: 1.35}
	withBus    = bounds{instructions: 4.9, heap: 1320, zip: 1.5}
	validating = bounds{instructions: 4.3, heap: 1030, zip: 2.1} // the XML Schema library is a fifth of the zip
)

var boundsOf = map[string]bounds{
	"application-put": validating, "changes-apply": validating, "instance-validate": validating, "workflow-change": validating,
	"blob-sweep": withS3, "data-create": withS3, "data-download": withS3, "data-get": withS3, "data-replace": withS3,
	"instance-create": withS3, "instances-create": withS3, "upload-create": withS3,
	"event-publish": publishing, "outbox-sweep": withBus,
	"subscription-create": withBus, "subscription-replay": withBus, "subscription-update": withBus,
}

// TestFunctionsStayNearBaseline checks figures that are the same in every run, so it checks no
// times. Instructions need valgrind. Without valgrind it checks only the heap of the
// initialisation and the size.
func TestFunctionsStayNearBaseline(t *testing.T) {
	b, err := New(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Stop()
	base, err := b.Init(t.Context(), hello)
	hasValgrind := !errors.Is(err, errNoValgrind)
	if !hasValgrind {
		t.Log("SKIPPED: instructions, because valgrind is not installed. Checked: heap of the initialisation, size of the zip.")
	} else if err != nil {
		t.Fatal(err)
	}
	helloZip, err := zipped(b.binary(hello))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range b.functions() {
		bound, ok := boundsOf[f]
		if !ok {
			bound = standard
		}
		check := func(what string, got, bound float64) {
			if got > bound {
				t.Errorf("%s: %s %.2f, want at most %.2f", f, what, got, bound)
			}
		}
		if hasValgrind {
			least := math.Inf(1)
			for range 4 { // other work on the machine only adds to the instructions
				cost, err := b.Init(t.Context(), f)
				if err != nil {
					t.Fatal(err)
				}
				if least = min(least, float64(cost.Own)/float64(base.Own)); least <= bound.instructions {
					break
				}
			}
			check("instructions of the initialisation / hello's", least, bound.instructions)
		}
		check("kilobytes allocated by package initialisers", float64(b.initHeap(t, f))/1000, bound.heap)
		zip, err := zipped(b.binary(f))
		if err != nil {
			t.Fatal(err)
		}
		check("zip / hello's", float64(zip)/float64(helloZip), bound.zip)
	}
	if hasValgrind {
		t.Run("warm", func(t *testing.T) { checkWarm(t, b) })
	}
}

// checkWarm bounds the instructions of a request to a warm process with a known token.
func checkWarm(t *testing.T, b *Bench) {
	if err := b.store(t.Context(), b.cloud.plain); err != nil {
		t.Fatal(err)
	}
	cost := map[string]float64{}
	for program, route := range map[string]string{hello: instanceRoute, "instance-get": instanceRoute, "data-get": dataRoute} {
		event, err := b.readEvent(route)
		if err != nil {
			t.Fatal(err)
		}
		n, err := b.Warm(t.Context(), program, event)
		if err != nil {
			t.Fatal(err)
		}
		cost[program] = float64(n)
	}
	for program, bound := range map[string]float64{"instance-get": 2.95, "data-get": 4.7} {
		if got := cost[program] / cost[hello]; got > bound {
			t.Errorf("%s: instructions of a warm request / hello's %.2f, want at most %.2f", program, got, bound)
		}
	}
}

var initTrace = regexp.MustCompile(`(?m)^init \S+ @.* (\d+) bytes, \d+ allocs$`)

// initHeap returns the number of bytes that the package initialisers of a program allocate.
func (b *Bench) initHeap(t *testing.T, program string) (sum int) {
	t.Helper()
	var log buffertest.Buffer
	e, err := runtime.StartEnvironment(program, limit, append(b.variables(program), append(b.plain(), "GODEBUG=inittrace=1")...), &log, b.binary(program))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Stop()
	if err := e.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.Stop() // also waits until log has all output of the process
	matches := initTrace.FindAllStringSubmatch(log.String(), -1)
	if len(matches) == 0 {
		t.Fatalf("%s reports no initialiser", program)
	}
	for _, line := range matches {
		n, err := strconv.Atoi(line[1])
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return sum
}
