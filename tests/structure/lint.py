"""Lints template.yaml as AWS will see it: SAM's transform first, offline, then cfn-lint on what comes out of it.

cfn-lint no longer translates SAM templates itself, and passes many mistakes in one (a runtime that does not exist, an
event without a method). Every finding is fatal, warnings included. What cfn-lint cannot see is in the Go tests beside
this file.

    lint.py [TEMPLATE]            lint, exit 1 on any finding
    lint.py --prove [TEMPLATE]    the same, then make mistakes in a copy, and exit 1 for each that is not found

The templates for owners, events/owner/*.yaml, are plain CloudFormation and linted as they are, when they are there.

Runs in the virtual environment that aws-sam-cli is installed in, and needs no credentials and no network.
"""

import copy
import glob
import json
import logging
import os
import sys

REGION = "eu-north-1"
os.environ["AWS_DEFAULT_REGION"] = REGION  # the transform asks for one, whichever

from cfnlint.api import lint  # noqa: E402
from cfnlint.config import ManualArgs  # noqa: E402
from samcli.yamlhelper import yaml_parse  # noqa: E402
from samtranslator.model.exceptions import InvalidDocumentException  # noqa: E402
from samtranslator.parser.parser import Parser  # noqa: E402
from samtranslator.translator.translator import Translator  # noqa: E402

# The transform counts what it does, and complains that nobody asks.
logging.getLogger("samtranslator").setLevel(logging.ERROR)

# What SAM gives the role of every function that has its own policies, and with Tracing the right to send to X-Ray, which
# knows no resources. More than this would come of an event source or a setting of SAM's that brings a managed policy
# along, and those are for all resources of an account.
MANAGED_POLICIES = ("service-role/AWSLambdaBasicExecutionRole", "policy/AWSXrayWriteOnlyAccess")
# CodeDeploy's own role, which no code of ours runs under. Which alarms it may look at cannot be said by resource.
CODE_DEPLOY = ("CodeDeployServiceRole", "service-role/AWSCodeDeployRoleForLambda")

# Parameters that the transform itself reads. Nothing is left of them afterwards, which cfn-lint would call unused.
CONSUMED = ("GradualDeployment",)


def translate(template, given=None):
    """The CloudFormation that AWS makes of a SAM template, with the parameters that are given."""
    template = copy.deepcopy(template)
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            # As `sam deploy` leaves it: the transform takes no local folder.
            resource["Properties"]["CodeUri"] = {"Bucket": "artifacts", "Key": "code.zip"}
    parameters = {name: p.get("Default", "") for name, p in template.get("Parameters", {}).items()} | (given or {})
    return Translator({}, Parser()).translate(template, parameters)


def findings(template, given=None):
    """What is wrong with a SAM template, one line each."""
    try:
        stack = translate(template, given)
    except InvalidDocumentException as e:
        return [f"SAM: {cause.message}" for cause in e.causes]
    for name in CONSUMED:
        stack["Parameters"].pop(name)
    return matches(json.dumps(stack, indent=1, default=str)) + too_wide(stack)


def matches(text):
    """What cfn-lint finds in the text of a CloudFormation template."""
    found = []
    for match in lint(text, config=ManualArgs(regions=[REGION])):
        where = "/".join(str(step) for step in match.path or []) or f"line {match.linenumber}"
        found.append(f"{match.rule.id} {match.message} [{where}]")
    return found


def too_wide(stack):
    """Roles with more than their own statements and the right to write logs."""
    found = []
    for name, resource in stack["Resources"].items():
        if resource["Type"] != "AWS::IAM::Role":
            continue
        for arn in resource["Properties"].get("ManagedPolicyArns", []):
            if not str(arn).endswith(MANAGED_POLICIES) and not (name == CODE_DEPLOY[0] and str(arn).endswith(CODE_DEPLOY[1])):
                found.append(f"{name} has the managed policy {arn}")
    return found


def stream_event(template):
    first(template)["Events"]["Stream"] = {
        "Type": "DynamoDB",
        "Properties": {"Stream": {"Fn::GetAtt": ["Outbox", "StreamArn"]}, "StartingPosition": "LATEST"},
    }


def first(template):
    """The properties of the first function."""
    return next(r for r in template["Resources"].values() if r["Type"] == "AWS::Serverless::Function")["Properties"]


def resource(template, name):
    return template["Resources"][name]


# Mistakes, each with a piece of the finding that has to come of it. Those of one group are made in one copy of the
# template: cfn-lint takes seconds. The transform ends at its first finding, so each of its own is a group.
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
        "a reference to nothing": (
            lambda t: first(t)["Environment"]["Variables"].update(EXTRA={"Ref": "Nothing"}),
            "'Nothing' is not one of",
        ),
        "an unused parameter": (
            lambda t: t["Parameters"].update(Unused={"Type": "String"}),
            "Parameter Unused not used",
        ),
        "a key that is no attribute": (
            lambda t: resource(t, "Outbox")["Properties"]["KeySchema"][0].update(AttributeName="Pk"),
            "'Pk'",
        ),
        "a deletion policy that does not exist": (
            lambda t: resource(t, "Outbox").update(DeletionPolicy="Retian"),
            "'Retian'",
        ),
        "an answer type of a batch that does not exist": (
            lambda t: resource(t, "OutboxStream")["Properties"].update(FunctionResponseTypes=["ReportBatchFailures"]),
            "'ReportBatchFailures'",
        ),
        "an event source that brings a managed policy": (stream_event, "AWSLambdaDynamoDBExecutionRole"),
    },
]


def missed(template):
    """The mistakes that findings does not find."""
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
            found += [f"{path}: {line}" for line in matches(file.read())]
    for line in found:
        print(line, file=sys.stderr)
    if found or not prove:
        return 1 if found else 0

    unseen = missed(template)
    for what in unseen:
        print(f"lint.py does not find {what}", file=sys.stderr)
    return 1 if unseen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
