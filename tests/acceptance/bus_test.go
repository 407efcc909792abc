package acceptance

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"altinn.no/instanceapi/shared/coldstart"
	"altinn.no/instanceapi/tests/local/stack"
)

// TestRuleDeliversToOwnersQueue subscribes as an owner does: it puts a rule for the owner's source
// on the bus, with a queue as its target. The queue gets the same documents as the feed.
func TestRuleDeliversToOwnersQueue(t *testing.T) {
	sut := system(t)
	if sut.awsEndpoint == "" {
		t.Fatal("set AWS_ENDPOINT to the address of EventBridge and SQS of the system at BASE_URL (make run prints it), " +
			"or skip this test with -skip TestRuleDeliversToOwnersQueue")
	}
	org := freshOrg()
	owner := sut.mustToken(t, map[string]string{"ORG": org})
	register(t, sut, org, "melding")
	queue := newQueue(t, sut.awsEndpoint, org)
	putRule(t, sut, org, fmt.Sprintf(`{"source": [%q], "detail-type": ["WorkflowStateChange"]}`, sourceOf(org)), queue.arn)

	if _, err := createAndSubmit(t.Context(), sut.api, owner, org); err != nil {
		t.Fatal(err)
	}
	feed := feedOf(t, sut.api, owner, org, 2)
	want := map[string]any{}
	for _, e := range feed {
		want[e.ID] = decoded(t, e.document)
	}

	// The bus delivers at least once and in any order. Compare every delivery with the feed until
	// both events have arrived.
	got := map[string]bool{}
	for deadline := time.Now().Add(patience); len(got) < len(want); {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d events reached the queue", len(got), len(want))
		}
		for _, message := range queue.receive(t, 2) {
			var entry struct {
				Source     string          `json:"source"`
				DetailType string          `json:"detail-type"`
				Detail     json.RawMessage `json:"detail"`
			}
			if err := json.Unmarshal([]byte(message), &entry); err != nil {
				t.Fatalf("the message is no EventBridge entry: %v", err)
			}
			if entry.Source != sourceOf(org) || entry.DetailType != "WorkflowStateChange" {
				t.Errorf("source %q and detail-type %q", entry.Source, entry.DetailType)
			}
			var e feedEvent
			if err := json.Unmarshal(entry.Detail, &e); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(decoded(t, entry.Detail), want[e.ID]) {
				t.Errorf("the bus and the feed differ.\nbus:  %s\nfeed: %v", entry.Detail, want[e.ID])
			}
			got[e.ID] = true
		}
	}
}

// sourceOf returns the Source of an org's entries. Rules and subscription policies match this
// field.
func sourceOf(org string) string { return "no.altinn.apps." + org }

func decoded(t *testing.T, document []byte) any {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(document))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("not JSON: %v", err)
	}
	return v
}

// awsCredentials returns the credentials of the environment, or ones that the local AWS accepts.
func awsCredentials(context.Context) (aws.Credentials, error) {
	credentials := aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}
	if id := os.Getenv("AWS_ACCESS_KEY_ID"); id != "" {
		credentials = aws.Credentials{
			AccessKeyID: id, SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY"), SessionToken: os.Getenv("AWS_SESSION_TOKEN"),
		}
	}
	return credentials, nil
}

func awsRegion() string {
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		if region := os.Getenv(name); region != "" {
			return region
		}
	}
	return stack.Region
}

// putRule puts a rule with this pattern on the bus, and deletes it at the end of the test.
func putRule(t *testing.T, sut *systemUnderTest, name, pattern, queueARN string) {
	t.Helper()
	events := eventbridge.New(eventbridge.Options{
		Region: awsRegion(), BaseEndpoint: aws.String(sut.awsEndpoint), Credentials: aws.CredentialsProviderFunc(awsCredentials),
		HTTPClient: coldstart.PlainBodies(awshttp.NewBuildableClient()),
	})
	bus := aws.String(sut.bus)
	if sut.bus == "" {
		bus = aws.String(findBus(t, events))
	}
	rule := aws.String("acceptance-" + name)
	if _, err := events.PutRule(t.Context(), &eventbridge.PutRuleInput{Name: rule, EventBusName: bus, EventPattern: &pattern}); err != nil {
		t.Fatalf("putting the rule: %v", err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		_, err := events.RemoveTargets(ctx, &eventbridge.RemoveTargetsInput{Rule: rule, EventBusName: bus, Ids: []string{"queue"}})
		if err != nil {
			t.Errorf("removing the rule's target: %v", err)
		}
		if _, err := events.DeleteRule(ctx, &eventbridge.DeleteRuleInput{Name: rule, EventBusName: bus}); err != nil {
			t.Errorf("deleting the rule: %v", err)
		}
	})
	targets, err := events.PutTargets(t.Context(), &eventbridge.PutTargetsInput{
		Rule: rule, EventBusName: bus, Targets: []types.Target{{Id: aws.String("queue"), Arn: aws.String(queueARN)}},
	})
	if err != nil || targets.FailedEntryCount > 0 {
		t.Fatalf("adding the target to the rule: %v, %d failed", err, targets.FailedEntryCount)
	}
}

// findBus returns the only bus that is not the account's default bus.
func findBus(t *testing.T, events *eventbridge.Client) string {
	t.Helper()
	list, err := events.ListEventBuses(t.Context(), &eventbridge.ListEventBusesInput{})
	if err != nil {
		t.Fatalf("listing the buses: %v", err)
	}
	var own []string
	for _, bus := range list.EventBuses {
		if name := aws.ToString(bus.Name); name != "default" {
			own = append(own, name)
		}
	}
	if len(own) != 1 {
		t.Fatalf("there are %d buses besides the default one: %v; set EVENT_BUS", len(own), own)
	}
	return own[0]
}

// A queue is an owner's SQS queue. It uses SQS's JSON protocol, because three actions do not
// justify an SDK client.
type queue struct{ endpoint, url, arn string }

// newQueue creates a queue that EventBridge may send to, and deletes it at the end of the test.
func newQueue(t *testing.T, endpoint, org string) *queue {
	t.Helper()
	policy := `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"},
		"Action": "sqs:SendMessage", "Resource": "*"}]}`
	q := &queue{endpoint: endpoint}
	var created struct{ QueueUrl string }
	q.act(t, t.Context(), "CreateQueue", map[string]any{
		"QueueName": "acceptance-" + org, "Attributes": map[string]string{"Policy": policy},
	}, &created)
	q.url = created.QueueUrl
	t.Cleanup(func() {
		q.act(t, context.WithoutCancel(t.Context()), "DeleteQueue", map[string]any{"QueueUrl": q.url}, &struct{}{})
	})
	var got struct{ Attributes struct{ QueueArn string } }
	q.act(t, t.Context(), "GetQueueAttributes", map[string]any{"QueueUrl": q.url, "AttributeNames": []string{"QueueArn"}}, &got)
	q.arn = got.Attributes.QueueArn
	return q
}

// receive waits at most some seconds for messages, and returns their bodies.
func (q *queue) receive(t *testing.T, seconds int) []string {
	t.Helper()
	var received struct{ Messages []struct{ Body string } }
	q.act(t, t.Context(), "ReceiveMessage", map[string]any{"QueueUrl": q.url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": seconds}, &received)
	bodies := make([]string, len(received.Messages))
	for n, message := range received.Messages {
		bodies[n] = message.Body
	}
	return bodies
}

func (q *queue) act(t *testing.T, ctx context.Context, action string, input, output any) {
	t.Helper()
	body, err := json.Marshal(input)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(q.endpoint, "/")+"/", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	req.Header.Set("X-Amz-Target", "AmazonSQS."+action)
	credentials, _ := awsCredentials(ctx)
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(ctx, credentials, req, hex.EncodeToString(sum[:]), "sqs", awsRegion(), time.Now()); err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("SQS %s: %v", action, err)
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("SQS %s: status %d, %v: %s", action, res.StatusCode, err, content)
	}
	if len(content) == 0 {
		return // of DeleteQueue
	}
	if err := json.Unmarshal(content, output); err != nil {
		t.Fatalf("SQS %s: %v", action, err)
	}
}
