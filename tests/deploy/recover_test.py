"""Tests of recover.py. The outputs come from the translated template, and botocore's Stubber
validates each request and response with AWS's models.

    recover_test.py      in the virtual environment of aws-sam-cli
"""

import datetime
import os
import re
import sys
import unittest

import boto3
from botocore.stub import Stubber
from samcli.yamlhelper import yaml_parse

sys.path.insert(0, os.path.dirname(__file__))
import recover  # noqa: E402
from recover import Failure, Recovery  # noqa: E402

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "structure"))
from deployments import Deployment  # noqa: E402
from lint import translate  # noqa: E402

with open("template.yaml", encoding="utf-8") as file:
    TEMPLATE = yaml_parse(file.read())
GIVEN = {"TokenAudience": "api", "MalwareScan": "observe"}
DEPLOYED = Deployment(translate(TEMPLATE, GIVEN), GIVEN)

PLACE = "eu-north-1:444455556666"
BUS, ARCHIVE = f"arn:aws:events:{PLACE}:event-bus/s", f"arn:aws:events:{PLACE}:archive/BusArchive"
FEED_RULE, OWNER_RULE = f"arn:aws:events:{PLACE}:rule/s/FeedRule", f"arn:aws:events:{PLACE}:rule/s/Replayed"
# What AWS returns for a reference to a resource, and for its ARN.
REFERENCES = {"AWS::SQS::Queue": "https://sqs.eu-north-1.amazonaws.com/444455556666/{}"}
ARNS = {"AWS::SQS::Queue": "arn:aws:sqs:" + PLACE + ":{}", "AWS::Events::EventBus": BUS,
        "AWS::Events::Archive": "arn:aws:events:" + PLACE + ":archive/{}", "AWS::Events::Rule": "arn:aws:events:" + PLACE + ":rule/s/{}"}
NOW = datetime.datetime(2026, 11, 25, 12, 0, 0, tzinfo=datetime.timezone.utc)
TIMES = ["2026-11-25T08:00:00Z", "2026-11-25T11:00:00+01:00"]


def outputs():
    """Return the outputs that refer to a queue, to the bus, to its archive or to a rule."""
    for name, output in DEPLOYED.outputs.items():
        value = output["Value"]
        target, attribute = (value["Fn::GetAtt"] if "Fn::GetAtt" in value else (value.get("Ref"), ""))
        kind = DEPLOYED.resources.get(target, {}).get("Type")
        known = ARNS if attribute == "Arn" else REFERENCES
        if kind in known:
            yield {"OutputKey": name, "OutputValue": known[kind].format(target)}


def run(arguments, calls=(), waiting=0, without=""):
    """Run a command. calls are the expected changing calls: service, operation and parameters."""
    created = {}

    def client(service):
        if service not in created:
            created[service] = boto3.client(service, region_name="eu-north-1", aws_access_key_id="test", aws_secret_access_key="test")
            stubber = stubs[service] = Stubber(created[service])
            if service == "cloudformation":
                for _ in range(4):
                    stubber.add_response("describe_stacks", {"Stacks": [{
                        "StackName": "s", "StackStatus": "UPDATE_COMPLETE", "CreationTime": NOW,
                        "Outputs": [o for o in outputs() if o["OutputKey"] != without]}]}, {"StackName": "s"})
            if service == "sqs":
                stubber.add_response("get_queue_attributes", {"Attributes": {"ApproximateNumberOfMessages": str(waiting)}})
            for of, operation, response, parameters in calls:
                if of == service:
                    if isinstance(response, str):
                        stubber.add_client_error(operation, response, "no", expected_params=parameters)
                    else:
                        stubber.add_response(operation, response, parameters)
            stubber.activate()
        return created[service]

    stubs = {}
    out = recover.run(Recovery("s", client, lambda: NOW), arguments)
    for service, stubber in stubs.items():
        if service != "cloudformation":  # which returns the same to every call
            stubber.assert_no_pending_responses()
    return out


class RecoverTest(unittest.TestCase):
    move = {"SourceArn": f"arn:aws:sqs:{PLACE}:FeedDeadLetters", "DestinationArn": f"arn:aws:sqs:{PLACE}:FeedQueue"}

    def test_redrive(self):
        out = run(["redrive", "FeedDeadLetters"], [("sqs", "start_message_move_task", {"TaskHandle": "t"}, self.move)], waiting=12)
        self.assertIn("moves 12 messages of FeedDeadLetters", out)
        self.assertIn("list-message-move-tasks --source-arn " + self.move["SourceArn"], out)
        self.assertEqual(run(["redrive", "FeedDeadLetters"]), "FeedDeadLetters is empty")
        self.assertEqual(run(["redrive", "PublishDeadLetters"]), "PublishDeadLetters is empty")
        for name in ("Webhook", "Scan"):
            move = {"SourceArn": f"arn:aws:sqs:{PLACE}:{name}DeadLetters", "DestinationArn": f"arn:aws:sqs:{PLACE}:{name}Queue"}
            self.assertIn(f"moves 3 messages of {name}DeadLetters",
                          run(["redrive", f"{name}DeadLetters"], [("sqs", "start_message_move_task", {"TaskHandle": "t"}, move)], waiting=3))

    def test_redrive_without_scan(self):
        with self.assertRaisesRegex(Failure, "s has no output ScanDeadLettersUrl. Deploy this release first, with MalwareScan"):
            run(["redrive", "ScanDeadLetters"], without="ScanDeadLettersUrl")

    def test_every_dead_letter_queue(self):
        """Each queue that receives failures is known. SQS accepts a redrive from none but the
        dead-letter queue of its destination."""
        resources, targets, redriven = DEPLOYED.resources, set(), {}
        for name, r in resources.items():
            p = r.get("Properties", {})
            failures = [p["DestinationConfig"]["OnFailure"]["Destination"]] if "OnFailure" in p.get("DestinationConfig", {}) else []
            failures += [t["DeadLetterConfig"]["Arn"] for t in p.get("Targets", []) if "DeadLetterConfig" in t]
            targets |= {f["Fn::GetAtt"][0] for f in failures}
            if "RedrivePolicy" in p:
                redriven[p["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]] = name + "Arn"
        self.assertEqual(set(recover.DESTINATIONS), targets | set(redriven))
        self.assertEqual({q: d for q, d in recover.DESTINATIONS.items() if d}, redriven)

    def test_replay(self):
        since, until = (datetime.datetime(2026, 11, 25, hour, tzinfo=datetime.timezone.utc) for hour in (8, 10))
        for rule, name, want in (([], "feed-20261125T120000Z", FEED_RULE), ([""], "feed-20261125T120000Z", FEED_RULE),
                                 ([OWNER_RULE], "owner-20261125T120000Z", OWNER_RULE)):
            out = run(["replay", *TIMES, *rule], [("events", "start_replay", {"State": "STARTING"}, {
                "ReplayName": name, "EventSourceArn": ARCHIVE, "EventStartTime": since, "EventEndTime": until,
                "Destination": {"Arn": BUS, "FilterArns": [want]}})])
            self.assertIn("describe-replay --replay-name " + name, out)

    def test_failures(self):
        """Each failure says what to do, and nothing is started."""
        for words, arguments in {
            "no dead-letter queue 'FeedQueue'. Use QUEUE=FeedDeadLetters or QUEUE=WebhookDeadLetters or QUEUE=ScanDeadLetters or QUEUE=PublishDeadLetters": {"arguments": ["redrive", "FeedQueue"]},
            "no dead-letter queue ''": {"arguments": ["redrive", ""]},
            "purge-queue --queue-url https://sqs.eu-north-1.amazonaws.com/444455556666/PublishDeadLetters": {
                "arguments": ["redrive", "PublishDeadLetters"], "waiting": 3},
            "AWS rejects StartMessageMoveTask: no (AccessDenied). Check the permissions": {
                "arguments": ["redrive", "FeedDeadLetters"], "waiting": 3,
                "calls": [("sqs", "start_message_move_task", "AccessDenied", self.move)]},
            "FROM= is no time. Write it like FROM=2026": {"arguments": ["replay", "", ""]},
            "TO=2026-11-25 is no time": {"arguments": ["replay", TIMES[0], "2026-11-25"]},
            "TO=2026-13-25T10:00:00Z is no time: ": {"arguments": ["replay", TIMES[0], "2026-13-25T10:00:00Z"]},
            "is not before TO=": {"arguments": ["replay", TIMES[1], TIMES[0]]},
            "Choose a TO before 2026-11-25T11:50:00Z": {"arguments": ["replay", TIMES[0], "2026-11-25T11:50:01Z"]},
            f"Use a rule whose ARN starts with arn:aws:events:{PLACE}:rule/s/": {
                "arguments": ["replay", *TIMES, OWNER_RULE.replace("/s/", "/other/")]},
            "usage: recover.py": {"arguments": ["restart"]},
            "RULE]": {"arguments": ["replay", *TIMES, OWNER_RULE, "more"]},
        }.items():
            with self.subTest(words), self.assertRaisesRegex(Failure, re.escape(words)):
                run(**arguments)

    def test_missing_output(self):
        with self.assertRaisesRegex(Failure, "s has no output FeedDeadLettersUrl. Deploy this release first"):
            run(["redrive", "FeedDeadLetters"], without="FeedDeadLettersUrl")


if __name__ == "__main__":
    unittest.main()
