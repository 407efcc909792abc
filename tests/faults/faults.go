// Package faults injects AWS faults into tests. Its middleware for the SDK's clients fails, delays,
// duplicates or cuts off the n-th call, before or after its effect. Its driver applies every mode
// to every call of a scenario. It works for every service, because it does not depend on the
// content of a call. Proxy does the same to deployed binaries.
//
//	in := faults.New()
//	options.APIOptions = append(options.APIOptions, in.Install)
//	client := dynamodb.New(options)
//	faults.Each(t, in, faults.Modes, func(t *testing.T) { … })
//
// It is for tests only.
package faults

import (
	"context"
	"fmt"
	"io"
	"reflect"
	"slices"
	"sync"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Mode is the fault of a call.
type Mode int

// The modes.
const (
	None        Mode = iota
	Rejected         // the call fails and has no effect
	Throttled        // AWS throttles every attempt of the call, so it has no effect
	Lost             // the call has its effect, and fails
	Resent           // the call has its effect, its response is lost on the wire, and the SDK sends it again
	Doubled          // the call arrives twice, and the response is that of the second
	Late             // the call fails, and has its effect later, at Release
	SlowBefore       // During runs before the effect
	SlowAfter        // During runs after the effect and before the response
	CrashBefore      // the process ends before the effect
	CrashAfter       // the process ends after the effect and before the response
)

// Modes are all modes.
var Modes = []Mode{Rejected, Throttled, Lost, Resent, Doubled, Late, SlowBefore, SlowAfter, CrashBefore, CrashAfter}

func (m Mode) String() string {
	return [...]string{"none", "rejected", "throttled", "lost", "resent", "doubled", "late", "slow before", "slow after", "crash before", "crash after"}[m]
}

// Error is the error of a call with a fault.
type Error struct {
	Mode      Mode
	Operation string
}

func (e *Error) Error() string { return "fault: " + e.Operation + " " + e.Mode.String() }

// RetryableError reports whether sending the call again can help.
func (e *Error) RetryableError() bool { return e.Mode == Resent || e.Mode == Throttled }

// Injector injects faults into the calls of one process. Use New to create one. It is safe for
// concurrent use.
type Injector struct {
	// During runs while a call is slow; it may be nil. It must not use clients of this injector.
	During func()

	mu      sync.Mutex
	choose  func(call int) Mode
	calls   []string // operations since the last Arm
	fired   []string // what happened since then, such as "3 PutItem lost"
	crashed bool
	starts  int // of the process, by Arm and Restart
	late    []func()

	throttled int // responses of Proxy that throttle
}

// New returns an injector that does nothing until it is armed.
func New() *Injector { return &Injector{choose: never} }

func never(int) Mode { return None }

// Install adds the injector to a client, as one of its APIOptions.
func (in *Injector) Install(stack *middleware.Stack) error {
	// In the innermost handler of this step the call has its name and its idempotency token, but
	// is not sent yet.
	if err := stack.Initialize.Add(&whole{in}, middleware.After); err != nil {
		return err
	}
	return stack.Finalize.Insert(attempt{}, "Retry", middleware.After)
}

// Arm restarts the count of calls at 1 and applies the mode that choose returns to each call.
func (in *Injector) Arm(choose func(call int) Mode) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.choose, in.calls, in.fired, in.crashed = choose, nil, nil, false
	in.starts++
}

// ArmOne applies a mode to one call only.
func (in *Injector) ArmOne(call int, mode Mode) {
	in.Arm(func(n int) Mode {
		if n == call {
			return mode
		}
		return None
	})
}

// Disarm stops the faults.
func (in *Injector) Disarm() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.choose = never
}

// Calls returns the operations called since the last Arm.
func (in *Injector) Calls() []string {
	in.mu.Lock()
	defer in.mu.Unlock()
	return slices.Clone(in.calls)
}

// Fired returns the faults since the last Arm, such as "3 PutItem lost".
func (in *Injector) Fired() []string {
	in.mu.Lock()
	defer in.mu.Unlock()
	return slices.Clone(in.fired)
}

// Crashed reports whether the process has ended. Its code may still run, but its calls have no
// effect until Restart, and the test must ignore its results.
func (in *Injector) Crashed() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.crashed
}

// Restart starts the process again if it has ended.
func (in *Injector) Restart() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.crashed = false
	in.starts++
}

// Release gives the late calls their effect, in the order in which they were made.
func (in *Injector) Release() {
	in.mu.Lock()
	late := in.late
	in.late = nil
	in.mu.Unlock()
	for _, call := range late {
		call()
	}
}

// next records a call, and returns its mode and the start of the process that makes it.
func (in *Injector) next(operation string) (mode Mode, start int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.crashed {
		return CrashBefore, in.starts
	}
	in.calls = append(in.calls, operation)
	mode = in.choose(len(in.calls))
	if mode != None {
		in.fired = append(in.fired, fmt.Sprint(len(in.calls), " ", operation, " ", mode))
	}
	if mode == CrashBefore {
		in.crashed = true
	}
	return mode, in.starts
}

// crash ends the process of a call, unless the process has been started again since. A call of
// another process, such as one that a schedule starts, can last longer than the scenario.
func (in *Injector) crash(start int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if start == in.starts {
		in.crashed = true
	}
}

func (in *Injector) during() {
	if in.During != nil {
		in.During()
	}
}

// whole wraps a call with all its attempts.
type whole struct{ in *Injector }

func (*whole) ID() string { return "FaultsWhole" }

func (m *whole) HandleInitialize(ctx context.Context, input middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
	operation := awsmiddleware.GetOperationName(ctx)
	mode, start := m.in.next(operation)
	fault := &Error{mode, operation}
	var none middleware.InitializeOutput
	switch mode {
	case Rejected, CrashBefore:
		return none, middleware.Metadata{}, fault
	case Throttled:
		return none, middleware.Metadata{}, fmt.Errorf("%w: %w", fault, &smithy.GenericAPIError{Code: "ThrottlingException", Message: "slow down"})
	case Late:
		later := context.WithoutCancel(ctx)
		m.in.mu.Lock()
		m.in.late = append(m.in.late, func() {
			out, _, _ := next.HandleInitialize(later, input) // the caller has already got the error
			discard(out.Result)
		})
		m.in.mu.Unlock()
		return none, middleware.Metadata{}, fault
	case SlowBefore:
		m.in.during()
	case Resent, Doubled:
		ctx = middleware.WithStackValue(ctx, onWire{}, &wireFault{fault: fault})
	}
	out, metadata, err := next.HandleInitialize(ctx, input)
	switch mode {
	case Lost:
		discard(out.Result)
		return none, metadata, fault
	case CrashAfter:
		m.in.crash(start)
		discard(out.Result)
		return none, metadata, fault
	case SlowAfter:
		m.in.during()
	}
	return out, metadata, err
}

// onWire is the context key of a call's wireFault.
type onWire struct{}

// wireFault is the fault of a call's first attempt.
type wireFault struct {
	fault *Error
	done  bool // attempts are sequential
}

// attempt wraps each attempt of the SDK to send a call.
type attempt struct{}

func (attempt) ID() string { return "FaultsAttempt" }

func (attempt) HandleFinalize(ctx context.Context, input middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
	wire, _ := middleware.GetStackValue(ctx, onWire{}).(*wireFault)
	if wire == nil || wire.done {
		return next.HandleFinalize(ctx, input)
	}
	wire.done = true
	request, ok := input.Request.(*smithyhttp.Request)
	if !ok {
		return middleware.FinalizeOutput{}, middleware.Metadata{}, fmt.Errorf("faults: a request of type %T", input.Request)
	}
	again := request.Clone()
	out, metadata, err := next.HandleFinalize(ctx, input)
	if wire.fault.Mode == Resent {
		discard(out.Result)
		return middleware.FinalizeOutput{}, metadata, wire.fault
	}
	if err != nil {
		return out, metadata, err
	}
	discard(out.Result)
	if err := again.RewindStream(); err != nil {
		return out, metadata, fmt.Errorf("faults: sending twice: %w", err)
	}
	input.Request = again
	return next.HandleFinalize(ctx, input)
}

// discard closes the stream of an unused result.
func discard(result any) {
	v := reflect.ValueOf(result)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return
	}
	body := v.Elem().FieldByName("Body")
	if !body.IsValid() || !body.CanInterface() {
		return
	}
	if closer, ok := body.Interface().(io.Closer); ok && closer != nil {
		_ = closer.Close()
	}
}
