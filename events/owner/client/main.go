// Command owner receives what is submitted through one application, as its owner's own system would: it fetches what is
// unconfirmed, follows the feed, downloads, checks digests, keeps the files, and confirms them. It may be killed at any
// moment and started again. It is meant to be read and copied: the standard library is all it needs.
//
//	TOKEN_COMMAND='make -s token ORG=nav' go run ./events/owner/client -app nav/app2018 -dir inbox
//
// Environment: TOKEN_COMMAND, a shell command that prints a token, run at the start and whenever one has expired; or TOKEN,
// a token. Neither is a flag, since other users of a machine see those.
//
// Standard output gets the folder of an instance when it is complete and confirmed, a line each; package inbox says what is
// in it. Everything else is told on standard error. Exit status: 0 when all was fetched (-once) or it was told to stop
// by Ctrl-C or TERM; 1 when something is left, or wrong with this machine; 2 for flags that make no sense; 3 when the API
// does not let the owner in.
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
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"altinn.no/instanceapi/events/owner/client/inbox"
	"altinn.no/instanceapi/events/owner/client/receive"
	"altinn.no/instanceapi/events/owner/client/storage"
)

// Exit statuses.
const (
	exitOK = iota
	exitFailed
	exitUsage
	exitRefused
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr, seams{}))
}

// options is what the flags and the environment say.
type options struct {
	base, app, dir      string
	steps               []string
	workers             int
	once                bool
	token, tokenCommand string
	reconcile, longPoll time.Duration
}

var appForm = regexp.MustCompile(`^[a-z][a-z0-9-]*/[a-z][a-z0-9-]*$`)

func readOptions(args []string, getenv func(string) string, stderr io.Writer) (options, error) {
	o := options{token: getenv("TOKEN"), tokenCommand: getenv("TOKEN_COMMAND"), longPoll: 20 * time.Second}
	flags := flag.NewFlagSet("owner", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.base, "base", "http://localhost:8080", "address of the Storage API, without a path")
	flags.StringVar(&o.app, "app", "", "the application, as nav/app2018")
	flags.StringVar(&o.dir, "dir", "inbox", "folder for the files")
	flags.BoolVar(&o.once, "once", false, "fetch what there is, and stop")
	flags.IntVar(&o.workers, "workers", 4, "how many instances are fetched at once")
	flags.DurationVar(&o.reconcile, "reconcile", 10*time.Minute, "how often to ask what is unconfirmed, beside following the feed")
	steps := flags.String("steps", "Submit,Archived", "the steps of the workflow in which an instance is submitted")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.base, o.steps = strings.TrimRight(o.base, "/"), strings.Split(strings.ReplaceAll(*steps, " ", ""), ",")
	base, err := url.Parse(o.base)
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("%q is no flag", flags.Arg(0))
	case err != nil || base.Host == "" || base.Path != "" || base.User != nil:
		return o, errors.New("-base is an address as https://platform.altinn.no, without a path")
	case !appForm.MatchString(o.app):
		return o, errors.New("-app names the application, as nav/app2018")
	case slices.Contains(o.steps, ""):
		return o, errors.New("-steps names steps of the workflow, as Submit,Archived")
	case o.token == "" && o.tokenCommand == "":
		return o, errors.New("set TOKEN_COMMAND to a command that prints a token of the owner, or TOKEN to one")
	}
	return o, nil
}

// seams are where a test takes hold of the command.
type seams struct {
	step  func(what string)                          // told what is done next, or has just been answered
	sleep func(ctx context.Context, d time.Duration) // instead of waiting
}

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer, test seams) int {
	say := log.New(stderr, "", log.Ldate|log.Ltime|log.Lmsgprefix).Printf
	o, err := readOptions(args, getenv, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		fmt.Fprintln(stderr, "owner:", err)
		return exitUsage
	}
	box, err := inbox.Open(o.dir, o.app)
	if err != nil {
		say("%v", err)
		return exitFailed
	}
	defer box.Close()
	box.Step = test.step
	var printing sync.Mutex
	receiver := &receive.Receiver{
		API: &storage.Client{
			Base: o.base, Token: storage.TokenFrom(o.tokenCommand, o.token), HTTP: transport(test.step), Say: say, Sleep: test.sleep,
		},
		Inbox: box, App: o.app, Steps: o.steps, Workers: o.workers, Say: say, Reconcile: o.reconcile, Wait: o.longPoll,
		Done: func(folder string) {
			printing.Lock()
			defer printing.Unlock()
			fmt.Fprintln(stdout, folder)
		},
	}
	if o.once {
		err = receiver.Drain(ctx)
	} else {
		say("following %s; Ctrl-C stops", o.app)
		err = receiver.Follow(ctx)
	}
	switch {
	case err == nil, errors.Is(err, context.Canceled) && ctx.Err() != nil && !o.once:
		return exitOK
	case storage.IsStatus(err, 401, 403), errors.Is(err, storage.ErrToken):
		say("not let in: %v", err)
		return exitRefused
	}
	say("%v", err)
	return exitFailed
}

// transport is that of the standard library, without a proxy's or a server's compression: digests are of the bytes as they
// are sent.
func transport(step func(what string)) http.RoundTripper {
	plain := http.DefaultTransport.(*http.Transport).Clone()
	plain.DisableCompression = true
	if step == nil {
		return plain
	}
	return stepped{plain, step}
}

// stepped tells a test of every request, before it is sent and after its answer has begun.
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
