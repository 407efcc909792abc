"""Tests of preflight.py. botocore's Stubber validates each request and response with AWS's models.

    preflight_test.py      in the virtual environment of aws-sam-cli
"""

import datetime
import io
import os
import sys
import unittest

import boto3
from botocore.stub import Stubber
from samcli.yamlhelper import yaml_parse

sys.path.insert(0, os.path.dirname(__file__))
from preflight import Preflight  # noqa: E402

with open("template.yaml", encoding="utf-8") as file:
    TEMPLATE = yaml_parse(file.read())

ACCOUNT, REGION = "444455556666", "eu-north-1"
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:key-AbCdEf"
CERTIFICATE = f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/0f6a1d3c-0000-4000-8000-000000000000"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/0f6a1d3c-0000-4000-8000-000000000000"
ISSUER = "https://issuer.example/"
GIVEN = {
    "IdentityKeySecretArn": SECRET, "TokenAudience": "api", "TokenIssuer": ISSUER, "TokenJwks": ISSUER + "keys",
    "PlatformDomainName": "platform.example.no", "PlatformCertificateArn": CERTIFICATE, "GatewayTokens": "true",
    "AppsBaseUrl": "https://{org}.apps.example.no", "PlatformBaseUrl": "https://platform.example.no",
    "GradualDeployment": "true", "FeedConcurrency": "200",
}
PAGES = {
    ISSUER + ".well-known/openid-configuration": b'{"issuer": "https://issuer.example/", "jwks_uri": "https://issuer.example/keys"}',
    ISSUER + "keys": b'{"keys": [{"kty": "RSA"}]}',
}


def certificate(**changes):
    return {"Certificate": {"CertificateArn": CERTIFICATE, "DomainName": "*.example.no", "Status": "ISSUED"} | changes}


def stack(state):
    return {"Stacks": [{"StackName": "instance-api-dev", "StackStatus": state, "CreationTime": datetime.datetime.now()}]}


def secret(**changes):
    return {"ARN": SECRET, "Name": "key", "VersionIdsToStages": {"0" * 32: ["AWSCURRENT"]}} | changes


# The response of each call of a successful check. A pair is an error: its code and message.
RESPONSES = {
    ("sts", "get_caller_identity"): {"Account": ACCOUNT},
    ("cloudformation", "describe_stacks"): stack("UPDATE_COMPLETE"),
    ("cloudwatch", "describe_alarms"): {"MetricAlarms": [{"AlarmName": "instance-api-dev-AppsServerErrorsAlarm", "StateValue": "OK"}]},
    ("secretsmanager", "describe_secret"): secret(),
    ("acm", "describe_certificate"): certificate(),
    ("lambda", "get_account_settings"): {"AccountLimit": {"ConcurrentExecutions": 1000, "UnreservedConcurrentExecutions": 1000}},
}


def run(given=None, responses=None, pages=None):
    """Return whether the checks pass, and what they print."""
    def client(service):
        c = boto3.client(service, region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test")
        stubber = Stubber(c)
        for (of, operation), response in (RESPONSES | (responses or {})).items():
            if of == service:
                if isinstance(response, tuple):
                    stubber.add_client_error(operation, *response)
                else:
                    stubber.add_response(operation, response)
        stubber.activate()
        return c

    def fetch(url):
        if url not in PAGES | (pages or {}):
            raise OSError("not found")
        return (PAGES | (pages or {}))[url]

    values = {k: v for k, v in (GIVEN | (given or {})).items() if v is not None}
    config = {"global": {"parameters": {"stack_name": "instance-api-dev", "region": REGION}},
              "deploy": {"parameters": {"parameter_overrides": [f"{k}={v}" for k, v in values.items()]}}}
    out = io.StringIO()
    passed = Preflight(config, TEMPLATE, client, fetch).run(out)
    return passed, out.getvalue()


class PreflightTest(unittest.TestCase):
    def test_passes(self):
        for name, arguments in {
            "an update": {},
            "a first deployment": {"responses": {("cloudformation", "describe_stacks"):
                                                 ("ValidationError", "Stack with id instance-api-dev does not exist")}},
            "a first deployment after an unused change set": {"responses": {("cloudformation", "describe_stacks"): stack("REVIEW_IN_PROGRESS")}},
            "an update that was rolled back": {"responses": {("cloudformation", "describe_stacks"): stack("UPDATE_ROLLBACK_COMPLETE")}},
            "the key of the stack": {"given": {"KmsKeyArn": KEY}, "responses": {("secretsmanager", "describe_secret"): secret(KmsKeyId=KEY)}},
            "a certificate for the domain itself": {"responses": {("acm", "describe_certificate"): certificate(DomainName="platform.example.no")}},
        }.items():
            with self.subTest(name):
                passed, out = run(**arguments)
                self.assertTrue(passed, out)
                self.assertNotIn("FAILED", out)

    def test_fails(self):
        """Each failure has a line with what is wrong and what to do."""
        stacks, secrets = ("cloudformation", "describe_stacks"), ("secretsmanager", "describe_secret")
        acm, quota = ("acm", "describe_certificate"), ("lambda", "get_account_settings")
        for words, arguments in {
            "no parameter IdentityKey. Remove it": {"given": {"IdentityKey": "x"}},
            "required parameter IdentityKeySecretArn is missing": {"given": {"IdentityKeySecretArn": None}},
            "does not match https?": {"given": {"AppsBaseUrl": "apps.example.no"}},
            "Use one of true, false": {"given": {"GatewayTokens": "yes"}},
            "Set TokenAudience": {"given": {"TokenAudience": None}},
            "is in the account 111122223333": {"given": {"IdentityKeySecretArn": SECRET.replace(ACCOUNT, "111122223333")}},
            "is in the region eu-west-1": {"given": {"PlatformCertificateArn": CERTIFICATE.replace(REGION, "eu-west-1")}},
            "rejects GetCallerIdentity with ExpiredToken": {"responses": {("sts", "get_caller_identity"): ("ExpiredToken", "expired")}},
            "ROLLBACK_COMPLETE: the first deployment failed": {"responses": {stacks: stack("ROLLBACK_COMPLETE")}},
            "--deletion-mode FORCE_DELETE_STACK": {"responses": {stacks: stack("ROLLBACK_FAILED")}},
            "continue-update-rollback": {"responses": {stacks: stack("UPDATE_ROLLBACK_FAILED")}},
            "DELETE_FAILED: delete the stack": {"responses": {stacks: stack("DELETE_FAILED")}},
            "another deployment runs": {"responses": {stacks: stack("UPDATE_IN_PROGRESS")}},
            "fires, so CodeDeploy would roll": {"responses": {("cloudwatch", "describe_alarms"): {
                "MetricAlarms": [{"AlarmName": "instance-api-dev-AppsServerErrorsAlarm", "StateValue": "ALARM"}]}}},
            "does not exist. Create it": {"responses": {secrets: ("ResourceNotFoundException", "none")}},
            "restore-secret": {"responses": {secrets: secret(DeletedDate=datetime.datetime.now())}},
            "has no value": {"responses": {secrets: secret(VersionIdsToStages={})}},
            "cancel-rotate-secret": {"responses": {secrets: secret(RotationEnabled=True)}},
            "Set KmsKeyArn to this key": {"responses": {secrets: secret(KmsKeyId=KEY)}},
            "Request one for platform.example.no in": {"responses": {acm: ("ResourceNotFoundException", "none")}},
            "wait for the status ISSUED": {"responses": {acm: certificate(Status="PENDING_VALIDATION")}},
            "has the status EXPIRED": {"responses": {acm: certificate(Status="EXPIRED")}},
            "is for example.no, not for platform.example.no": {"responses": {acm: certificate(DomainName="example.no")}},
            "needs an issuer with OpenID discovery": {"given": {"TokenIssuer": "https://other.example/"}},
            "Set TokenIssuer to exactly this value": {"pages": {ISSUER + ".well-known/openid-configuration": b'{"issuer": "https://issuer.example"}'}},
            "has no jwks_uri": {"pages": {ISSUER + ".well-known/openid-configuration": b'{"issuer": "https://issuer.example/"}'}},
            "does not return JSON": {"pages": {ISSUER + "keys": b"<html>"}},
            "has no keys": {"pages": {ISSUER + "keys": b'{"keys": []}'}},
            "100 must stay unreserved": {"given": {"FeedConcurrency": "901"}},
            "request-service-quota-increase": {"given": {"FeedConcurrency": None}, "responses": {
                quota: {"AccountLimit": {"ConcurrentExecutions": 10}}}},
        }.items():
            with self.subTest(words):
                passed, out = run(**arguments)
                self.assertFalse(passed, out)
                failed = [line for line in out.splitlines() if "FAILED" in line]
                self.assertEqual(len(failed), 1, out)
                self.assertIn(words, failed[0])


if __name__ == "__main__":
    unittest.main()
