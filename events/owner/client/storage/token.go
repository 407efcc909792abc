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

// TokenFrom returns a source of tokens: what the shell command prints, or always the one given when there is no command.
func TokenFrom(command, token string) func(ctx context.Context) (string, error) {
	if command == "" {
		return func(context.Context) (string, error) { return token, nil }
	}
	return func(ctx context.Context) (string, error) {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, "sh", "-c", command)
		var out, trouble bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &trouble
		if err := cmd.Run(); err != nil {
			return "", fmt.Errorf("the token command failed (%w): %s", err, strings.TrimSpace(trouble.String()))
		}
		fresh := strings.TrimSpace(out.String())
		if fresh == "" || strings.ContainsAny(fresh, " \r\n") {
			return "", errors.New("the token command printed something else than one token")
		}
		return fresh, nil
	}
}
