"""Tests of attach.py with the translated template.

    attach_test.py      in the virtual environment of aws-sam-cli
"""

import json
import os
import sys
import unittest

import boto3
from botocore.stub import Stubber
from samcli.yamlhelper import yaml_parse

sys.path.insert(0, os.path.dirname(__file__))
from attach import plan  # noqa: E402
from deployments import KEY, Deployment  # noqa: E402
from lint import matches, translate  # noqa: E402

NAMES = {"Instances": "i", "Outbox": "o", "Events": "e", "Applications": "a", "Parties": "p", "Subscriptions": "s",
         "Blobs": "b"}
GIVEN = {"TokenAudience": "api", "KmsKeyArn": KEY, "AllowedOrigins": "https://skjema.example.no"}

with open("template.yaml", encoding="utf-8") as file:
    TEMPLATE = yaml_parse(file.read())


class AttachTest(unittest.TestCase):
    def test_plan(self):
        for given in ({}, GIVEN, {"ProtectData": "false"}):
            stack, imported = plan(TEMPLATE, given, NAMES)
            deployed = Deployment(translate(TEMPLATE, given), given).resources
            kept = {n for n, r in deployed.items() if r.get("DeletionPolicy") == "Retain" and r["Type"] != "AWS::Lambda::Version"}
            self.assertEqual(set(stack["Resources"]), kept)
            self.assertEqual({r["LogicalResourceId"] for r in imported}, kept)
            for name, resource in stack["Resources"].items():
                # The deployment after the import must change no resource.
                self.assertEqual(resource["Properties"], deployed[name]["Properties"])
                # CloudFormation imports only resources with a DeletionPolicy.
                self.assertEqual((resource["DeletionPolicy"], resource["UpdateReplacePolicy"]), ("Retain", "Retain"))
            # Nothing refers to a resource, parameter or condition that the import template lacks.
            self.assertEqual(matches(json.dumps(stack)), [])
            self.assertNotIn('"Ref"', json.dumps(stack))

    def test_request(self):
        """botocore's model accepts the change set."""
        stack, imported = plan(TEMPLATE, {}, NAMES)
        client = boto3.client("cloudformation", region_name="eu-north-1", aws_access_key_id="test", aws_secret_access_key="test")
        with Stubber(client) as stubber:
            stubber.add_response("create_change_set", {"Id": "arn:aws:cloudformation:x"})
            client.create_change_set(StackName="s", ChangeSetName="attach", ChangeSetType="IMPORT", TemplateBody=json.dumps(stack),
                                     ResourcesToImport=imported)
        self.assertLess(len(json.dumps(stack, indent=1)), 51_200)  # the limit of TemplateBody

    def test_missing_names(self):
        with self.assertRaisesRegex(ValueError, "give a name for each of Instances"):
            plan(TEMPLATE, {}, {"Instances": "i"})


if __name__ == "__main__":
    unittest.main()
