#!/usr/bin/env python3
"""Deploy template.yaml, as it is, to the local AWS through its CloudFormation API.

usage: deploy.py TEMPLATE DIST STACK < parameters.json > deployed.json

DIST holds <name>/bootstrap, and what goes with it, for every function whose CodeUri ends in <name>. AWS_ENDPOINT_URL and AWS_REGION say where.
Nothing is bent: what CloudFormation would make of the template is computed with SAM's own transform. Then only what
the local AWS leaves out of a template is given to it in another form, each in a function below that says which:
routes, CORS, archives, alarms over several metrics. Delete the function when the local AWS has closed the gap.

On success standard output is {"outputs": {...}, "apis": {id: ApiId}, "functions": {id: {"name", "logGroup", "environment"}}};
on failure standard error names the resources that failed and why, and the exit status is 1.
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
OPERATION = re.compile(r"[^A-Za-z0-9]")


def client(service):
    """A client without kept-open connections to lose; endpoint and region come from the environment."""
    return boto3.client(service, aws_access_key_id="local", aws_secret_access_key="local",
                        config=Config(retries={"max_attempts": 3}, s3={"addressing_style": "path"}, max_pool_connections=8))


def upload_code(template, dist):
    """Zip every function's folder, uncompressed because nothing travels, and point its CodeUri at the upload."""
    s3 = client("s3")
    s3.create_bucket(Bucket=CODE_BUCKET)

    def upload(function):
        name = pathlib.PurePosixPath(function["Properties"]["CodeUri"]).name
        folder = dist / name
        if not (folder / "bootstrap").exists():
            sys.exit(f"deploy: template.yaml names CodeUri {function['Properties']['CodeUri']}, but {folder}/bootstrap was not built")
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


def expand(template, parameters):
    """SAM's transform: the CloudFormation that AWS would deploy."""

    class NoManagedPolicies:
        def load(self):
            return {}

    try:
        return transform(template, dict(parameters), NoManagedPolicies())
    except InvalidDocumentException as error:
        sys.exit("deploy: template.yaml is not valid SAM:\n" + "\n".join(f"  {c.message}" for c in error.causes))


class Deferred:
    """Values that only CloudFormation can compute, as outputs of the stack, for what is created after the stack."""

    def __init__(self, template):
        self.outputs = template.setdefault("Outputs", {})
        self.names = {}  # by value

    def put(self, value):
        """The value with each intrinsic function replaced by a reference for get."""
        if isinstance(value, dict):
            if len(value) == 1 and next(iter(value)).startswith(("Fn::", "Ref")):
                name = self.names.setdefault(json.dumps(value), f"Deferred{len(self.names)}")
                self.outputs[name] = {"Value": value}
                return {"$": name}
            return {k: self.put(v) for k, v in value.items()}
        return [self.put(v) for v in value] if isinstance(value, list) else value

    def get(self, value, outputs):
        if isinstance(value, dict):
            return outputs[value["$"]] if list(value) == ["$"] else {k: self.get(v, outputs) for k, v in value.items()}
        return [self.get(v, outputs) for v in value] if isinstance(value, list) else value


class Decider:
    """What CloudFormation makes of conditions and parameters, for what it does not get to see: the Body of an API."""

    def __init__(self, template, parameters):
        self.parameters = {n: p.get("Default", "") for n, p in template.get("Parameters", {}).items()} | parameters
        self.conditions = template.get("Conditions", {})

    def holds(self, condition):
        (function, argument), = condition.items()
        if function == "Fn::Equals":
            return self.decide(argument[0]) == self.decide(argument[1])
        if function == "Fn::Not":
            return not self.holds(argument[0])
        if function in ("Fn::And", "Fn::Or"):
            return (all if function == "Fn::And" else any)(self.holds(c) for c in argument)
        return self.holds(self.conditions[argument])  # Condition

    def decide(self, value):
        """The value with its branches taken and its parameters in place; None for AWS::NoValue."""
        if isinstance(value, list):
            return [self.decide(v) for v in value]
        if not isinstance(value, dict):
            return value
        if list(value) == ["Ref"] and value["Ref"] in (*self.parameters, "AWS::NoValue"):
            return self.parameters.get(value["Ref"])
        if list(value) == ["Fn::If"]:
            name, then, otherwise = value["Fn::If"]
            return self.decide(then if self.holds(self.conditions[name]) else otherwise)
        if list(value) == ["Fn::Split"]:
            separator, text = value["Fn::Split"]
            return self.decide(text).split(separator)
        decided = {k: self.decide(v) for k, v in value.items()}
        return {k: v for k, v in decided.items() if v is not None}


def write_out_routes(resources, decider):
    """Gap: an HttpApi's OpenAPI Body is ignored. Every operation becomes an integration and a route."""
    for api, resource in list(resources.items()):
        if resource["Type"] != "AWS::ApiGatewayV2::Api" or "Body" not in resource["Properties"]:
            continue
        body = decider.decide(resource["Properties"].pop("Body"))
        resource["Properties"] = {"Name": api, "ProtocolType": "HTTP"} | {
            k: v for k, v in resource["Properties"].items() if k not in ("FailOnWarnings", "BasePath", "CorsConfiguration")}
        for path, operations in body.get("paths", {}).items():
            for method, operation in operations.items():
                integration = operation.get("x-amazon-apigateway-integration")
                if integration is None:
                    continue
                if operation.get("security"):
                    sys.exit(f"deploy: {method} {path} has an authorizer (GatewayTokens), which this tool does not write out")
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
    """Gap: CORS in the template is stored under keys that the gateway does not read."""
    client("apigatewayv2").update_api(ApiId=api_id, CorsConfiguration={k[0].upper() + k[1:]: v for k, v in cors.items()})


def leave_out_metric_math(resources):
    """Gap: an alarm over more than one metric is refused. There are no metrics here either, so nothing is lost by leaving
    such alarms out, and the dashboard that shows them."""
    for name in [n for n, r in resources.items() if r["Type"] == "AWS::CloudWatch::Dashboard"
                 or r["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in r["Properties"]]:
        del resources[name]


def take_archives(resources):
    """Gap: AWS::Events::Archive is refused in a template. Returns their properties, by logical id."""
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
    # A template in the request itself may have 51,200 bytes.
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
        print(f"deploy: the stack was not created: {error}", file=sys.stderr)
        for line in failures(cloudformation, name):
            print(f"  {line}", file=sys.stderr)
        sys.exit(1)
    return {o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", [])}


class Failed(Exception):
    """A change set or stack that did not come to be."""


def wait(describe, status, reason):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        answer = describe()
        if answer[status] == "CREATE_COMPLETE":
            return answer
        if not answer[status].endswith("_IN_PROGRESS") and not answer[status].endswith("_PENDING"):
            raise Failed(f"{answer[status]} {answer.get(reason, '')}")
        time.sleep(0.1)
    raise Failed("it took longer than two minutes")


def failures(cloudformation, name):
    """What failed in the stack, first cause first."""
    try:
        events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    except ClientError:
        return []
    return [f"{e['LogicalResourceId']} ({e['ResourceType']}): {e.get('ResourceStatusReason', e['ResourceStatus'])}"
            for e in reversed(events) if e["ResourceStatus"].endswith("_FAILED")]


def main(template_file, dist, stack):
    parameters = json.load(sys.stdin)
    template = yaml_parse(pathlib.Path(template_file).read_text())
    unknown = set(parameters) - set(template.get("Parameters", {}))
    if unknown:
        sys.exit(f"deploy: template.yaml has no parameter {', '.join(sorted(unknown))}")
    upload_code(template, pathlib.Path(dist))
    template = expand(template, parameters)
    resources = template["Resources"]
    deferred = Deferred(template)
    cors = {api: deferred.put(c) for api, c in write_out_routes(resources, Decider(template, parameters))}
    leave_out_metric_math(resources)
    archives = {name: deferred.put(p) for name, p in take_archives(resources).items()}
    apis = {api: deferred.put({"Ref": api}) for api in cors}
    functions = {name: deferred.put({"name": {"Ref": name}, "logGroup": r["Properties"].get("LoggingConfig", {}).get("LogGroup"),
                                     "environment": r["Properties"].get("Environment", {}).get("Variables", {})})
                 for name, r in resources.items() if r["Type"] == "AWS::Lambda::Function"}

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
    json.dump({"outputs": {k: v for k, v in outputs.items() if k not in deferred.names.values()}, "apis": apis, "functions": functions},
              sys.stdout, indent=1)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__.split("\n\n")[1])
    try:
        main(*sys.argv[1:])
    except ClientError as failed:
        sys.exit(f"deploy: {failed}")
