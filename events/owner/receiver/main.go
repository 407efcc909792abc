// Command receiver is a reference receiver for application owners. It fetches everything that the
// owner's work queue holds for one application: it downloads the content, verifies digests, stores
// the files and confirms them. The feed reports when to read the queue again. It may be killed at
// any moment and restarted. Copy it freely: it uses only the standard library.
//
//	TOKEN_COMMAND='make -s token ORG=nav' go run ./events/owner/receiver -app nav/app -dir inbox
//
// Environment: TOKEN_COMMAND, a shell command that prints a token, run at the start and whenever
// the token has expired; or TOKEN, a token. Neither is a flag because other users of a machine
// can see flags.
//
// Standard output gets one line per instance: its folder, once the instance is complete and
// confirmed. Package inbox documents the folder. Everything else is logged to standard error. The
// last line there is a summary of the run, for example
//
//	summary: instances=12 files=31 bytes=480213 left=1 failed=1
//
// instances, files and bytes are stored and confirmed; left is the number of instances that the
// queue still holds, as far as the command has read it; failed are those of them that could not be
// fetched.
//
// Exit status:
//
//	0  the queue is empty (-once), or Ctrl-C or TERM stopped the command
//	1  something is left in the queue (-once), or this machine has an error
//	2  a flag is invalid
//	3  the API denies the owner access
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"altinn.no/instanceapi/events/owner/receiver/inbox"
	"altinn.no/instanceapi/events/owner/receiver/receive"
	"altinn.no/instanceapi/events/owner/receiver/storage"
)

// Exit statuses.
const (
	exitOK = iota
	exitFailed
	exitUsage
	exitDenied
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr, hooks{}))
}

// options holds the values of the flags and of the environment.
type options struct {
	base, app, dir      string
	workers             int
	once                bool
	token, tokenCommand string
	reconcile, longPoll time.Duration
}

var appPattern = regexp.MustCompile(`^[a-z][a-z0-9-]*/[a-z][a-z0-9-]*$`)

func readOptions(args []string, getenv func(string) string, stderr io.Writer) (options, error) {
	o := options{token: getenv("TOKEN"), tokenCommand: getenv("TOKEN_COMMAND"), longPoll: 20 * time.Second}
	flags := flag.NewFlagSet("receiver", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.base, "base", "http://localhost:8080", "address of the Storage API, without a path")
	flags.StringVar(&o.app, "app", "", "the application, for example nav/app2018")
	flags.StringVar(&o.dir, "dir", "inbox", "folder in which the files are stored")
	flags.BoolVar(&o.once, "once", false, "fetch everything that the work queue holds, then exit")
	flags.IntVar(&o.workers, "workers", 4, "number of instances to fetch in parallel")
	flags.DurationVar(&o.reconcile, "reconcile", 10*time.Minute, "how often to read the work queue while the feed has no event")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.base = strings.TrimRight(o.base, "/")
	base, err := url.Parse(o.base)
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case err != nil || base.Host == "" || base.Path != "" || base.User != nil:
		return o, errors.New("-base must be an address without a path, for example https://platform.altinn.no")
	case !appPattern.MatchString(o.app):
		return o, errors.New("-app must name the application, for example nav/app2018")
	case o.token == "" && o.tokenCommand == "":
		return o, errors.New("set TOKEN_COMMAND to a command that prints a token of the owner, or TOKEN to a token")
	}
	return o, nil
}

// hooks let a test observe the command and replace its waits.
type hooks struct {
	step  func(what string)                          // called before each step and after each response
	sleep func(ctx context.Context, d time.Duration) // replaces real waiting
}

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer, test hooks) int {
	logf := log.New(stderr, "", log.Ldate|log.Ltime|log.Lmsgprefix).Printf
	o, err := readOptions(args, getenv, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		fmt.Fprintln(stderr, "receiver:", err)
		return exitUsage
	}
	box, err := inbox.Open(o.dir, o.app)
	if err != nil {
		logf("%v", err)
		return exitFailed
	}
	defer box.Close()
	box.Step = test.step
	var printing sync.Mutex
	receiver := &receive.Receiver{
		API: &storage.Client{
			Base: o.base, Token: storage.TokenFrom(o.tokenCommand, o.token), HTTP: transport(test.step), Logf: logf, Sleep: test.sleep,
		},
		Inbox: box, App: o.app, Workers: o.workers, Logf: logf, Reconcile: o.reconcile, Wait: o.longPoll,
		Done: func(folder string) {
			printing.Lock()
			defer printing.Unlock()
			fmt.Fprintln(stdout, folder)
		},
	}
	if o.once {
		err = receiver.Drain(ctx)
	} else {
		logf("following %s; Ctrl-C stops", o.app)
		err = receiver.Follow(ctx)
	}
	defer func() {
		s := receiver.Summary()
		logf("summary: instances=%d files=%d bytes=%d left=%d failed=%d", s.Instances, s.Files, s.Bytes, s.Left, s.Failed)
	}()
	switch {
	case err == nil, errors.Is(err, context.Canceled) && ctx.Err() != nil && !o.once:
		return exitOK
	case storage.IsStatus(err, 401, 403), errors.Is(err, storage.ErrToken):
		logf("access denied: %v", err)
		return exitDenied
	}
	logf("%v", err)
	return exitFailed
}

// transport returns the standard library's transport without compression: digests are computed
// over the content as sent.
func transport(step func(what string)) http.RoundTripper {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableCompression = true
	if step == nil {
		return transport
	}
	return stepped{transport, step}
}

// stepped reports every request to a test, before it is sent and after its response has begun.
type stepped struct {
	next http.RoundTripper
	step func(what string)
}

func (s stepped) RoundTrip(req *http.Request) (*http.Response, error) {
	s.step("send " + req.Method + " " + req.URL.Path)
	resp, err := s.next.RoundTrip(req)
	s.step("got " + req.Method + " " + req.URL.Path)
	return resp, err
}
