package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"altinn.no/instanceapi/events/owner/receiver/receive"
)

// runProgram returns a function that runs the program of -on-complete for a submission. The program
// is a path or a name on PATH, or else words separated by spaces, of which the first is the
// program. No shell interprets them.
//
// The program gets the absolute path of the submission's folder as its last argument, and these
// variables: RECEIVER_APP, RECEIVER_INSTANCE_OWNER_ID, RECEIVER_INSTANCE_GUID, RECEIVER_SUBMITTED
// (a time), RECEIVER_FOLDER and RECEIVER_BLOCKED (the number of data elements without a file,
// because the malware scan blocks them). Its output is written to stderr. It may move the folder.
//
// If the program fails, the submission stays unconfirmed and is processed again: with -once in the
// next run, otherwise after -reconcile. If the receiver is killed before the confirmation, the
// program runs again for the same submission, so it must recognise repeats: the name of the folder
// is the same. If the malware scan releases content before the confirmation, the program runs again
// for another folder.
func runProgram(program, app string, stderr io.Writer) (func(context.Context, receive.Submission) error, error) {
	words := []string{program}
	if _, err := exec.LookPath(program); err != nil && strings.TrimSpace(program) != "" {
		words = strings.Fields(program)
	}
	if _, err := exec.LookPath(words[0]); err != nil {
		return nil, fmt.Errorf("-on-complete: %w", err)
	}
	return func(ctx context.Context, s receive.Submission) error {
		cmd := exec.CommandContext(ctx, words[0], append(words[1:len(words):len(words)], s.Folder)...)
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		cmd.WaitDelay = 10 * time.Second
		cmd.Stdout, cmd.Stderr = stderr, stderr
		cmd.Env = append(slices.DeleteFunc(os.Environ(), func(variable string) bool {
			return strings.HasPrefix(variable, "TOKEN=") // the program needs no token
		}),
			"RECEIVER_APP="+app,
			"RECEIVER_INSTANCE_OWNER_ID="+s.InstanceOwnerID,
			"RECEIVER_INSTANCE_GUID="+s.InstanceGuid,
			"RECEIVER_SUBMITTED="+s.Submitted,
			"RECEIVER_FOLDER="+s.Folder,
			"RECEIVER_BLOCKED="+strconv.Itoa(len(s.Blocked)),
		)
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("the program of -on-complete failed: %w", err)
		}
		return nil
	}, nil
}
