package secret_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/coldstart/secret"
	"altinn.no/instanceapi/shared/fault"
)

const arn = "arn:aws:secretsmanager:eu-north-1:111122223333:secret:key-AbCdEf"

// open returns the secret of a service that responds to every call with the next of the responses,
// and to later calls with the last. It counts the calls.
func open(t *testing.T, responses ...string) (*secret.Secret, *atomic.Int32) {
	t.Helper()
	var calls atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := min(int(calls.Add(1)), len(responses)) - 1
		body, _ := io.ReadAll(r.Body)
		signed := r.Header.Get("Authorization")
		if r.Header.Get("X-Amz-Target") != "secretsmanager.GetSecretValue" || string(body) != `{"SecretId":"`+arn+`"}` ||
			!strings.Contains(signed, "/eu-north-1/secretsmanager/aws4_request") || !strings.Contains(signed, "x-amz-target") {
			t.Errorf("the request is %v %s", r.Header, body)
		}
		if !strings.Contains(responses[n], "SecretString") {
			w.WriteHeader(http.StatusBadRequest)
		}
		_, _ = io.WriteString(w, responses[n])
	}))
	t.Cleanup(server.Close)
	env := coldstart.FromMap(map[string]string{"AWS_ENDPOINT_URL_SECRETSMANAGER": server.URL, "AWS_REGION": "eu-north-1"})
	return secret.Open(env, arn, func(text string) error {
		if len(text) < 4 {
			return errors.New("must have 4 characters or more")
		}
		return nil
	}), &calls
}

// Text reads the secret once.
func TestTextReadsTheSecretOnce(t *testing.T) {
	s, calls := open(t, `{"SecretString":" the key\n"}`)
	for range 3 {
		if got, err := s.Text(t.Context()); got != "the key" || err != nil {
			t.Errorf("Text = %q, %v", got, err)
		}
	}
	if calls.Load() != 1 {
		t.Errorf("%d calls, want 1", calls.Load())
	}
}

// An error of Secrets Manager that would return, or an unusable secret, names the secret and its
// cause and is not retried. No error contains the text of the secret.
func TestTextFailsPermanently(t *testing.T) {
	for _, test := range []struct{ name, response, want string }{
		{"no such secret", `{"__type":"ResourceNotFoundException","Message":"can't find it"}`, "ResourceNotFoundException: can't find it"},
		{"not allowed", `{"__type":"com.amazon#AccessDeniedException","message":"not authorized"}`, "AccessDeniedException: not authorized"},
		{"deleted", `{"__type":"InvalidRequestException","message":"marked for deletion"}`, "marked for deletion"},
		{"too short", `{"SecretString":"odd"}`, "must have 4 characters or more"},
		{"empty", `{"SecretString":"  "}`, "has no text"},
		{"binary", `{"SecretBinary":"AAAA","SecretString":null}`, "has no text"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, calls := open(t, test.response)
			_, err := s.Text(t.Context())
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), arn) || fault.IsBusy(err) {
				t.Errorf("error %v, want it to contain %q and the ARN", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "odd") {
				t.Errorf("%q contains the secret", err)
			}
			if calls.Load() != 1 {
				t.Errorf("%d calls, want 1", calls.Load())
			}
		})
	}
}

// A busy service is retried. Its error is fault.Busy, and a later call can succeed.
func TestTextWhileTheServiceIsBusy(t *testing.T) {
	const throttled = `{"__type":"ThrottlingException","message":"Rate exceeded"}`
	s, calls := open(t, throttled, `{"SecretString":"the key"}`)
	if got, err := s.Text(t.Context()); got != "the key" || err != nil || calls.Load() != 2 {
		t.Errorf("Text = %q, %v after %d calls, want the key after 2", got, err, calls.Load())
	}
	s, _ = open(t, throttled)
	if _, err := s.Text(t.Context()); !fault.IsBusy(err) || !strings.Contains(err.Error(), "ThrottlingException") {
		t.Errorf("error %v, want fault.Busy with the cause", err)
	}
}

// An unreachable service is retried within the budget of the request.
func TestTextWithoutAService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		env := coldstart.FromMap(map[string]string{"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_REGION": "eu-north-1"})
		s := secret.Open(env, arn, func(string) error { return nil })
		if _, err := s.Text(t.Context()); !fault.IsBusy(err) {
			t.Errorf("error %v, want fault.Busy", err)
		}
	})
}
