// Package secret reads a secret from AWS Secrets Manager when a process starts. The value is then
// in no configuration that a reader of the stack or of the function can see.
//
// The package signs its one request itself. The SDK's client of the service would allocate a third
// more memory in the package initialisers of a function (1,000 instead of 758 kB), and exceed the
// bounds of tests/bench/baseline.
//
// A process reads the secret once. It does not notice a rotation.
package secret

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"altinn.no/instanceapi/shared/busy"
	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/shared/fault"
)

// maxResponse bounds the bytes that are read of a response. A secret has at most 65,536 bytes.
const maxResponse = 1 << 18

// Secret is the text of one secret. It is safe for concurrent use.
type Secret struct {
	arn   string
	check func(text string) error
	aws   aws.Config

	mu   sync.Mutex
	text string
}

// Open returns the secret with this ARN and registers its warm-up call. The warm-up ends the
// process if the secret does not exist, if the function may not read it, or if check returns an
// error, which is a phrase such as "is too short" and must not contain the text.
func Open(env *coldstart.Env, arn string, check func(text string) error) *Secret {
	s := &Secret{arn: arn, check: check, aws: env.AWS("SECRETSMANAGER")}
	env.OnInit("secretsmanager", func(ctx context.Context) error {
		_, err := s.Text(ctx)
		return err
	})
	return s
}

// Text returns the text of the secret, without white space at its ends. It calls Secrets Manager
// only until a call has succeeded, which is usually the warm-up. It returns fault.Busy if Secrets
// Manager is busy or does not respond, and coldstart.Fatal if a later call would fail too.
func (s *Secret) Text(ctx context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.text != "" {
		return s.text, nil
	}
	ctx = busy.WithBudget(ctx)
	for {
		text, err := s.get(ctx)
		if err == nil {
			if text = strings.TrimSpace(text); text == "" {
				err = errors.New("has no text")
			} else {
				err = s.check(text)
			}
			if err != nil {
				return "", coldstart.Fatal(fmt.Errorf("the secret %s %w", s.arn, err))
			}
			s.text = text
			return text, nil
		}
		err = fmt.Errorf("read the secret %s: %w", s.arn, err)
		var answer *answerError
		if errors.As(err, &answer) && slices.Contains(permanent, answer.code) {
			return "", coldstart.Fatal(err)
		}
		if busy.Retry(ctx) != nil {
			return "", fault.Busy(err)
		}
	}
}

// permanent are the errors of Secrets Manager that the same call would return again.
var permanent = []string{
	"ResourceNotFoundException", "AccessDeniedException", "DecryptionFailure", "InvalidParameterException",
	"InvalidRequestException", // the secret is marked for deletion
}

// answerError is an error that Secrets Manager returned.
type answerError struct{ code, message string }

func (e *answerError) Error() string { return e.code + ": " + e.message }

// get makes one call.
func (s *Secret) get(ctx context.Context) (string, error) {
	body, err := json.Marshal(map[string]string{"SecretId": s.arn})
	if err != nil {
		return "", err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.endpoint(), bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "secretsmanager.GetSecretValue")
	credentials, err := s.aws.Credentials.Retrieve(ctx)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(ctx, credentials, r, hex.EncodeToString(sum[:]), "secretsmanager", s.aws.Region, time.Now()); err != nil {
		return "", err
	}
	resp, err := s.aws.HTTPClient.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse))
	if err != nil {
		return "", err
	}
	var answer struct {
		SecretString string
		Type         string `json:"__type"`
		Message      string `json:"message"` // also matches Message
	}
	err = json.Unmarshal(content, &answer)
	if resp.StatusCode != http.StatusOK {
		code := answer.Type[strings.LastIndex(answer.Type, "#")+1:]
		if code == "" {
			code = resp.Status
		}
		return "", &answerError{code, answer.Message}
	}
	return answer.SecretString, err
}

// endpoint returns the URL of the emulator, or else of the service in the region.
func (s *Secret) endpoint() string {
	if s.aws.BaseEndpoint != nil {
		return *s.aws.BaseEndpoint
	}
	domain := "amazonaws.com"
	switch {
	case strings.HasPrefix(s.aws.Region, "cn-"):
		domain = "amazonaws.com.cn"
	case strings.HasPrefix(s.aws.Region, "eusc-"):
		domain = "amazonaws.eu"
	}
	return "https://secretsmanager." + s.aws.Region + "." + domain
}
