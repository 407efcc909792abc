// Command local runs the whole system on a developer's machine: the local AWS with template.yaml
// deployed to it, and both APIs on http://localhost:8080. It is what `make run` starts.
//
//	local run     start everything, register the demo application, run until Ctrl-C
//
// Environment: PORT, the port of the APIs, by default 8080; AWS_PORT, the port of the local AWS,
// by default 4566 if it is free; KEEP, 1 or a folder, keeps the data of tables, bucket and queues
// in .local/keep or in the folder; SCAN, the value of the parameter MalwareScan, by default
// guardduty, where package scanner replaces GuardDuty; CONTAINERS, 1 or an address, opens the
// local AWS for functions in containers (package containers). Every process that the command
// starts ends with the command, even if the command is killed.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"altinn.no/instanceapi/tests/local/containers"
	"altinn.no/instanceapi/tests/local/stack"
	"altinn.no/instanceapi/tests/local/workspace"
)

// usualAWSPort is the port that tools for local AWS expect.
const usualAWSPort = "4566"

func main() {
	if len(os.Args) != 2 || os.Args[1] != "run" {
		fmt.Fprintln(os.Stderr, "usage: local run")
		os.Exit(2)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer cancel()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "run:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	began := time.Now()
	root, err := workspace.Root()
	if err != nil {
		return err
	}
	options := stack.Options{Port: os.Getenv("PORT"), AWSPort: os.Getenv("AWS_PORT"), Keep: os.Getenv("KEEP"), Progress: os.Stdout}
	scan := cmp.Or(os.Getenv("SCAN"), "guardduty")
	if !slices.Contains([]string{"off", "observe", "guardduty"}, scan) {
		return fmt.Errorf("SCAN is %q: set it to off, observe or guardduty", scan)
	}
	options.Parameters = map[string]string{"MalwareScan": scan}
	switch options.Keep {
	case "0":
		options.Keep = ""
	case "1":
		options.Keep = filepath.Join(".local", "keep")
	}
	if options.Port == "" {
		options.Port = "8080"
	}
	if options.AWSPort == "" && free(usualAWSPort) {
		options.AWSPort = usualAWSPort
	}
	s, err := stack.Start(ctx, options)
	if err != nil {
		return interrupted(ctx, err)
	}
	defer s.Stop()
	fmt.Println("registering", demoID)
	if err := registerDemo(ctx, s); err != nil {
		return interrupted(ctx, err)
	}
	runFile := workspace.Local(root, "run", options.Port+".json")
	if err := writeRunFile(runFile, s); err != nil {
		return err
	}
	defer os.Remove(runFile)
	printReady(os.Stdout, s, time.Since(began), options.Keep, scan)
	if address := os.Getenv("CONTAINERS"); address != "" {
		forwarder, err := containers.Open(root, s, address, containers.SamURL)
		if err != nil {
			return err
		}
		defer forwarder.Close()
		printContainers(os.Stdout, forwarder.AWSEndpoint)
	}

	select {
	case <-ctx.Done():
		return end(s, options.Keep)
	case <-s.Exited():
		return fmt.Errorf("the local AWS exited; its log is %s", filepath.Join(s.LogDir, "aws-*.log"))
	}
}

// end saves the data if it is kept, and prints what happened to it.
func end(s *stack.Stack, keep string) error {
	fmt.Println("\nstopping")
	if keep == "" {
		fmt.Println("The data is deleted. To keep it the next time: make run KEEP=1")
		return nil
	}
	kept, err := s.Save()
	if err != nil {
		return err
	}
	fmt.Println(kept + ". The next `make run` with the same KEEP continues with it.")
	return nil
}

// interrupted returns nil if Ctrl-C was pressed during the start, and err otherwise.
func interrupted(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil
	}
	return err
}

func free(port string) bool {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return false
	}
	return l.Close() == nil
}
