"""Deliver events again. `make redrive` and `make replay` run this script.

usage: recover.py ENV redrive QUEUE
       recover.py ENV replay FROM TO [RULE]

redrive moves the messages of a dead-letter queue back to its queue: FeedDeadLetters to that of
event-record, WebhookDeadLetters to that of webhook-send, ScanDeadLetters to that of scan-record,
which a stack with MalwareScan=off does not have. replay sends the archived events between
two times, such as 2026-11-25T10:00:00Z, to the feed, or to the rule with the ARN RULE: the output
ReplayRuleArn of an owner's subscription. The feed drops events that it has. ENV is an environment of
samconfig.toml.
"""

import datetime
import re
import sys

import boto3
import tomlkit
from botocore.exceptions import BotoCoreError, ClientError

# The output with the destination of each dead-letter queue. SQS moves messages only from the
# dead-letter queue of another queue.
DESTINATIONS = {"FeedDeadLetters": "FeedQueueArn", "WebhookDeadLetters": "WebhookQueueArn",
                "ScanDeadLetters": "ScanQueueArn", "PublishDeadLetters": None}
ARCHIVE_DELAY = datetime.timedelta(minutes=10)  # until an event is in the archive, at most


class Failure(Exception):
    """The command cannot run. The message says what is wrong, and then what to do."""


class Recovery:
    """The commands for one stack. client returns a client of a service."""

    def __init__(self, stack, client, now):
        self.stack = stack
        self.client = client
        self.now = now

    def output(self, name):
        """Return the value of an output of the stack."""
        stack, = self.client("cloudformation").describe_stacks(StackName=self.stack)["Stacks"]
        for output in stack.get("Outputs", []):
            if output["OutputKey"] == name:
                return output["OutputValue"]
        scan = ", with MalwareScan" if name.startswith("Scan") else ""
        raise Failure(f"{self.stack} has no output {name}. Deploy this release first{scan}.")

    def redrive(self, queue=""):
        """Move the messages of a dead-letter queue and return what was started."""
        if queue not in DESTINATIONS:
            raise Failure(f"there is no dead-letter queue {queue!r}. Use QUEUE={' or QUEUE='.join(DESTINATIONS)}.")
        url = self.output(queue + "Url")
        waiting = self.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
        count = int(waiting["Attributes"]["ApproximateNumberOfMessages"])
        if not count:
            return f"{queue} is empty"
        if DESTINATIONS[queue] is None:
            raise Failure(f"the {count} messages of {queue} are only positions in the stream, and outbox-sweep publishes their events. "
                          f"Remove the cause, then purge the queue: aws sqs purge-queue --queue-url {url}")
        # EventBridge put some messages into the queue itself. SQS knows no source of these, so the
        # destination is necessary.
        source = self.output(queue + "Arn")
        self.client("sqs").start_message_move_task(SourceArn=source, DestinationArn=self.output(DESTINATIONS[queue]))
        return f"SQS moves {count} messages of {queue}. Progress: aws sqs list-message-move-tasks --source-arn {source}"

    def replay(self, start="", end="", rule=""):
        """Replay archived events to a rule and return what was started."""
        since, until = time("FROM", start), time("TO", end)
        if since >= until:
            raise Failure(f"FROM={start} is not before TO={end}. Correct the times.")
        if until > self.now() - ARCHIVE_DELAY:
            raise Failure(f"the archive may lack events of the last ten minutes. Choose a TO before {self.now() - ARCHIVE_DELAY:%Y-%m-%dT%H:%M:%SZ}.")
        bus = self.output("EventBusArn")
        rules = bus.replace(":event-bus/", ":rule/") + "/"
        if rule and not rule.startswith(rules):
            raise Failure(f"the rule {rule} is not on the bus of {self.stack}. Use a rule whose ARN starts with {rules}.")
        name = f"{'owner' if rule else 'feed'}-{self.now():%Y%m%dT%H%M%SZ}"
        # Without a filter the replay reaches every rule that matches replayed events.
        self.client("events").start_replay(
            ReplayName=name, EventSourceArn=self.output("ArchiveArn"), EventStartTime=since, EventEndTime=until,
            Destination={"Arn": bus, "FilterArns": [rule or self.output("FeedRuleArn")]})
        return f"EventBridge replays the archive. Progress: aws events describe-replay --replay-name {name}"


def time(name, text):
    """Return an RFC 3339 time."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)", text):
        raise Failure(f"{name}={text} is no time. Write it like {name}=2026-11-25T10:00:00Z.")
    try:
        return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        raise Failure(f"{name}={text} is no time: {error}. Correct it.") from error


def run(recovery, arguments):
    """Run the command of the arguments and return a line for the terminal."""
    commands = {"redrive": (recovery.redrive, 1), "replay": (recovery.replay, 3)}
    command, most = commands.get(arguments[0], (None, 0))
    if command is None or len(arguments) - 1 > most:
        raise Failure(__doc__)
    try:
        return command(*arguments[1:])
    except ClientError as error:
        raise Failure(f"AWS rejects {error.operation_name}: {error.response['Error']['Message']} "
                      f"({error.response['Error']['Code']}). Check the permissions of your credentials.") from error
    except BotoCoreError as error:
        raise Failure(f"{error}. Check your credentials (aws sts get-caller-identity) and your network.") from error


def main(arguments):
    if len(arguments) < 2:
        sys.exit(__doc__)
    with open("samconfig.toml", encoding="utf-8") as file:
        config = tomlkit.load(file).unwrap()
    if "global" not in config.get(arguments[0], {}):
        sys.exit(f"recover: samconfig.toml has no environment {arguments[0]}.")
    parameters = config[arguments[0]]["global"]["parameters"]
    recovery = Recovery(parameters["stack_name"], lambda service: boto3.client(service, region_name=parameters["region"]),
                        lambda: datetime.datetime.now(datetime.timezone.utc))
    try:
        print(run(recovery, arguments[1:]))
    except Failure as failure:
        sys.exit(f"recover: {failure}")


if __name__ == "__main__":
    main(sys.argv[1:])
