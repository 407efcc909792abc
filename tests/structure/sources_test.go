package structure

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"altinn.no/instanceapi/shared/event"
)

// mappings returns the function that reads each event source: "EventPublish" for "Outbox.StreamArn".
func mappings(tpl *template) map[string]*resource {
	found := map[string]*resource{}
	for _, m := range tpl.ofType("AWS::Lambda::EventSourceMapping") {
		found[reference(m.Properties["EventSourceArn"])] = m
	}
	return found
}

// mapped returns the logical name of the function that a mapping calls. It is the alias that is called, so that new code
// gets its share of what comes from a stream or queue too.
func mapped(m *resource) string {
	name, _ := strings.CutSuffix(reference(m.Properties["FunctionName"]), ".Alias")
	return name
}

// What Lambda needs of a function's role to read for it. SAM's own event types would bring managed policies along that
// are good for every table and queue of the account.
var readerActions = map[string][]string{
	"StreamArn": {"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"},
	"Arn":       {"sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"},
}

func TestEventSources(t *testing.T) {
	tpl := readTemplate(t)
	sources := mappings(tpl)
	if got := slices.Sorted(maps.Keys(sources)); !slices.Equal(got, []string{"FeedQueue.Arn", "Outbox.StreamArn"}) {
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
				t.Errorf("%s may do %v on %s, want %v", f.Name, allowed, source, want)
			}
		}
	}
	for source, mapping := range sources {
		if !slices.Equal(list(mapping.Properties["FunctionResponseTypes"]), []any{"ReportBatchItemFailures"}) {
			t.Errorf("%s: one failed record would fail its batch", source)
		}
	}
}

func TestOutboxStream(t *testing.T) {
	tpl := readTemplate(t)
	if got := at(tpl.resource("Outbox").Properties, "StreamSpecification", "StreamViewType"); got != "NEW_IMAGE" {
		t.Errorf("the outbox's stream has %v", got)
	}
	mapping := mappings(tpl)["Outbox.StreamArn"]
	stream := mapping.Properties
	filters := list(at(stream, "FilterCriteria", "Filters"))
	if len(filters) != 1 {
		t.Fatalf("%d filters", len(filters))
	}
	var pattern map[string][]string
	if err := json.Unmarshal([]byte(text(object(filters[0])["Pattern"])), &pattern); err != nil || !slices.Equal(pattern["eventName"], []string{"INSERT"}) {
		t.Errorf("filter %v: %v", pattern, err)
	}
	if age, ok := stream["MaximumRecordAgeInSeconds"].(int); !ok || age < 60 || age >= 24*60*60 {
		t.Errorf("a record that fails holds its shard for %v s", stream["MaximumRecordAgeInSeconds"])
	}
	target := reference(at(stream, "DestinationConfig", "OnFailure", "Destination"))
	publisher := mapped(mapping)
	for _, f := range tpl.functions() {
		allowed := slices.ContainsFunc(f.Statements, func(s statement) bool {
			return slices.Equal(s.Resources, []string{target}) && slices.Equal(s.Actions, []string{"sqs:SendMessage"})
		})
		if allowed != (f.Name == publisher) {
			t.Errorf("%s may send to %s: %v", f.Name, target, allowed)
		}
	}
}

// The archive holds what the rule passes on, and both take what event-publish sends.
func TestBusPatterns(t *testing.T) {
	tpl := readTemplate(t)
	for _, name := range []string{"BusArchive", "FeedRule"} {
		pattern := object(tpl.resource(name).Properties["EventPattern"])
		sources := list(pattern["source"])
		if len(sources) != 1 || reference(object(sources[0])["prefix"]) != "EventSourcePrefix." {
			t.Errorf("%s takes events from %v", name, pattern["source"])
		}
	}
	types := list(at(tpl.resource("FeedRule").Properties, "EventPattern", "detail-type"))
	if !slices.Equal(types, []any{event.WorkflowStateChange}) {
		t.Errorf("the feed takes events of type %v", types)
	}
}

func TestFeedQueue(t *testing.T) {
	tpl := readTemplate(t)
	queue := tpl.resource("FeedQueue").Properties
	reader := tpl.resource(mapped(mappings(tpl)["FeedQueue.Arn"])).Properties
	// AWS's own advice: time for the batches that were throttled.
	visibility, _ := queue["VisibilityTimeout"].(int)
	if timeout, ok := reader["Timeout"].(int); !ok || visibility < 6*timeout {
		t.Errorf("messages are hidden for %d s, and may be worked on for %v s", visibility, reader["Timeout"])
	}
	for _, source := range []any{at(queue, "RedrivePolicy", "deadLetterTargetArn"), at(list(tpl.resource("FeedRule").Properties["Targets"])[0], "DeadLetterConfig", "Arn")} {
		if reference(source) != "FeedDeadLetters.Arn" {
			t.Errorf("what fails goes to %v", source)
		}
	}
	if times, _ := at(queue, "RedrivePolicy", "maxReceiveCount").(int); times < 5 {
		t.Errorf("an event that is early has %d tries", times)
	}
	// EventBridge may write to both queues, and only for the rule.
	policy := tpl.resource("FeedQueuesPolicy").Properties
	for _, s := range list(at(policy, "PolicyDocument", "Statement")) {
		if condition := reference(at(s, "Condition", "ArnEquals", "aws:SourceArn")); condition != "FeedRule.Arn" || at(s, "Principal", "Service") != "events.amazonaws.com" {
			t.Errorf("the queues take from %v with the condition %q", at(s, "Principal"), condition)
		}
	}
	if queues := list(policy["Queues"]); len(queues) != 2 {
		t.Errorf("the policy is about %d queues", len(queues))
	}
}
