"""Check what a deployment needs before it changes anything. `make deploy` runs this script.

usage: preflight.py ENV

ENV is an environment of samconfig.toml. The script only reads. It prints one line for each check,
and for each failure what to do. It exits with status 1 after a failure.
"""

import json
import os
import re
import sys
import urllib.error
import urllib.request

import boto3
import tomlkit
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from samcli.yamlhelper import yaml_parse

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "structure"))
from deployments import Deployment  # noqa: E402

MIN_UNRESERVED = 100  # Lambda keeps these executions for functions without a reservation
USUAL_QUOTA = 1000  # for which the limits of the gateway are chosen
RESERVATIONS = ("FeedConcurrency", "ValidationConcurrency", "WorkflowConcurrency")
CERTIFICATES = {"AppsCertificateArn": "AppsDomainName", "PlatformCertificateArn": "PlatformDomainName"}
TIMEOUT = 10  # seconds for a request to the token issuer

# What to do in each state of a stack. A state without an entry can be deployed to.
STATES = {
    "ROLLBACK_COMPLETE": "the first deployment failed. Find the cause in the stack's events, then delete the stack: "
                         "aws cloudformation delete-stack --stack-name {stack}. Its empty tables and bucket stay; delete them too",
    "ROLLBACK_FAILED": "the first deployment failed, and so did its rollback. Delete the stack, and keep the resources "
                       "that cannot be deleted: aws cloudformation delete-stack --stack-name {stack} --deletion-mode FORCE_DELETE_STACK",
    "UPDATE_ROLLBACK_FAILED": "remove the cause that the stack's events name, then run: "
                              "aws cloudformation continue-update-rollback --stack-name {stack}",
    "DELETE_FAILED": "delete the stack completely: aws cloudformation delete-stack --stack-name {stack} --deletion-mode FORCE_DELETE_STACK",
    "CREATE_FAILED": "delete the stack: aws cloudformation delete-stack --stack-name {stack}",
    "IMPORT_ROLLBACK_FAILED": "remove the cause that the stack's events name, then delete the stack",
}


class Failure(Exception):
    """A check failed. The message says what is wrong, and then what to do."""


class Preflight:
    """The checks of one environment. client returns a client of a service."""

    def __init__(self, config, template, client, fetch):
        self.template = template
        self.client = client
        self.fetch = fetch
        self.stack = config["global"]["parameters"]["stack_name"]
        self.region = config["global"]["parameters"]["region"]
        self.given = dict(pair.split("=", 1) for pair in config["deploy"]["parameters"]["parameter_overrides"])
        self.parameters = {n: str(p.get("Default", "")) for n, p in template["Parameters"].items()} | self.given
        self.account = None

    def run(self, out):
        """Run all checks, print their results to out, and return whether none failed."""
        passed = True
        for check in (self.check_parameters, self.check_account, self.check_stack, self.check_alarms, self.check_secret,
                      self.check_certificates, self.check_issuer, self.check_concurrency):
            name = check.__name__.removeprefix("check_")
            try:
                print(f"  {name}: {check()}", file=out)
            except Failure as failure:
                passed = False
                print(f"  {name}: FAILED: {failure}", file=out)
            except ClientError as error:
                passed = False
                code, operation = error.response["Error"]["Code"], error.operation_name
                print(f"  {name}: FAILED: AWS rejects {operation} with {code}. Check the permissions of your credentials.", file=out)
            except BotoCoreError as error:
                passed = False
                print(f"  {name}: FAILED: {error}. Check your credentials (aws sts get-caller-identity) and your network.", file=out)
            if not passed and check in (self.check_parameters, self.check_account):
                break  # the other checks would only repeat this failure
        return passed

    def check_parameters(self):
        for name in self.given:
            if name not in self.template["Parameters"]:
                raise Failure(f"template.yaml has no parameter {name}. Remove it from samconfig.toml.")
        for name, parameter in self.template["Parameters"].items():
            value = self.parameters[name]
            if "Default" not in parameter and name not in self.given:
                raise Failure(f"the required parameter {name} is missing. Add it to samconfig.toml.")
            if "AllowedPattern" in parameter and not re.fullmatch(parameter["AllowedPattern"], value):
                raise Failure(f"{name} has the value {value!r}, which does not match {parameter['AllowedPattern']}. Correct samconfig.toml.")
            if "AllowedValues" in parameter and value not in map(str, parameter["AllowedValues"]):
                raise Failure(f"{name} has the value {value!r}. Use one of {', '.join(map(str, parameter['AllowedValues']))}.")
        rejected = Deployment(self.template | {"Resources": {}, "Outputs": {}}, self.given).rejected
        if rejected:
            raise Failure(" ".join(rejected))
        unknown = [n for n in ("AppsBaseUrl", "PlatformBaseUrl") if self.parameters[n].endswith(".invalid")]
        note = f". {' and '.join(unknown)} are examples: enter the stack's outputs after this deployment, and deploy again" if unknown else ""
        return f"{len(self.given)} values in samconfig.toml{note}"

    def check_account(self):
        self.account = self.client("sts").get_caller_identity()["Account"]
        for name, value in self.given.items():
            found = re.fullmatch(r"arn:[a-z-]+:(\w+):([a-z0-9-]+):(\d{12}):.+", value)
            if found and found[3] != self.account:
                raise Failure(f"{name} is in the account {found[3]}, your credentials are for {self.account}. "
                              "Use the credentials of the other account, or enter a resource of this one in samconfig.toml.")
            if found and found[2] != self.region:
                raise Failure(f"{name} is in the region {found[2]}, the stack is in {self.region}. Use a resource of the stack's region.")
        return f"{self.account} in {self.region}"

    def check_stack(self):
        try:
            stack, = self.client("cloudformation").describe_stacks(StackName=self.stack)["Stacks"]
        except ClientError as error:
            if "does not exist" in error.response["Error"]["Message"]:
                return f"{self.stack} does not exist, this is the first deployment"
            raise
        state = stack["StackStatus"]
        if state in STATES:
            raise Failure(f"{self.stack} is in the state {state}: {STATES[state].format(stack=self.stack)}.")
        if state == "REVIEW_IN_PROGRESS":
            return f"{self.stack} has no resources yet, this is the first deployment"
        if state.endswith("_IN_PROGRESS"):
            raise Failure(f"{self.stack} is in the state {state}: another deployment runs. Wait for its end: "
                          f"aws cloudformation describe-stacks --stack-name {self.stack}")
        return f"{self.stack} is in the state {state}"

    def check_alarms(self):
        if self.parameters["GradualDeployment"] != "true":
            return "not watched, GradualDeployment is false"
        names = [a["Fn::Sub"].replace("${AWS::StackName}", self.stack)
                 for a in self.template["Globals"]["Function"]["DeploymentPreference"]["Alarms"]]
        alarms = self.client("cloudwatch").describe_alarms(AlarmNames=names)["MetricAlarms"]
        red = sorted(a["AlarmName"] for a in alarms if a["StateValue"] == "ALARM")
        if red:
            raise Failure(f"{', '.join(red)} fires, so CodeDeploy would roll the deployment back. If the deployment repairs the cause, "
                          "set GradualDeployment=false in samconfig.toml for this deployment.")
        return f"none of {len(names)} fires"

    def check_secret(self):
        arn = self.parameters["IdentityKeySecretArn"]
        create = ("Create it (aws secretsmanager create-secret --secret-string \"$(openssl rand -hex 32)\" --name …) and enter "
                  "its ARN in samconfig.toml, or correct the ARN. If the stack has data, restore the same key.")
        try:
            secret = self.client("secretsmanager").describe_secret(SecretId=arn)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ResourceNotFoundException":
                raise Failure(f"the secret {arn} does not exist. {create}") from error
            raise
        if "DeletedDate" in secret:
            raise Failure(f"the secret {arn} is marked for deletion. Restore it: aws secretsmanager restore-secret --secret-id {arn}")
        if "AWSCURRENT" not in sum(secret.get("VersionIdsToStages", {}).values(), []):
            raise Failure(f"the secret {arn} has no value. {create}")
        if secret.get("RotationEnabled"):
            raise Failure(f"the secret {arn} rotates, and a new key would make every known identity look new. "
                          f"Turn it off: aws secretsmanager cancel-rotate-secret --secret-id {arn}")
        key = secret.get("KmsKeyId", "")
        if key and not key.endswith("alias/aws/secretsmanager") and key != self.parameters["KmsKeyArn"]:
            raise Failure(f"the secret is encrypted with {key}, which the functions may not use. Set KmsKeyArn to this key, or run: "
                          f"aws secretsmanager update-secret --secret-id {arn} --kms-key-id alias/aws/secretsmanager")
        return f"{secret['Name']} exists"

    def check_certificates(self):
        domains = {arn: domain for arn, domain in CERTIFICATES.items() if self.parameters[domain]}
        for name, domain in domains.items():
            arn, wanted = self.parameters[name], self.parameters[domain]
            try:
                certificate = self.client("acm").describe_certificate(CertificateArn=arn)["Certificate"]
            except ClientError as error:
                if error.response["Error"]["Code"] == "ResourceNotFoundException":
                    raise Failure(f"the certificate {arn} of {name} does not exist. Request one for {wanted} in {self.region}.") from error
                raise
            if certificate["Status"] == "PENDING_VALIDATION":
                raise Failure(f"the certificate of {name} is not issued yet. Create the DNS records that "
                              f"aws acm describe-certificate --certificate-arn {arn} shows, and wait for the status ISSUED.")
            if certificate["Status"] != "ISSUED":
                raise Failure(f"the certificate of {name} has the status {certificate['Status']}. Request a new one for {wanted}.")
            names = [certificate["DomainName"], *certificate.get("SubjectAlternativeNames", [])]
            if not any(n == wanted or n.startswith("*.") and n[1:] == wanted[wanted.find("."):] for n in names):
                raise Failure(f"the certificate of {name} is for {', '.join(dict.fromkeys(names))}, not for {wanted}. Request one for {wanted}.")
        return f"{len(domains)} issued" if domains else "no domain"

    def check_issuer(self):
        """Functions and, with GatewayTokens, API Gateway read the issuer's keys."""
        issuer, keys = self.parameters["TokenIssuer"], self.parameters["TokenJwks"]
        if self.parameters["GatewayTokens"] == "true":
            url = issuer.rstrip("/") + "/.well-known/openid-configuration"
            document = self.read(url, "GatewayTokens needs an issuer with OpenID discovery. Correct TokenIssuer, or set GatewayTokens=false.")
            if document.get("issuer") != issuer:
                raise Failure(f"{url} names the issuer {document.get('issuer')!r}. Set TokenIssuer to exactly this value.")
            if not document.get("jwks_uri"):
                raise Failure(f"{url} has no jwks_uri. Set GatewayTokens=false.")
        if re.match("https?:", keys) and not self.read(keys, "Correct TokenJwks.").get("keys"):
            raise Failure(f"{keys} has no keys. Correct TokenJwks.")
        return issuer

    def read(self, url, remedy):
        """Return the JSON object at a URL."""
        try:
            document = json.loads(self.fetch(url))
        except (OSError, ValueError, urllib.error.URLError) as error:
            raise Failure(f"{url} does not return JSON ({error}). {remedy}") from error
        if not isinstance(document, dict):
            raise Failure(f"{url} does not return a JSON object. {remedy}")
        return document

    def check_concurrency(self):
        quota = self.client("lambda").get_account_settings()["AccountLimit"]["ConcurrentExecutions"]
        raise_it = "Request a higher quota: aws service-quotas request-service-quota-increase --service-code lambda " \
                   f"--quota-code L-B99A9384 --desired-value {USUAL_QUOTA} --region {self.region}"
        reserved = sum(int(self.parameters[name]) for name in RESERVATIONS)
        if reserved and quota - reserved < MIN_UNRESERVED:
            raise Failure(f"{', '.join(RESERVATIONS)} reserve {reserved} of {quota} executions, but {MIN_UNRESERVED} must stay "
                          f"unreserved. Lower them, or: {raise_it}")
        if quota < MIN_UNRESERVED:
            raise Failure(f"the account may run {quota} functions at the same time, fewer than one held request per organisation needs. {raise_it}")
        note = "" if quota >= USUAL_QUOTA else f". Below {USUAL_QUOTA}, also lower HeldRequestsPerOrg and the limits per second"
        return f"{quota} executions, {reserved} reserved{note}"


def fetch(url):
    with urllib.request.urlopen(url, timeout=TIMEOUT) as response:
        return response.read(1 << 20)


def main(arguments):
    if len(arguments) != 1:
        sys.exit(__doc__)
    with open("samconfig.toml", encoding="utf-8") as file:
        config = tomlkit.load(file).unwrap()
    name, = arguments
    environments = [n for n, c in config.items() if isinstance(c, dict) and "parameter_overrides" in c.get("deploy", {}).get("parameters", {})]
    if name not in environments:
        sys.exit(f"preflight: samconfig.toml has no environment {name}. Use ENV={' or ENV='.join(environments)}.")
    with open("template.yaml", encoding="utf-8") as file:
        template = yaml_parse(file.read())
    region = config[name]["global"]["parameters"]["region"]
    settings = Config(retries={"mode": "standard"}, connect_timeout=TIMEOUT, read_timeout=TIMEOUT)
    print(f"checks before the deployment of {name}:")
    if not Preflight(config[name], template, lambda service: boto3.client(service, region_name=region, config=settings), fetch).run(sys.stdout):
        sys.exit("preflight: nothing was changed. Correct the failures, then deploy again.")


if __name__ == "__main__":
    main(sys.argv[1:])
