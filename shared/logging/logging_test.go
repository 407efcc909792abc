package logging

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
)

func TestLoggerRedactsEveryKindOfAttribute(t *testing.T) {
	var out bytes.Buffer
	log := New(&out, slog.LevelInfo)
	presigned, _ := url.Parse("https://b/k?X-Amz-Signature=hush")
	log.With("with", "12247918309").WithGroup("g").Info("for 12247918309",
		"text", "12247918309", "error", errors.New("no 12247918309"), "url", presigned,
		"map", map[string]string{"ssn": "12247918309"}, "list", []string{"12247918309"},
		"func", struct{ F func() }{}, // not encodable in JSON
		slog.Group("inner", "text", "12247918309"))
	if got := out.String(); strings.Contains(got, "12247918309") || strings.Contains(got, "hush") {
		t.Errorf("the log contains a secret: %s", got)
	}
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	if line["message"] != "for "+redacted || line["with"] != redacted {
		t.Errorf("line = %v", line)
	}
}

func TestLoggerKeepsOtherValues(t *testing.T) {
	var out bytes.Buffer
	ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "8476a536-e9f4-11e8-9739-2dfe598c3fcd"})
	at := time.Date(2026, 11, 20, 10, 11, 12, 123456789, time.UTC)
	New(&out, slog.LevelInfo).WarnContext(ctx, "done", "status", 201, "at", at, "took", 1500*time.Millisecond,
		"ids", []int{1, 2}, "nanoseconds", int64(123456789))
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{
		"level": "WARN", "message": "done", "status": 201.0, "at": "2026-11-20T10:11:12.123456789Z", "took": 1.5e9,
		"requestId": "8476a536-e9f4-11e8-9739-2dfe598c3fcd", "nanoseconds": 123456789.0,
	} {
		if line[key] != want {
			t.Errorf("%s = %v, want %v", key, line[key], want)
		}
	}
	if _, err := time.Parse(time.RFC3339Nano, line["timestamp"].(string)); err != nil {
		t.Error(err)
	}
	if ids, ok := line["ids"].([]any); !ok || len(ids) != 2 {
		t.Errorf("ids = %v", line["ids"])
	}
}

func TestLevel(t *testing.T) {
	for name, want := range map[string]slog.Level{
		"": slog.LevelInfo, "INFO": slog.LevelInfo, "DEBUG": slog.LevelDebug, "TRACE": slog.LevelDebug, "WARN": slog.LevelWarn,
		"ERROR": slog.LevelError, "FATAL": slog.LevelError, "unknown": slog.LevelInfo,
	} {
		if got := Level(name); got != want {
			t.Errorf("%q = %v, want %v", name, got, want)
		}
	}
}
