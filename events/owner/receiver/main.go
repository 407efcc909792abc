// Command receiver is the reference receiver for application owners. It fetches every submission in
// the owner's work queue for one application: it downloads the content, verifies digests, stores
// the files and confirms them. Then it follows the feed, which reports when to read the queue
// again. It may be killed at any moment and restarted. It uses only the standard library; README.md
// describes how to copy it.
//
//	TOKEN_FILE=token.txt go run ./events/owner/receiver -app nav/app2018 -dir inbox
//
// Environment: TOKEN_FILE, a file with a token, read for each request; or TOKEN_COMMAND, a shell
// command that prints a token, run at the start and whenever the API rejects the token; or TOKEN, a
// token. The first of them that is set counts. No flag has a token, because other users of a
// machine can see flags.
//
// Standard output gets one line per submission: its folder, once the submission is complete and
// confirmed. Package inbox documents the folder. With -json the lines are JSON, also for each
// failed attempt, and the last line is a summary:
//
//	{"type":"submission","state":"confirmed","instanceOwnerId":"5064120983","instanceGuid":"…",
//	 "submittedDateTime":"…","folder":"…",
//	 "files":[{"dataElementId":"…","file":"….pdf","size":7,"sha256":"…"}]}
//	{"type":"submission","state":"failed","instanceOwnerId":"5064120983","instanceGuid":"…",
//	 "submittedDateTime":"…","error":"…"}
//	{"type":"summary","instances":12,"files":31,"bytes":480213,"left":1,"failed":1,"waiting":0,
//	 "blocked":0}
//
// Everything else is logged to standard error, without file names of clients. The last line there
// is the summary as text:
//
//	summary: instances=12 files=31 bytes=480213 left=1 failed=1 waiting=0 blocked=0
//
// instances, files and bytes are stored and confirmed; left is the number of submissions that the
// queue still holds, as far as the command has read it; failed are those of them that failed;
// waiting are those whose malware scan has been pending for less than an hour, in state "waiting"
// with -json; blocked is the number of data elements of confirmed submissions that the malware scan
// blocks. A submission has these in its member "blocked", by id.
//
// With -listen the command subscribes a webhook to the events, in place of requests to the feed.
// The file next to the folder, such as inbox.webhook.json, has the subscription and its secret.
//
// With -on-complete the command runs a program for every complete submission; see runProgram.
//
// Exit status:
//
//	0  nothing is left in the queue, except submissions that have waited for the malware scan for
//	   less than an hour
//	1  something is left in the queue, or this machine has an error
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
	once, json          bool
	onComplete          string
	listen, endpoint    string
	token               storage.TokenSource
	tokenName           string // the variable that token comes from
	reconcile, longPoll time.Duration
}

var appPattern = regexp.MustCompile(`^[a-z][a-z0-9-]*/[a-z][a-z0-9-]*$`)

func readOptions(args []string, getenv func(string) string, stderr io.Writer) (options, error) {
	o := options{longPoll: 20 * time.Second}
	flags := flag.NewFlagSet("receiver", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.base, "base", "http://localhost:8080", "address of the Storage API, without a path")
	flags.StringVar(&o.app, "app", "", "the application, for example nav/app2018")
	flags.StringVar(&o.dir, "dir", "inbox", "folder in which the submissions are stored")
	flags.BoolVar(&o.once, "once", false, "fetch everything that the work queue holds, then exit")
	flags.BoolVar(&o.json, "json", false, "write one JSON line per submission, and a summary, to standard output")
	flags.StringVar(&o.onComplete, "on-complete", "", "`program` to run for every complete submission, before it is confirmed; gets the folder as argument")
	flags.StringVar(&o.listen, "listen", "", "`address`, for example :8090, on which a webhook replaces the requests to the feed")
	flags.StringVar(&o.endpoint, "endpoint", "", "`URL` of the webhook for the API; default http://localhost with the port of -listen")
	flags.IntVar(&o.workers, "workers", 4, "number of submissions to fetch in parallel")
	flags.DurationVar(&o.reconcile, "reconcile", 10*time.Minute, "how often to read the work queue while the feed has no event")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	for _, source := range []struct {
		name string
		make func(string) storage.TokenSource
	}{{"TOKEN_FILE", storage.TokenFile}, {"TOKEN_COMMAND", storage.TokenCommand}, {"TOKEN", storage.Token}} {
		if value := getenv(source.name); value != "" && o.token == nil {
			o.token, o.tokenName = source.make(value), source.name
		}
	}
	o.base = strings.TrimRight(o.base, "/")
	base, err := url.Parse(o.base)
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" || base.Path != "" || base.RawQuery != "" || base.User != nil:
		return o, errors.New("-base must be an address without a path, for example https://platform.altinn.no")
	case !appPattern.MatchString(o.app):
		return o, errors.New("-app must name the application, for example nav/app2018")
	case o.token == nil:
		return o, errors.New("set TOKEN_FILE to a file with a token of the owner, TOKEN_COMMAND to a command that prints one, or TOKEN to a token")
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
	var onComplete func(context.Context, receive.Submission) error
	if err == nil && o.onComplete != "" {
		onComplete, err = runProgram(o.onComplete, o.app, stderr)
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		fmt.Fprintln(stderr, "receiver:", err)
		return exitUsage
	}
	box, err := inbox.Open(o.dir)
	if err != nil {
		logf("%v", err)
		return exitFailed
	}
	defer box.Close()
	box.Step = test.step
	out := &output{to: stdout, json: o.json}
	receiver := &receive.Receiver{
		API:   &storage.Client{Base: o.base, Token: o.token, HTTP: transport(test.step), Logf: logf, Sleep: test.sleep},
		Inbox: box, App: o.app, Workers: o.workers, Logf: logf, Reconcile: o.reconcile, Wait: o.longPoll,
		OnComplete: onComplete, Report: out.submission,
	}
	if o.listen != "" && !o.once {
		var hook *webhook
		if hook, err = listen(ctx, receiver.API, o.listen, o.endpoint, o.app, subscriptionFile(o.dir)); err == nil {
			receiver.Events = hook.Events
		}
	}
	switch {
	case err != nil:
	case o.once:
		err = receiver.Drain(ctx)
	default:
		logf("following %s; Ctrl-C stops", o.app)
		err = receiver.Follow(ctx)
	}
	status := exitOK
	switch {
	case err == nil:
	case storage.IsStatus(err, 401, 403), errors.Is(err, storage.ErrToken):
		status = exitDenied
		logf("access denied: %v%s", err, explain(err, o))
	default:
		status = exitFailed
		logf("%v%s", err, explain(err, o))
	}
	s := receiver.Summary()
	out.summary(s)
	logf("summary: instances=%d files=%d bytes=%d left=%d failed=%d waiting=%d blocked=%d",
		s.Instances, s.Files, s.Bytes, s.Left, s.Failed, s.Waiting, s.Blocked)
	return status
}

// explain returns what to do about an error that concerns every submission, or "".
func explain(err error, o options) string {
	org, _, _ := strings.Cut(o.app, "/")
	switch {
	case errors.Is(err, storage.ErrToken):
		return fmt.Sprintf("\n%s gives no token. Correct it, then start the receiver again.", o.tokenName)
	case storage.IsStatus(err, 401):
		return fmt.Sprintf("\nThe API at %s does not accept the token from %s. The token may have expired, or belong to another environment. "+
			"Provide a new access token, then start the receiver again.", o.base, o.tokenName)
	case storage.IsStatus(err, 403):
		return fmt.Sprintf("\nThe token is valid, but its rights are not sufficient. It must be a token of the organisation %s, with the scopes "+
			"altinn:serviceowner/instances.read and altinn:serviceowner/instances.write.", org)
	case storage.IsStatus(err, 404):
		return fmt.Sprintf("\nThe application %s is not registered at %s, or the token belongs to another organisation than %s.", o.app, o.base, org)
	case storage.IsStatus(err, 301, 302, 303, 307, 308):
		return "\nThe address in -base redirects to another one. Use that one."
	}
	return ""
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
