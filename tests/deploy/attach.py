"""Write the files with which CloudFormation imports the retained tables and bucket into a new stack.

usage: attach.py ENV LOGICAL_ID=NAME …      such as Instances=instance-api-prod-Instances-1ABC

After the deletion of a stack its tables and its bucket remain. The script writes, into .local/attach,
a template that has only these resources, its parameters, and the list of the resources to import. It
prints the commands that import them. `make deploy` then adds all other resources. The script needs
no credentials.
"""

import json
import os
import sys

import tomlkit
from samcli.yamlhelper import yaml_parse

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "structure"))
from deployments import Deployment  # noqa: E402
from lint import translate  # noqa: E402

FOLDER = os.path.join(".local", "attach")
IDENTIFIERS = {"AWS::DynamoDB::Table": "TableName", "AWS::S3::Bucket": "BucketName"}


def plan(template, given, names):
    """Return the import template and the resources to import.

    names has the physical name of each table and of the bucket, by logical id. The properties are
    those that `make deploy` gives the resources, so the deployment after the import changes none.
    """
    resources = {n: r for n, r in Deployment(translate(template, given), given).resources.items() if r["Type"] in IDENTIFIERS}
    if set(names) != set(resources):
        raise ValueError(f"give a name for each of {', '.join(resources)}; got {', '.join(names) or 'none'}")
    imported = [{"ResourceType": r["Type"], "LogicalResourceId": n, "ResourceIdentifier": {IDENTIFIERS[r["Type"]]: names[n]}}
                for n, r in resources.items()]
    kept = {n: {k: v for k, v in r.items() if k in ("Type", "DeletionPolicy", "UpdateReplacePolicy", "Properties")}
            for n, r in resources.items()}
    return {"AWSTemplateFormatVersion": "2010-09-09", "Resources": kept}, imported


def main(arguments):
    if len(arguments) < 2 or any("=" not in pair for pair in arguments[1:]):
        sys.exit(__doc__)
    with open("samconfig.toml", encoding="utf-8") as file:
        config = tomlkit.load(file).unwrap()[arguments[0]]
    with open("template.yaml", encoding="utf-8") as file:
        template = yaml_parse(file.read())
    given = dict(pair.split("=", 1) for pair in config["deploy"]["parameters"]["parameter_overrides"])
    try:
        stack, imported = plan(template, given, dict(pair.split("=", 1) for pair in arguments[1:]))
    except ValueError as error:
        sys.exit(f"attach: {error}")
    os.makedirs(FOLDER, exist_ok=True)
    for name, content in (("template.json", stack), ("resources.json", imported)):
        with open(os.path.join(FOLDER, name), "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1)
    name = config["global"]["parameters"]["stack_name"]
    change = f"--stack-name {name} --change-set-name attach --region {config['global']['parameters']['region']}"
    print(f"""Import the resources, then deploy:

  aws cloudformation create-change-set {change} --change-set-type IMPORT \\
      --template-body file://{FOLDER}/template.json --resources-to-import file://{FOLDER}/resources.json
  aws cloudformation wait change-set-create-complete {change}
  aws cloudformation execute-change-set {change}
  aws cloudformation wait stack-import-complete --stack-name {name} --region {config['global']['parameters']['region']}
  make deploy ENV={arguments[0]}""")


if __name__ == "__main__":
    main(sys.argv[1:])
