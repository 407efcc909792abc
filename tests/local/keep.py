#!/usr/bin/env python3
"""Keep the data of the local AWS in a folder, for `make run KEEP=1`.

usage: keep.py FOLDER      with the data of the stack on standard input, as deploy.py prints it

Only one process may use the folder, which exists.

The script copies the data in FOLDER to the new, empty stack and prints a line. It then saves the
stack's data every few seconds, if anything has changed, until the end of standard input. It saves
the data a last time and prints a line. AWS_ENDPOINT_URL and AWS_REGION select the local AWS.

FOLDER has the items of all tables and the messages of all queues in snapshot.json.gz, and the
content of the bucket in objects/. Whatever ends the script, the snapshot is complete: a new one
replaces it in one step, its objects are written before, and those of the old one are deleted after.
"""

import base64
import contextlib
import gzip
import hashlib
import json
import os
import pathlib
import select
import sys
import time
import urllib.parse
import urllib.request

from botocore.exceptions import BotoCoreError, ClientError
from deploy import client

INTERVAL = 5.0  # seconds between two saves
SHARE = 0.1  # of the time that saves may take


class Failed(Exception):
    """The data cannot be kept. The message says why and what to do."""


class Kept:
    """The folder with the data."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.objects = self.folder / "objects"
        self.objects.mkdir(exist_ok=True)

    def read(self):
        """Return the snapshot, empty at first."""
        file = self.folder / "snapshot.json.gz"
        return json.loads(gzip.decompress(file.read_bytes())) if file.exists() else {"tables": {}, "queues": {}, "objects": {}}

    def write(self, snapshot):
        self.replace(self.folder / "snapshot.json.gz", gzip.compress(json.dumps(snapshot).encode(), 1))
        wanted = {self.object(bucket, key).name for bucket, keys in snapshot["objects"].items() for key in keys}
        for file in self.objects.iterdir():
            if file.name not in wanted:
                file.unlink()

    def object(self, bucket, key):
        """Return the file of an object. No key of the bucket is written twice."""
        return self.objects / hashlib.sha256(f"{bucket}/{key}".encode()).hexdigest()

    @staticmethod
    def replace(file, content):
        part = file.with_name(file.name + ".part")
        with open(part, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        part.rename(file)


class Stack:
    """The data of the stack. resources has the physical name of each table, queue and bucket, by type
    and logical id."""

    def __init__(self, resources):
        self.tables = resources["AWS::DynamoDB::Table"]
        self.queues = resources["AWS::SQS::Queue"]
        self.buckets = resources["AWS::S3::Bucket"]
        self.dynamodb, self.s3, self.sqs, self.events = (client(s) for s in ("dynamodb", "s3", "sqs", "events"))

    def items(self):
        """Return the items of each table at one moment."""
        everything = local("/_local/items")
        return {name: everything.get(physical, []) for name, physical in self.tables.items()}

    def messages(self):
        """Return the messages of each queue, and leave them there."""
        found = {}
        for name, url in self.queues.items():
            accounts = local("/_ministack/sqs/messages?" + urllib.parse.urlencode({"QueueUrl": url}))["messages"]
            found[name] = [m["Body"] for regions in accounts.values() for queues in regions.values() for q in queues.values() for m in q]
        return found

    def keys(self, bucket):
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return {o["Key"] for page in pages for o in page.get("Contents", [])}

    def save(self, kept, previous):
        """Save the data, unless it is that of the previous snapshot, and return the snapshot."""
        # Content is written before an item refers to it. An object that is deleted in between is
        # in the first list, and one that is added in the second.
        before = {name: self.keys(bucket) for name, bucket in self.buckets.items()}
        snapshot = {"tables": self.items(), "queues": self.messages(), "objects": {}}
        for name, bucket in self.buckets.items():
            keys = snapshot["objects"][name] = {}
            for key in sorted(before[name] | self.keys(bucket)):
                keys[key] = previous["objects"].get(name, {}).get(key) or self.fetch(kept, name, key)
            snapshot["objects"][name] = {key: kind for key, kind in keys.items() if kind is not None}
        if snapshot != previous:
            kept.write(snapshot)
        return snapshot

    def fetch(self, kept, name, key):
        """Copy an object to its file and return its content type, or None if it is gone."""
        try:
            found = self.s3.get_object(Bucket=self.buckets[name], Key=key)
        except self.s3.exceptions.NoSuchKey:
            return None
        kept.replace(kept.object(name, key), found["Body"].read())
        return found["ContentType"]

    def restore(self, kept, snapshot):
        """Copy the snapshot to the empty stack. Nothing may happen in the stack until all of it is
        there. So schedules pause, and the tables with a stream come last."""
        for kind, mine in (("tables", self.tables), ("queues", self.queues), ("objects", self.buckets)):
            if missing := [name for name in snapshot[kind] if name not in mine and snapshot[kind][name]]:
                raise Failed(f"template.yaml has no {' and no '.join(missing)}, of which data is kept")
        with self.paused_schedules():
            for bucket, keys in snapshot["objects"].items():
                for key, content_type in keys.items():
                    content = kept.object(bucket, key).read_bytes()
                    self.s3.put_object(Bucket=self.buckets[bucket], Key=key, Body=content, ContentType=content_type,
                                       ChecksumSHA256=base64.b64encode(hashlib.sha256(content).digest()).decode())
            for name in sorted(snapshot["tables"], key=self.has_stream):
                self.put_items(self.tables[name], snapshot["tables"][name])
            for name, bodies in snapshot["queues"].items():
                for body in bodies:
                    self.sqs.send_message(QueueUrl=self.queues[name], MessageBody=body)

    def has_stream(self, name):
        return self.dynamodb.describe_table(TableName=self.tables[name])["Table"].get("StreamSpecification", {}).get("StreamEnabled", False)

    def put_items(self, table, items):
        for n in range(0, len(items), 25):
            request = {"RequestItems": {table: [{"PutRequest": {"Item": item}} for item in items[n:n + 25]]}}
            response = local("/", request, {"X-Amz-Target": "DynamoDB_20120810.BatchWriteItem", "Content-Type": "application/x-amz-json-1.0"})
            if response["UnprocessedItems"]:
                raise Failed(f"{table} does not accept all items")

    @contextlib.contextmanager
    def paused_schedules(self):
        rules = [r["Name"] for page in self.events.get_paginator("list_rules").paginate() for r in page["Rules"]
                 if "ScheduleExpression" in r and r["State"] == "ENABLED"]
        for rule in rules:
            self.events.disable_rule(Name=rule)
        yield
        for rule in rules:
            self.events.enable_rule(Name=rule)


def local(path, body=None, headers=None):
    """Send a request to the local AWS and return the JSON of the response."""
    data = json.dumps(body).encode() if body is not None else None
    with urllib.request.urlopen(urllib.request.Request(os.environ["AWS_ENDPOINT_URL"] + path, data, headers or {}), timeout=60) as response:
        return json.load(response)


def summary(snapshot):
    items = sum(len(items) for items in snapshot["tables"].values())
    return f"{items} items and {sum(len(keys) for keys in snapshot['objects'].values())} objects"


def main(folder):
    stack = Stack(json.loads(sys.stdin.readline()))
    kept = Kept(folder)
    snapshot = kept.read()
    try:
        stack.restore(kept, snapshot)
    except (Failed, BotoCoreError, ClientError, OSError) as error:
        raise Failed(f"cannot restore the data in {folder}: {error}. To start without it, delete the folder.") from error
    print(f"restored {summary(snapshot)} from {folder}", flush=True)
    took = 0.0
    while not select.select([sys.stdin], [], [], max(INTERVAL, took / SHARE))[0]:
        began = time.monotonic()
        snapshot = stack.save(kept, snapshot)
        took = time.monotonic() - began
    print(f"kept {summary(stack.save(kept, snapshot))} in {folder}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__.split("\n\n")[1])
    try:
        main(sys.argv[1])
    except Failed as failed:
        sys.exit(f"keep: {failed}")
    except (BotoCoreError, ClientError, OSError) as failed:
        sys.exit(f"keep: the local AWS does not respond, so the last seconds before its end may be missing: {failed}")
