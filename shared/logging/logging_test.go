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

func TestRedact(t *testing.T) {
	const jwt = "eyJhbGciOiJSUzI1NiJ9.eyJwaWQiOiIxMjM0NSJ9.c2lnbmF0dXJl_-x"
	for _, tt := range []struct{ in, want string }{
		{"", ""},
		{"nothing of note", "nothing of note"},
		{"12247918309", redacted},
		{"ssn 12247918309 not found", "ssn " + redacted + " not found"},
		{`{"ssn":"12247918309","organizationNumber":"123456789"}`, `{"ssn":"` + redacted + `","organizationNumber":"` + redacted + `"}`},
		{"ssn=12247918309&org=987654321", "ssn=" + redacted + "&org=" + redacted},
		{"122479 18309", redacted},
		{"a:12247918309,b", "a:" + redacted + ",b"},
		{"0192:123456789.", "0192:" + redacted + "."},
		{`line\n12247918309`, `line\n` + redacted},
		{"pid%3D12247918309", "pid%3D" + redacted},
		{"æ12247918309ø", "æ" + redacted + "ø"},
		{"1224791830", "1224791830"},       // 10 digits: seconds since 1970
		{"1764590400123", "1764590400123"}, // 13: milliseconds
		{"2026-11-20T10:11:12.123456789Z", "2026-11-20T10:11:12.123456789Z"},
		{"0192f3a4-1234-7123-8123-123456789012", "0192f3a4-1234-7123-8123-123456789012"},
		{"12345678-1234-1234-1234-123456789012", "12345678-1234-1234-1234-123456789012"},
		{"1-67891233-123456789abcdef012345678", "1-67891233-123456789abcdef012345678"},
		{"9f86d081884c7d659a2feaa0c55ad015", "9f86d081884c7d659a2feaa0c55ad015"},
		{"id_a123456789", "id_a123456789"},
		{"50001 bytes 123456", "50001 bytes 123456"},
		{"Authorization: Bearer abcdefghij.klm-_~+/=", "Authorization: Bearer " + redacted},
		{"token " + jwt + " refused", "token " + redacted + " refused"},
		{"bearer " + jwt, "bearer " + redacted},
		{"https://b.s3.amazonaws.com/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA/20261120/x&X-Amz-Signature=abcdef&X-Amz-Security-Token=tok",
			"https://b.s3.amazonaws.com/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" + redacted + "&X-Amz-Signature=" + redacted + "&X-Amz-Security-Token=" + redacted},
		{"GET /k?x-amz-signature=abc HTTP", "GET /k?x-amz-signature=" + redacted + " HTTP"},
		{"the bearer of news", "the bearer of news"},
	} {
		if got := Redact(tt.in); got != tt.want {
			t.Errorf("Redact(%q)\n got %q\nwant %q", tt.in, got, tt.want)
		}
	}
}

func TestLoggerRedactsEveryKindOfAttribute(t *testing.T) {
	var out bytes.Buffer
	log := New(&out, slog.LevelInfo)
	presigned, _ := url.Parse("https://b/k?X-Amz-Signature=hush")
	log.With("with", "12247918309").WithGroup("g").Info("for 12247918309",
		"text", "12247918309", "error", errors.New("no 12247918309"), "url", presigned,
		"map", map[string]string{"ssn": "12247918309"}, "list", []string{"12247918309"},
		"func", struct{ F func() }{}, // not JSON at all
		slog.Group("inner", "text", "12247918309"))
	if got := out.String(); strings.Contains(got, "12247918309") || strings.Contains(got, "hush") {
		t.Errorf("leaked: %s", got)
	}
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	if line["message"] != "for "+redacted || line["with"] != redacted {
		t.Errorf("line = %v", line)
	}
}

func TestLoggerKeepsWhatIsHarmless(t *testing.T) {
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

func TestLogLevel(t *testing.T) {
	for name, want := range map[string]slog.Level{
		"": slog.LevelInfo, "INFO": slog.LevelInfo, "DEBUG": slog.LevelDebug, "TRACE": slog.LevelDebug, "WARN": slog.LevelWarn,
		"ERROR": slog.LevelError, "FATAL": slog.LevelError, "nonsense": slog.LevelInfo,
	} {
		if got := Level(name); got != want {
			t.Errorf("%q = %v, want %v", name, got, want)
		}
	}
}

func FuzzRedact(f *testing.F) {
	f.Add("ssn 12247918309", "Bearer abcdefghijk")
	f.Add("2026-11-20T10:11:12.123456789Z", "122479 18309")
	f.Fuzz(func(t *testing.T, before, after string) {
		got := Redact(before + " 12247918309 " + after)
		if strings.Contains(got, " 12247918309 ") {
			t.Errorf("kept in %q", got)
		}
		if again := Redact(got); again != got {
			t.Errorf("not stable: %q then %q", got, again)
		}
	})
}
