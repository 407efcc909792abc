// Command restore copies the items of a restored table into the stack's table.
//
// DynamoDB restores a backup only to a new table, which has no stream, no time to live and no
// indexes of its own settings. The command brings the items back: it copies the items that the
// stack's table lacks, and leaves out those that the system has deleted by design (package rules).
//
//	restore -kind Instances -from TABLE-restored -to TABLE
//	restore -kind Outbox -from TABLE-restored -to TABLE -events EVENTS_TABLE
//	restore -kind Instances -from TABLE-restored -to TABLE -include-deleted \
//	    -events EVENTS_TABLE -outbox OUTBOX_TABLE
//
// The command waits until the restored table is active. It changes no item that the stack's table
// has, so it may be stopped and repeated, also while the system runs. With -state it continues
// where an earlier run stopped. At the end it prints a count for each outcome; the counts add up to
// the items that it read.
//
// Region and credentials come from the variables AWS_REGION, AWS_ACCESS_KEY_ID,
// AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/coldstart/dynamo"
	"altinn.no/instanceapi/tests/restore/copying"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "restore:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string, out io.Writer) error {
	flags := flag.NewFlagSet("restore", flag.ContinueOnError)
	var job copying.Job
	flags.StringVar(&job.Kind, "kind", "", "logical name of the table in template.yaml: "+strings.Join(copying.Kinds(), ", "))
	flags.StringVar(&job.From, "from", "", "name of the restored table")
	flags.StringVar(&job.To, "to", "", "name of the stack's table")
	flags.StringVar(&job.Events, "events", "", "name of the stack's table Events, for -kind Outbox and -include-deleted")
	flags.StringVar(&job.Outbox, "outbox", "", "name of the stack's table Outbox, for -include-deleted")
	flags.BoolVar(&job.IncludeDeleted, "include-deleted", false, "also copy instances that were deleted permanently")
	flags.StringVar(&job.State, "state", "", "file with the progress, which a later run continues")
	flags.IntVar(&job.Segments, "segments", 8, "number of parts of the table that are copied at the same time")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	env := coldstart.Load()
	job.Client = dynamo.Client(env)
	if err := env.Err(); err != nil {
		return fmt.Errorf("%w. Set them with: eval \"$(aws configure export-credentials --format env)\"", err)
	}
	job.Progress = func(counts copying.Counts) { fmt.Fprintf(out, "%s  %s\n", time.Now().Format(time.TimeOnly), counts) }
	counts, err := copying.Run(ctx, job)
	fmt.Fprintln(out, counts)
	return err
}
