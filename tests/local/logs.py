#!/usr/bin/env python3
"""Print the logs of the functions of the running local system and follow them.

usage: logs.py [FUNCTION ...]

FUNCTION is a folder under functions/, such as instance-create. Without arguments the script follows
all functions. The environment variable PORT selects the system, by default the one that started
last.
"""

import json
import os
import pathlib
import sys
import time

import boto3
from botocore.exceptions import EndpointConnectionError

NOTES = pathlib.Path(__file__).resolve().parents[2] / ".local" / "run"
INTERVAL = 1.0  # seconds


def folder(logical_id):
    """InstanceCreate -> instance-create"""
    return "".join("-" + c.lower() if c.isupper() else c for c in logical_id).lstrip("-")


def main(wanted):
    notes = sorted(NOTES.glob(f"{os.environ.get('PORT', '*')}.json"), key=lambda file: file.stat().st_mtime)
    if not notes:
        sys.exit("logs: no system is running here; start one with `make run`")
    note = json.loads(notes[-1].read_text())
    groups = {folder(name): group for name, group in note["logGroups"].items()}
    unknown = [name for name in wanted if name not in groups]
    if unknown:
        sys.exit(f"logs: unknown function {', '.join(unknown)}; the functions are {', '.join(sorted(groups))}")
    logs = boto3.client("logs", endpoint_url=note["awsEndpoint"], region_name=note["region"],
                        aws_access_key_id="local", aws_secret_access_key="local")
    seen = {name: (0, set()) for name in wanted or groups}  # the latest timestamp, and the printed events with it
    while True:
        lines = []
        for name in seen:
            for page in logs.get_paginator("filter_log_events").paginate(logGroupName=groups[name], startTime=seen[name][0]):
                for event in page["events"]:
                    latest, printed = seen[name]
                    key = (event["timestamp"], event["logStreamName"], event["message"])
                    if key in printed:
                        continue
                    seen[name] = (key[0], {key}) if key[0] > latest else (latest, printed | {key})
                    if not event["message"].startswith(("START ", "END ", "REPORT ")):
                        lines.append((event["timestamp"], name, event["message"].rstrip()))
        for _, name, message in sorted(lines):
            print(f"{name}: {message}", flush=True)
        time.sleep(INTERVAL)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (KeyboardInterrupt, BrokenPipeError):
        pass
    except EndpointConnectionError:
        sys.exit("logs: the local system has stopped; start it with `make run`")
