// Package faults provides trouble with AWS for tests: a middleware for the SDK's clients that fails, delays, duplicates or
// cuts off the n-th call, before or after it has had its effect, and a driver that does this to every call of a scenario in
// every way. It works for any service, as it knows nothing of what a call says.
//
//	in := faults.New()
//	client := dynamodb.New(dynamodb.Options{APIOptions: []func(*middleware.Stack) error{in.Install}, …})
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
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Mode is what happens to a call.
type Mode int

// The modes.
const (
	None        Mode = iota
	Rejected         // it fails and has no effect
	Lost             // it has its effect, and fails
	Resent           // it has its effect, its answer is lost on the wire, and the SDK sends it again
	Doubled          // it arrives twice, and the answer is that to the second
	Late             // it fails, and has its effect later, at Release
	SlowBefore       // others go on (Meanwhile) before it has its effect
	SlowAfter        // others go on (Meanwhile) after its effect and before its answer
	CrashBefore      // the process ends before the effect
	CrashAfter       // the process ends after the effect and before the answer
)

// Modes is all of them.
var Modes = []Mode{Rejected, Lost, Resent, Doubled, Late, SlowBefore, SlowAfter, CrashBefore, CrashAfter}

func (m Mode) String() string {
	return [...]string{"none", "rejected", "lost", "resent", "doubled", "late", "slow before", "slow after", "crash before", "crash after"}[m]
}

// Error is what a call returns to which something happened.
type Error struct {
	Mode      Mode
	Operation string
}

func (e *Error) Error() string { return "fault: " + e.Operation + " " + e.Mode.String() }

// RetryableError tells the SDK's retryer whether to send the call again.
func (e *Error) RetryableError() bool { return e.Mode == Resent }

// Injector is what the calls of one process go through. Its zero value is not ready; use New. It is safe for concurrent
// use.
type Injector struct {
	// Meanwhile is what others do while a call is slow; nil for nothing. It must not use clients of this injector.
	Meanwhile func()

	mu      sync.Mutex
	choose  func(call int) Mode
	calls   []string // operations since the last Arm
	fired   []string // what happened since then, such as "3 PutItem lost"
	crashed bool
	late    []func()
}

// New returns an injector that does nothing until it is armed.
func New() *Injector { return &Injector{choose: never} }

func never(int) Mode { return None }

// Install puts the injector into the calls of a client; it is for the client's APIOptions.
func (in *Injector) Install(stack *middleware.Stack) error {
	// Innermost of this step: the call has its name and its idempotency token, and has not been sent.
	if err := stack.Initialize.Add(&whole{in}, middleware.After); err != nil {
		return err
	}
	return stack.Finalize.Insert(attempt{}, "Retry", middleware.After)
}

// Arm counts calls from 1 anew and does to each what choose says.
func (in *Injector) Arm(choose func(call int) Mode) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.choose, in.calls, in.fired, in.crashed = choose, nil, nil, false
}

// ArmOne is Arm for one call alone.
func (in *Injector) ArmOne(call int, mode Mode) {
	in.Arm(func(n int) Mode {
		if n == call {
			return mode
		}
		return None
	})
}

// Disarm lets all calls through from now on.
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

// Fired returns what has happened to calls since the last Arm, such as "3 PutItem lost".
func (in *Injector) Fired() []string {
	in.mu.Lock()
	defer in.mu.Unlock()
	return slices.Clone(in.fired)
}

// Crashed reports whether the process has ended. Whatever its code still does or returns happens no more: the test must
// ignore it. Calls have no effect until Restart.
func (in *Injector) Crashed() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.crashed
}

// Restart starts the process again, if it has ended.
func (in *Injector) Restart() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.crashed = false
}

// Release lets the late calls have their effect, in the order in which they were made.
func (in *Injector) Release() {
	in.mu.Lock()
	late := in.late
	in.late = nil
	in.mu.Unlock()
	for _, call := range late {
		call()
	}
}

// next notes a call and returns what is to happen to it.
func (in *Injector) next(operation string) Mode {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.crashed {
		return CrashBefore
	}
	in.calls = append(in.calls, operation)
	mode := in.choose(len(in.calls))
	if mode != None {
		in.fired = append(in.fired, fmt.Sprint(len(in.calls), " ", operation, " ", mode))
	}
	if mode == CrashBefore {
		in.crashed = true
	}
	return mode
}

func (in *Injector) crash() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.crashed = true
}

func (in *Injector) meanwhile() {
	if in.Meanwhile != nil {
		in.Meanwhile()
	}
}

// whole is around a call with all its tries: what the caller sees.
type whole struct{ in *Injector }

func (*whole) ID() string { return "FaultsWhole" }

func (m *whole) HandleInitialize(ctx context.Context, input middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
	operation := awsmiddleware.GetOperationName(ctx)
	mode := m.in.next(operation)
	fault := &Error{mode, operation}
	var none middleware.InitializeOutput
	switch mode {
	case Rejected, CrashBefore:
		return none, middleware.Metadata{}, fault
	case Late:
		later := context.WithoutCancel(ctx)
		m.in.mu.Lock()
		m.in.late = append(m.in.late, func() {
			out, _, _ := next.HandleInitialize(later, input) // nobody is there to hear of it
			discard(out.Result)
		})
		m.in.mu.Unlock()
		return none, middleware.Metadata{}, fault
	case SlowBefore:
		m.in.meanwhile()
	case Resent, Doubled:
		ctx = middleware.WithStackValue(ctx, onWire{}, &wireFault{fault: fault})
	}
	out, metadata, err := next.HandleInitialize(ctx, input)
	switch mode {
	case Lost:
		discard(out.Result)
		return none, metadata, fault
	case CrashAfter:
		m.in.crash()
		discard(out.Result)
		return none, metadata, fault
	case SlowAfter:
		m.in.meanwhile()
	}
	return out, metadata, err
}

// onWire is the key in a call's context of the wireFault that it has, if it has one.
type onWire struct{}

// wireFault is what is to happen to the first of a call's attempts.
type wireFault struct {
	fault *Error
	done  bool // attempts are one after the other
}

// attempt is around each time that the SDK sends a call.
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

// discard closes the stream of a result that nobody will read.
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
