package structure

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
)

// mappings returns the event source mapping of each event source, by "Outbox.StreamArn" for
// example.
func mappings(tpl *template) map[string]*resource {
	found := map[string]*resource{}
	for _, m := range tpl.ofType("AWS::Lambda::EventSourceMapping") {
		found[reference(m.Properties["EventSourceArn"])] = m
	}
	return found
}

// mapped returns the logical name of the function that a mapping calls. The mapping calls the
// function's alias, so that a gradual deployment applies to streams and queues too.
func mapped(m *resource) string {
	name, _ := strings.CutSuffix(reference(m.Properties["FunctionName"]), ".Alias")
	return name
}

// readerActions are the permissions that Lambda needs to read an event source for a function, by
// the attribute of the source. SAM's event types would add managed policies that allow every table
// and queue of the account.
var readerActions = map[string][]string{
	"StreamArn": {"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"},
	"Arn":       {"sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"},
}

func TestEventSources(t *testing.T) {
	tpl := readTemplate(t)
	sources := mappings(tpl)
	if got := slices.Sorted(maps.Keys(sources)); !slices.Equal(got, []string{"FeedQueue.Arn", "Outbox.StreamArn", "ScanQueue.Arn", "WebhookQueue.Arn"}) {
		t.Fatalf("event sources: %v", got)
	}
	for _, f := range tpl.functions() {
		for source, mapping := range sources {
			var allowed []string
			for _, s := range f.Statements {
				if slices.Contains(s.Resources, source) {
					allowed = append(allowed, s.Actions...)
				}
			}
			slices.Sort(allowed)
			_, kind, _ := strings.Cut(source, ".")
			var want []string
			if mapped(mapping) == f.Name {
				want = readerActions[kind]
			}
			if !slices.Equal(allowed, want) {
				t.Errorf("%s is granted %v on %s, want %v", f.Name, allowed, source, want)
			}
		}
	}
	for source, mapping := range sources {
		if !slices.Equal(list(mapping.Properties["FunctionResponseTypes"]), []any{"ReportBatchItemFailures"}) {
			t.Errorf("%s: FunctionResponseTypes must be ReportBatchItemFailures, or one failed record fails its batch", source)
		}
	}
}

func TestOutboxStream(t *testing.T) {
	tpl := readTemplate(t)
	if got := at(tpl.resource("Outbox").Properties, "StreamSpecification", "StreamViewType"); got != "NEW_IMAGE" {
		t.Errorf("the outbox's stream contains %v, want NEW_IMAGE", got)
	}
	mapping := mappings(tpl)["Outbox.StreamArn"]
	stream := mapping.Properties
	filters := list(at(stream, "FilterCriteria", "Filters"))
	if len(filters) != 1 {
		t.Fatalf("the stream has %d filters, want 1", len(filters))
	}
	var pattern map[string][]string
	if err := json.Unmarshal([]byte(text(object(filters[0])["Pattern"])), &pattern); err != nil || !slices.Equal(pattern["eventName"], []string{"INSERT"}) {
		t.Errorf("the stream's filter is %v (%v), want INSERT only", pattern, err)
	}
	if age, ok := stream["MaximumRecordAgeInSeconds"].(int); !ok || age < 60 || age >= 24*60*60 {
		t.Errorf("a failing record blocks its shard for %v s, want at least a minute and less than a day", stream["MaximumRecordAgeInSeconds"])
	}
	target := reference(at(stream, "DestinationConfig", "OnFailure", "Destination"))
	publisher := mapped(mapping)
	for _, f := range tpl.functions() {
		allowed := slices.ContainsFunc(f.Statements, func(s statement) bool {
			return slices.Equal(s.Resources, []string{target}) && slices.Equal(s.Actions, []string{"sqs:SendMessage"})
		})
		if allowed != (f.Name == publisher) {
			t.Errorf("%s may send to %s: %v, want only %s", f.Name, target, allowed, publisher)
		}
	}
}

// The archive and the rule match the events that event-publish sends.
func TestBusPatterns(t *testing.T) {
	tpl := readTemplate(t)
	for _, name := range []string{"BusArchive", "FeedRule"} {
		pattern := object(tpl.resource(name).Properties["EventPattern"])
		sources := list(pattern["source"])
		if len(sources) != 1 || reference(object(sources[0])["prefix"]) != "EventSourcePrefix." {
			t.Errorf("%s matches events of %v, want the prefix EventSourcePrefix", name, pattern["source"])
		}
	}
	// The feed has every type of event, so that a new type needs no new rule.
	if types := at(tpl.resource("FeedRule").Properties, "EventPattern", "detail-type"); types != nil {
		t.Errorf("FeedRule matches events of the types %v only", types)
	}
}

func TestFeedQueue(t *testing.T) {
	tpl := readTemplate(t)
	queue := tpl.resource("FeedQueue").Properties
	reader := tpl.resource(mapped(mappings(tpl)["FeedQueue.Arn"])).Properties
	// AWS recommends six times the timeout, so that Lambda can retry throttled batches.
	visibility, _ := queue["VisibilityTimeout"].(int)
	if timeout, ok := reader["Timeout"].(int); !ok || visibility < 6*timeout {
		t.Errorf("the visibility timeout is %d s, want six times the function's timeout of %v s", visibility, reader["Timeout"])
	}
	for _, source := range []any{at(queue, "RedrivePolicy", "deadLetterTargetArn"), at(list(tpl.resource("FeedRule").Properties["Targets"])[0], "DeadLetterConfig", "Arn")} {
		if reference(source) != "FeedDeadLetters.Arn" {
			t.Errorf("failed messages are sent to %v, want FeedDeadLetters.Arn", source)
		}
	}
	if times, _ := at(queue, "RedrivePolicy", "maxReceiveCount").(int); times < 5 {
		t.Errorf("an out-of-order event has %d attempts, want at least 5", times)
	}
	// EventBridge may write to both queues, but only for the rule.
	policy := tpl.resource("FeedQueuesPolicy").Properties
	for _, s := range list(at(policy, "PolicyDocument", "Statement")) {
		if condition := reference(at(s, "Condition", "ArnEquals", "aws:SourceArn")); condition != "FeedRule.Arn" || at(s, "Principal", "Service") != "events.amazonaws.com" {
			t.Errorf("the queues accept messages of %v with the condition %q, want EventBridge and FeedRule", at(s, "Principal"), condition)
		}
	}
	if queues := list(policy["Queues"]); len(queues) != 2 {
		t.Errorf("FeedQueuesPolicy is for %d queues, want 2", len(queues))
	}
}
