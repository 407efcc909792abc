package main

import (
	"io"
	"strings"
	"testing"
)

func TestRunWithoutCredentials(t *testing.T) {
	for _, name := range []string{"AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"} {
		t.Setenv(name, "")
	}
	err := run(t.Context(), []string{"-kind", "Events", "-from", "a", "-to", "b"}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "AWS_ACCESS_KEY_ID") || !strings.Contains(err.Error(), "export-credentials") {
		t.Errorf("%v, want the missing variables and the command that sets them", err)
	}
}
