"""Lint template.yaml as AWS deploys it: apply SAM's transform offline, then run cfn-lint.

cfn-lint no longer translates SAM templates. In an untranslated template it misses many mistakes,
such as an unknown runtime or an event without a method. Every finding is fatal, warnings included.
The Go tests in this folder check what cfn-lint cannot.

    lint.py [TEMPLATE]            exit 1 on any finding
    lint.py --prove [TEMPLATE]    then make mistakes in a copy, exit 1 if lint.py misses one

The templates for application owners, events/owner/*.yaml, are plain CloudFormation. cfn-lint checks
them without a transform, if there are any.

The script runs in the virtual environment of aws-sam-cli. It needs no credentials and no network.
"""

import copy
import glob
import json
import logging
import os
import sys

REGION = "eu-north-1"
os.environ["AWS_DEFAULT_REGION"] = REGION  # the transform needs a region, any will do

from cfnlint.api import lint  # noqa: E402
from cfnlint.config import ManualArgs  # noqa: E402
from samcli.yamlhelper import yaml_parse  # noqa: E402
from samtranslator.model.exceptions import InvalidDocumentException  # noqa: E402
from samtranslator.parser.parser import Parser  # noqa: E402
from samtranslator.translator.translator import Translator  # noqa: E402

# Hides the transform's warnings about its usage metrics, which have no receiver here.
logging.getLogger("samtranslator").setLevel(logging.ERROR)

# The managed policies that SAM adds to the role of each function: to write logs and, with Tracing,
# to send traces to X-Ray, which has no resources to restrict. Other managed policies come from
# event sources or settings of SAM. They would allow all resources of the account.
MANAGED_POLICIES = ("service-role/AWSLambdaBasicExecutionRole", "policy/AWSXrayWriteOnlyAccess")
# The role of CodeDeploy, under which no code of this project runs. IAM cannot restrict the alarms
# that it reads.
CODE_DEPLOY = ("CodeDeployServiceRole", "service-role/AWSCodeDeployRoleForLambda")


def translate(template, given=None):
    """Return the CloudFormation template of a SAM template with the given parameters."""
    template = copy.deepcopy(template)
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            # As in the template of `sam deploy`: the transform accepts no local folder.
            resource["Properties"]["CodeUri"] = {"Bucket": "artifacts", "Key": "code.zip"}
    parameters = {name: p.get("Default", "") for name, p in template.get("Parameters", {}).items()} | (given or {})
    return Translator({}, Parser()).translate(template, parameters)


def findings(template, given=None):
    """Return the findings of SAM's transform, or else those of cfn-lint and too_wide."""
    try:
        stack = translate(template, given)
    except InvalidDocumentException as e:
        return [f"SAM: {cause.message}" for cause in e.causes]
    return matches(json.dumps(stack, indent=1, default=str)) + too_wide(stack)


def matches(text):
    """Return cfn-lint's findings in the text of a CloudFormation template."""
    found = []
    for match in lint(text, config=ManualArgs(regions=[REGION])):
        where = "/".join(str(step) for step in match.path or []) or f"line {match.linenumber}"
        found.append(f"{match.rule.id} {match.message} [{where}]")
    return found


def too_wide(stack):
    """Return the roles with managed policies beyond MANAGED_POLICIES."""
    found = []
    for name, resource in stack["Resources"].items():
        if resource["Type"] != "AWS::IAM::Role":
            continue
        for arn in resource["Properties"].get("ManagedPolicyArns", []):
            if not str(arn).endswith(MANAGED_POLICIES) and not (name == CODE_DEPLOY[0] and str(arn).endswith(CODE_DEPLOY[1])):
                found.append(f"{name} has the managed policy {arn}")
    return found


def silent(template):
    """Return the alarms of a CloudFormation template that have no action."""
    return [f"{name} has no AlarmActions" for name, resource in template["Resources"].items()
            if resource["Type"] == "AWS::CloudWatch::Alarm" and not resource["Properties"].get("AlarmActions")]


def stream_event(template):
    first(template)["Events"]["Stream"] = {
        "Type": "DynamoDB",
        "Properties": {"Stream": {"Fn::GetAtt": ["Outbox", "StreamArn"]}, "StartingPosition": "LATEST"},
    }


def first(template):
    """Return the properties of the first function with a route."""
    functions = (r["Properties"] for r in template["Resources"].values() if r["Type"] == "AWS::Serverless::Function")
    return next(f for f in functions if any(e["Type"] == "HttpApi" for e in f.get("Events", {}).values()))


def resource(template, name):
    return template["Resources"][name]


# Mistakes, each with a part of the finding that it must cause. One copy of the template has all
# mistakes of a group, because cfn-lint takes seconds. The transform stops at its first finding, so
# each mistake for the transform is a group.
MISTAKES = [
    {
        "an event without a method": (
            lambda t: next(iter(first(t)["Events"].values()))["Properties"].pop("Method"),
            "Property 'Method' is required",
        ),
    },
    {
        "a property that SAM does not know": (
            lambda t: resource(t, "EventRecord")["Properties"].update(TimeOut=3),
            "TimeOut",
        ),
    },
    {
        "a runtime that does not exist": (
            lambda t: t["Globals"]["Function"].update(Runtime="provided.al2099"),
            "provided.al2099",
        ),
        "an IAM action that does not exist": (
            lambda t: first(t)["Policies"][0]["Statement"][0].update(Action=["dynamodb:GetItems"]),
            "getitems",
        ),
        "a reference to a missing resource": (
            lambda t: first(t)["Environment"]["Variables"].update(EXTRA={"Ref": "Nothing"}),
            "'Nothing' is not one of",
        ),
        "an unused parameter": (
            lambda t: t["Parameters"].update(Unused={"Type": "String"}),
            "Parameter Unused not used",
        ),
        "a key without an attribute definition": (
            lambda t: resource(t, "Outbox")["Properties"]["KeySchema"][0].update(AttributeName="Pk"),
            "'Pk'",
        ),
        "a deletion policy that does not exist": (
            lambda t: resource(t, "Outbox").update(DeletionPolicy="Retian"),
            "'Retian'",
        ),
        "a batch response type that does not exist": (
            lambda t: resource(t, "OutboxStream")["Properties"].update(FunctionResponseTypes=["ReportBatchFailures"]),
            "'ReportBatchFailures'",
        ),
        "an event source that adds a managed policy": (stream_event, "AWSLambdaDynamoDBExecutionRole"),
    },
]


def missed(template):
    """Return the names of the mistakes that cause no matching finding."""
    names = []
    for together in MISTAKES:
        broken = copy.deepcopy(template)
        for change, _ in together.values():
            change(broken)
        found = "\n".join(findings(broken))
        names += [what for what, (_, piece) in together.items() if piece not in found]
    return names


def main(arguments):
    prove = "--prove" in arguments
    paths = [a for a in arguments if not a.startswith("-")] or ["template.yaml"]
    with open(paths[0], encoding="utf-8") as file:
        template = yaml_parse(file.read())

    found = [f"{paths[0]}: {line}" for line in findings(template)]
    for path in sorted(glob.glob("events/owner/*.yaml")):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        found += [f"{path}: {line}" for line in matches(text) + silent(yaml_parse(text))]
    for line in found:
        print(line, file=sys.stderr)
    if found or not prove:
        return 1 if found else 0

    not_found = missed(template)
    for what in not_found:
        print(f"lint.py misses {what}", file=sys.stderr)
    return 1 if not_found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
