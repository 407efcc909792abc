"""Check that the previous release can be upgraded to template.yaml in one deployment.

A deployment is rejected, or loses data, if a release changes one of these too much:

  - A table. CloudFormation replaces it if its keys or its logical name change, and the data stays in
    the old table. It adds or deletes at most one index of a table in a deployment.
  - RouteSettings. API Gateway rejects the removal of a route whose settings still exist, so a
    release removes the settings, and the next release the route.
  - Names that others use: outputs, the bus, required parameters.

    upgrade.py             exit 1 on any finding
    upgrade.py --prove     then make such changes in a copy, exit 1 if a check misses one
    upgrade.py --release   make template.yaml the previous release: run it after a release

released.json has what the checks need of the previous release.
"""

import copy
import json
import os
import sys

from lint import translate
from samcli.yamlhelper import yaml_parse

RELEASED = os.path.join(os.path.dirname(__file__), "released.json")


def summary(template):
    """Return what the checks need of a template."""
    stack = translate(template)
    resources = stack["Resources"]
    tables = {}
    for name, r in resources.items():
        if r["Type"] == "AWS::DynamoDB::Table":
            p = r["Properties"]
            types = {a["AttributeName"]: a["AttributeType"] for a in p["AttributeDefinitions"]}

            def keys(schema, types=types):
                return [f"{k['AttributeName']} {types[k['AttributeName']]} {k['KeyType']}" for k in schema]

            tables[name] = {"name": p.get("TableName"), "keys": keys(p["KeySchema"]),
                            "indexes": {i["IndexName"]: [*keys(i["KeySchema"]), json.dumps(i["Projection"], sort_keys=True)]
                                        for i in p.get("GlobalSecondaryIndexes", [])}}
    return {
        "tables": tables,
        "buckets": {n: r["Properties"].get("BucketName") for n, r in resources.items() if r["Type"] == "AWS::S3::Bucket"},
        "buses": {n: r["Properties"]["Name"] for n, r in resources.items() if r["Type"] == "AWS::Events::EventBus"},
        "routes": {n: sorted(f"{m.upper()} {path}" for path, methods in r["Properties"]["Body"]["paths"].items() for m in methods)
                   for n, r in resources.items() if r["Type"] == "AWS::ApiGatewayV2::Api"},
        "routeSettings": {r["Properties"]["ApiId"]["Ref"]: sorted(r["Properties"].get("RouteSettings", {}))
                          for n, r in resources.items() if r["Type"] == "AWS::ApiGatewayV2::Stage"},
        "outputs": sorted(stack["Outputs"]),
        "required": sorted(n for n, p in template["Parameters"].items() if "Default" not in p),
    }


def findings(old, new):
    """Yield what prevents the upgrade from a release to the next one."""
    for name, table in old["tables"].items():
        now = new["tables"].get(name)
        if now is None:
            yield f"the table {name} is gone. Its data would stay behind: keep the table, or copy the data first"
            continue
        if (now["name"], now["keys"]) != (table["name"], table["keys"]):
            yield f"{name} has another name or other keys. CloudFormation would replace it by an empty table: add a new table"
        changed = [i for i in table["indexes"] if now["indexes"].get(i) != table["indexes"][i]]
        added = [i for i in now["indexes"] if i not in table["indexes"]]
        if any(i in now["indexes"] for i in changed):
            yield f"{name} changes the index {changed[0]}. DynamoDB cannot: add an index with another name, and remove this one in the next release"
        elif len(changed) + len(added) > 1:
            yield f"{name} adds and removes {len(changed) + len(added)} indexes. DynamoDB changes one in a deployment: use one release for each"
    for api, settings in old["routeSettings"].items():
        for route in settings:
            if route not in new["routes"].get(api, []):
                yield f"{api} removes the route {route}, which has settings. Remove its RouteSettings in this release and the route in the next one"
    for api, settings in new["routeSettings"].items():
        for route in settings:
            if route not in new["routes"].get(api, []):
                yield f"{api} has settings of the route {route}, which does not exist"
    for kind in ("buckets", "buses"):
        for name, value in old[kind].items():
            if new[kind].get(name, 0) != value:
                yield f"{name} is gone or has another name: its content and its users would stay behind"
    for name in old["outputs"]:
        if name not in new["outputs"]:
            yield f"the output {name} is gone, which recipes and other stacks use"
    for name in new["required"]:
        if name not in old["required"]:
            yield f"the required parameter {name} is new, so the deployment of an unchanged samconfig.toml fails: give it a default"


# Changes, each with a part of the finding that it must cause.
CHANGES = [
    ("the table Events is gone", lambda s: s["tables"].pop("Events")),
    ("Parties has another name or other keys", lambda s: s["tables"]["Parties"].update(keys=["id S HASH"])),
    ("Outbox has another name or other keys", lambda s: s["tables"]["Outbox"].update(name="outbox")),
    ("changes the index byStep", lambda s: s["tables"]["Instances"]["indexes"].update(byStep=["byStep S HASH"])),
    ("adds and removes 2 indexes", lambda s: (s["tables"]["Instances"]["indexes"].pop("byLabel7"),
                                              s["tables"]["Instances"]["indexes"].update(byOrg=["org S HASH"]))),
    ("which has settings", lambda s: s["routes"]["AppsApi"].remove("POST /{org}/{app}/instances")),
    ("which does not exist", lambda s: s["routeSettings"]["AppsApi"].append("GET /nothing")),
    ("Blobs is gone", lambda s: s["buckets"].pop("Blobs")),
    ("Bus is gone or has another name", lambda s: s["buses"].update(Bus="other")),
    ("the output BlobsBucket is gone", lambda s: s["outputs"].remove("BlobsBucket")),
    ("the required parameter Arch is new", lambda s: s["required"].append("Arch")),
]


def main(arguments):
    with open("template.yaml", encoding="utf-8") as file:
        new = summary(yaml_parse(file.read()))
    if "--release" in arguments:
        with open(RELEASED, "w", encoding="utf-8") as file:
            json.dump(new, file, indent=1, sort_keys=True)
            file.write("\n")
        return 0
    with open(RELEASED, encoding="utf-8") as file:
        old = json.load(file)
    found = list(findings(old, new))
    if not found and "--prove" in arguments:
        for piece, change in CHANGES:
            changed = copy.deepcopy(new)
            change(changed)
            if not any(piece in line for line in findings(new, changed)):
                found.append(f"upgrade.py misses a change: {piece}")
    for line in found:
        print(f"template.yaml: {line}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
