#!/usr/bin/env python3
"""Deploy template.yaml unchanged to the local AWS through its CloudFormation API.

usage: deploy.py TEMPLATE DIST STACK < input.json > deployed.json

The input is {"parameters": {name: value}, "secrets": {name: text}}. A name in secrets is a
parameter whose value is the ARN of a secret with this text. The script creates the secret.

DIST contains the package of each function whose CodeUri ends in <name>, in <name>/: bootstrap and
the files that it serves. AWS_ENDPOINT_URL and AWS_REGION select the local AWS.

The script applies SAM's transform to the template. It then rewrites only the resources that the
local AWS does not support in a template: routes, CORS, archives, alarms with several metrics, the
malware scan, and parameters of the concurrency of a queue.
Each such gap has a function below. Delete the function when the local AWS supports the resource.

On success the script prints JSON to standard output: {"outputs": {...}, "apis": {id: ApiId},
"functions": {id: {"name", "logGroup", "environment"}}, "data": {type: {id: name}}}, where data has
the tables, buckets and queues. No list has a resource whose condition is false. On failure it prints the failed resources
and the reasons to standard error and exits with status 1.
"""

import concurrent.futures
import io
import json
import os
import pathlib
import re
import sys
import time
import zipfile

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from samtranslator.public.exceptions import InvalidDocumentException
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

CODE_BUCKET = "local-code"
DATA = ("AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::SQS::Queue")
OPERATION = re.compile(r"[^A-Za-z0-9]")


def client(service):
    """Return a client. Its endpoint and region come from the environment."""
    return boto3.client(service, aws_access_key_id="local", aws_secret_access_key="local",
                        config=Config(retries={"max_attempts": 3}, s3={"addressing_style": "path"}, max_pool_connections=8))


def upload_code(template, dist):
    """Upload the folder of each function as an uncompressed zip and set its CodeUri."""
    s3 = client("s3")
    s3.create_bucket(Bucket=CODE_BUCKET)

    def upload(function):
        name = pathlib.PurePosixPath(function["Properties"]["CodeUri"]).name
        folder = dist / name
        if not (folder / "bootstrap").exists():
            sys.exit(f"deploy: {folder}/bootstrap does not exist, but template.yaml has CodeUri "
                     f"{function['Properties']['CodeUri']}")
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as z:
            for file in sorted(f for f in folder.rglob("*") if f.is_file()):
                entry = zipfile.ZipInfo(file.relative_to(folder).as_posix(), (1980, 1, 1, 0, 0, 0))
                entry.external_attr = (0o100755 if file.name == "bootstrap" else 0o100644) << 16
                z.writestr(entry, file.read_bytes())
        s3.put_object(Bucket=CODE_BUCKET, Key=f"{name}.zip", Body=archive.getvalue())
        function["Properties"]["CodeUri"] = {"Bucket": CODE_BUCKET, "Key": f"{name}.zip"}

    functions = [r for r in template["Resources"].values() if r["Type"] == "AWS::Serverless::Function"]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(upload, functions))


def create_secret(name, text):
    """Create a secret with this text, or replace the text of an existing one. Return the ARN."""
    secrets = client("secretsmanager")
    try:
        return secrets.create_secret(Name=name, SecretString=text)["ARN"]
    except secrets.exceptions.ResourceExistsException:
        return secrets.put_secret_value(SecretId=name, SecretString=text)["ARN"]


def expand(template, parameters):
    """Apply SAM's transform: return the CloudFormation template that AWS would deploy."""

    class NoManagedPolicies:
        def load(self):
            return {}

    try:
        return transform(template, dict(parameters), NoManagedPolicies())
    except InvalidDocumentException as error:
        sys.exit("deploy: template.yaml is not valid SAM:\n" + "\n".join(f"  {c.message}" for c in error.causes))


class Deferred:
    """Values that only CloudFormation can compute, for resources that are created after the stack.

    Each value becomes an output of the stack.
    """

    def __init__(self, template):
        self.outputs = template.setdefault("Outputs", {})
        self.names = {}  # by value

    def put(self, value):
        """Return value with each intrinsic function replaced by a placeholder for get."""
        if isinstance(value, dict):
            if len(value) == 1 and next(iter(value)).startswith(("Fn::", "Ref")):
                name = self.names.setdefault(json.dumps(value), f"Deferred{len(self.names)}")
                self.outputs[name] = {"Value": value}
                return {"$": name}
            return {k: self.put(v) for k, v in value.items()}
        return [self.put(v) for v in value] if isinstance(value, list) else value

    def get(self, value, outputs):
        """Return value with each placeholder of put replaced by the stack's output."""
        if isinstance(value, dict):
            return outputs[value["$"]] if list(value) == ["$"] else {k: self.get(v, outputs) for k, v in value.items()}
        return [self.get(v, outputs) for v in value] if isinstance(value, list) else value


class Evaluator:
    """Evaluates conditions and parameters in an API's Body, which CloudFormation does not get."""

    def __init__(self, template, parameters):
        self.parameters = {n: p.get("Default", "") for n, p in template.get("Parameters", {}).items()} | parameters
        self.conditions = template.get("Conditions", {})

    def holds(self, condition):
        """Report whether a condition is true."""
        (function, argument), = condition.items()
        if function == "Fn::Equals":
            return self.evaluate(argument[0]) == self.evaluate(argument[1])
        if function == "Fn::Not":
            return not self.holds(argument[0])
        if function in ("Fn::And", "Fn::Or"):
            return (all if function == "Fn::And" else any)(self.holds(c) for c in argument)
        return self.holds(self.conditions[argument])  # Condition

    def evaluate(self, value):
        """Return value with conditions evaluated and parameters replaced, None for AWS::NoValue."""
        if isinstance(value, list):
            return [self.evaluate(v) for v in value]
        if not isinstance(value, dict):
            return value
        if list(value) == ["Ref"] and value["Ref"] in (*self.parameters, "AWS::NoValue"):
            return self.parameters.get(value["Ref"])
        if list(value) == ["Fn::If"]:
            name, then, fallback = value["Fn::If"]
            return self.evaluate(then if self.holds(self.conditions[name]) else fallback)
        if list(value) == ["Fn::Join"]:
            separator, parts = self.evaluate(value["Fn::Join"])
            return separator.join(parts) if all(isinstance(part, str) for part in parts) else {"Fn::Join": [separator, parts]}
        if list(value) == ["Fn::Split"]:
            separator, text = value["Fn::Split"]
            return self.evaluate(text).split(separator)
        evaluated = {k: self.evaluate(v) for k, v in value.items()}
        return {k: v for k, v in evaluated.items() if v is not None}


def write_out_routes(resources, evaluator):
    """Gap: the local AWS ignores the OpenAPI Body of an HttpApi.

    Create an integration and a route for each operation. Yield each API with its CORS configuration.
    """
    for api, resource in list(resources.items()):
        if resource["Type"] != "AWS::ApiGatewayV2::Api" or "Body" not in resource["Properties"]:
            continue
        body = evaluator.evaluate(resource["Properties"].pop("Body"))
        resource["Properties"] = {"Name": api, "ProtocolType": "HTTP"} | {
            k: v for k, v in resource["Properties"].items() if k not in ("FailOnWarnings", "BasePath", "CorsConfiguration")}
        for path, operations in body.get("paths", {}).items():
            for method, operation in operations.items():
                integration = operation.get("x-amazon-apigateway-integration")
                if integration is None:
                    continue
                if operation.get("security"):
                    sys.exit(f"deploy: {method} {path} has an authorizer (GatewayTokens), which this script does not support")
                verb = "ANY" if method == "x-amazon-apigateway-any-method" else method.upper()
                name = api + verb.title() + OPERATION.sub("", path.title())
                resources[name + "Integration"] = {"Type": "AWS::ApiGatewayV2::Integration", "Properties": {
                    "ApiId": {"Ref": api}, "IntegrationType": "AWS_PROXY", "IntegrationMethod": "POST",
                    "IntegrationUri": integration["uri"],
                    "PayloadFormatVersion": integration.get("payloadFormatVersion", "2.0")}}
                resources[name + "Route"] = {"Type": "AWS::ApiGatewayV2::Route", "Properties": {
                    "ApiId": {"Ref": api}, "RouteKey": "$default" if path == "/$default" else f"{verb} {path}",
                    "Target": {"Fn::Join": ["/", ["integrations", {"Ref": name + "Integration"}]]}}}
        yield api, body.get("x-amazon-apigateway-cors")


def set_cors(api_id, cors):
    """Gap: the local gateway does not read the keys under which it stores the template's CORS."""
    client("apigatewayv2").update_api(ApiId=api_id, CorsConfiguration={k[0].upper() + k[1:]: v for k, v in cors.items()})


def convert_concurrency(resources, evaluator):
    """Gap: the local AWS keeps a number that is a parameter as text, and then polls no queue."""
    for resource in resources.values():
        scaling = resource["Type"] == "AWS::Lambda::EventSourceMapping" and resource["Properties"].get("ScalingConfig")
        if scaling:
            scaling["MaximumConcurrency"] = int(evaluator.evaluate(scaling["MaximumConcurrency"]))


def remove_metric_math(resources):
    """Gap: the local AWS rejects alarms with more than one metric.

    Remove these alarms and the dashboard. The local AWS has no metrics, so they would do nothing.
    """
    for name in [n for n, r in resources.items() if r["Type"] == "AWS::CloudWatch::Dashboard"
                 or r["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in r["Properties"]]:
        del resources[name]


def remove_malware_scan(resources):
    """Gap: the local AWS has no GuardDuty. Remove the plan; package scanner replaces the scan."""
    for name in [n for n, r in resources.items() if r["Type"] == "AWS::GuardDuty::MalwareProtectionPlan"]:
        del resources[name]


def remove_archives(resources):
    """Gap: the local AWS rejects archives in a template. Remove them, return their properties."""
    names = [n for n, r in resources.items() if r["Type"] == "AWS::Events::Archive"]
    return {name: resources.pop(name)["Properties"] for name in names}


def create_archive(name, properties):
    arguments = {"ArchiveName": properties.get("ArchiveName", name), "EventSourceArn": properties["SourceArn"]}
    if "EventPattern" in properties:
        arguments["EventPattern"] = json.dumps(properties["EventPattern"])
    if "RetentionDays" in properties:
        arguments["RetentionDays"] = int(properties["RetentionDays"])
    client("events").create_archive(**arguments)


def create_stack(name, template, parameters):
    """Create the stack through a change set, as `sam deploy` does, and return its outputs."""
    cloudformation, s3 = client("cloudformation"), client("s3")
    # The template exceeds the 51,200 bytes that are allowed in the request itself.
    s3.put_object(Bucket=CODE_BUCKET, Key="template.json", Body=json.dumps(template, default=str).encode())
    try:
        cloudformation.create_change_set(
            StackName=name, ChangeSetName="deploy", ChangeSetType="CREATE",
            TemplateURL=f"{s3.meta.endpoint_url}/{CODE_BUCKET}/template.json",
            Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"])
        wait(lambda: cloudformation.describe_change_set(StackName=name, ChangeSetName="deploy"), "Status", "StatusReason")
        cloudformation.execute_change_set(StackName=name, ChangeSetName="deploy")
        stack = wait(lambda: cloudformation.describe_stacks(StackName=name)["Stacks"][0], "StackStatus", "StackStatusReason")
    except (ClientError, Failed) as error:
        print(f"deploy: cannot create the stack: {error}", file=sys.stderr)
        for line in failures(cloudformation, name):
            print(f"  {line}", file=sys.stderr)
        sys.exit(1)
    return {o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", [])}


class Failed(Exception):
    """The creation of a change set or stack failed."""


def wait(describe, status, reason):
    """Poll until the creation is complete. Raise Failed if it fails or takes five minutes."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        description = describe()
        if description[status] == "CREATE_COMPLETE":
            return description
        if not description[status].endswith("_IN_PROGRESS") and not description[status].endswith("_PENDING"):
            raise Failed(f"{description[status]} {description.get(reason, '')}")
        time.sleep(0.1)
    raise Failed("not complete after five minutes")


def failures(cloudformation, name):
    """Return the failed resources of the stack in the order of failure."""
    try:
        events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    except ClientError:
        return []
    return [f"{e['LogicalResourceId']} ({e['ResourceType']}): {e.get('ResourceStatusReason', e['ResourceStatus'])}"
            for e in reversed(events) if e["ResourceStatus"].endswith("_FAILED")]


def main(template_file, dist, stack):
    given = json.load(sys.stdin)
    parameters = given["parameters"] | {name: create_secret(name, text) for name, text in given["secrets"].items()}
    template = yaml_parse(pathlib.Path(template_file).read_text())
    unknown = set(parameters) - set(template.get("Parameters", {}))
    if unknown:
        sys.exit(f"deploy: template.yaml has no parameter {', '.join(sorted(unknown))}")
    upload_code(template, pathlib.Path(dist))
    template = expand(template, parameters)
    resources = template["Resources"]
    deferred = Deferred(template)
    evaluator = Evaluator(template, parameters)
    cors = {api: deferred.put(c) for api, c in write_out_routes(resources, evaluator)}
    convert_concurrency(resources, evaluator)
    remove_metric_math(resources)
    remove_malware_scan(resources)
    archives = {name: deferred.put(p) for name, p in remove_archives(resources).items()}
    apis = {api: deferred.put({"Ref": api}) for api in cors}
    created = {name: r for name, r in resources.items() if "Condition" not in r or evaluator.holds({"Condition": r["Condition"]})}
    functions = {name: deferred.put({"name": {"Ref": name}, "logGroup": r["Properties"].get("LoggingConfig", {}).get("LogGroup"),
                                     "environment": r["Properties"].get("Environment", {}).get("Variables", {})})
                 for name, r in created.items() if r["Type"] == "AWS::Lambda::Function"}
    data = {kind: {name: deferred.put({"Ref": name}) for name, r in created.items() if r["Type"] == kind} for kind in DATA}

    outputs = create_stack(stack, template, parameters)
    apis = deferred.get(apis, outputs)
    functions = deferred.get(functions, outputs)
    for api, configuration in cors.items():
        if configuration:
            set_cors(apis[api], deferred.get(configuration, outputs))
    for name, properties in archives.items():
        create_archive(name, deferred.get(properties, outputs))
    for function in functions.values():
        function["logGroup"] = function["logGroup"] or f"/aws/lambda/{function['name']}"
    json.dump({"outputs": {k: v for k, v in outputs.items() if k not in deferred.names.values()}, "apis": apis, "functions": functions,
               "data": deferred.get(data, outputs)}, sys.stdout, indent=1)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__.split("\n\n")[1])
    try:
        main(*sys.argv[1:])
    except ClientError as failed:
        sys.exit(f"deploy: {failed}")
