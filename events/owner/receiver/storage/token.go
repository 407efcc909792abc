package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// TokenFrom returns a token source: it runs the shell command and returns its output, or returns
// token when command is empty.
func TokenFrom(command, token string) func(ctx context.Context) (string, error) {
	if command == "" {
		return func(context.Context) (string, error) { return token, nil }
	}
	return func(ctx context.Context) (string, error) {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, "sh", "-c", command)
		var out, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &stderr
		if err := cmd.Run(); err != nil {
			return "", fmt.Errorf("the token command failed (%w): %s", err, strings.TrimSpace(stderr.String()))
		}
		printed := strings.TrimSpace(out.String())
		if printed == "" || strings.ContainsAny(printed, " \r\n") {
			return "", errors.New("the token command must print exactly one token")
		}
		return printed, nil
	}
}
