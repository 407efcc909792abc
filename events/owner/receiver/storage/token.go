package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// TokenSource returns a token. rejected is a token that the API has just rejected, or "". A source
// returns the rejected token again if it has no other.
type TokenSource func(ctx context.Context, rejected string) (string, error)

// Token returns a source with one token.
func Token(token string) TokenSource {
	return func(context.Context, string) (string, error) { return token, nil }
}

// TokenFile returns a source that reads the file for each request, so that another process can
// replace the token before it expires.
func TokenFile(path string) TokenSource {
	return func(context.Context, string) (string, error) {
		content, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		return oneToken("the token file must contain", content)
	}
}

// TokenCommand returns a source that runs a shell command for the first token, and again if the API
// has rejected the latest token.
func TokenCommand(command string) TokenSource {
	var mu sync.Mutex
	var latest string
	return func(ctx context.Context, rejected string) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if latest != rejected { // also if another request has renewed the token
			return latest, nil
		}
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, "sh", "-c", command)
		cmd.WaitDelay = time.Second
		var out, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &stderr
		if err := cmd.Run(); err != nil {
			return "", fmt.Errorf("the token command failed (%w): %s", err, strings.TrimSpace(stderr.String()))
		}
		token, err := oneToken("the token command must print", out.Bytes())
		if err == nil {
			latest = token
		}
		return token, err
	}
}

func oneToken(source string, content []byte) (string, error) {
	token := strings.TrimSpace(string(content))
	if token == "" || strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return "", errors.New(source + " exactly one token")
	}
	return token, nil
}
