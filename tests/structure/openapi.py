"""Validate the OpenAPI document against the official schema of OpenAPI 3.1.

The validator also checks what the schema cannot express: that references resolve, that path
parameters are declared and that operationIds are unique.

    openapi.py [DOCUMENT]            exit 1 on any finding
    openapi.py --prove [DOCUMENT]    then make mistakes in a copy, exit 1 if the validator misses one

The script runs in the virtual environment of the contract tests. It needs no network.
"""

import copy
import sys

import yaml
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing.exceptions import Unresolvable

OPERATION = ("paths", "/storage/instances", "get")


def findings(document):
    """Return the findings in a document, one line each."""
    try:
        return [f"{'/'.join(map(str, e.absolute_path))}: {e.message.splitlines()[0]}"
                for e in OpenAPIV31SpecValidator(document).iter_errors()]
    except Unresolvable as error:
        return [f"{error.ref} does not resolve"]


def at(document, path):
    for step in path:
        document = document[step]
    return document


MISTAKES = {
    "an unknown member of a response": lambda d: at(d, OPERATION)["responses"]["200"].update({"or another": None}),
    "a response without a description": lambda d: d["components"]["responses"]["InstanceResponse"].pop("description"),
    "a reference that does not resolve": lambda d: at(d, OPERATION)["responses"].update({"200": {"$ref": "#/components/responses/None"}}),
    "a path parameter that is not declared": lambda d: at(d, ("paths", "/storage/instances/{instanceOwnerId}")).pop("parameters"),
    "a duplicate operationId": lambda d: at(d, OPERATION).update(operationId="getInstance"),
    "a schema keyword with an invalid value": lambda d: d["components"]["schemas"]["Guid"].update(type="text"),
    "a security scheme of an unknown type": lambda d: d["components"]["securitySchemes"]["user"].update(type="bearer"),
}


def main(arguments):
    prove = "--prove" in arguments
    paths = [a for a in arguments if not a.startswith("-")] or ["shared/httpapi/openapi.yaml"]
    with open(paths[0], encoding="utf-8") as file:
        document = yaml.safe_load(file)
    found = findings(document)
    for line in found:
        print(f"{paths[0]}: {line}", file=sys.stderr)
    if found or not prove:
        return 1 if found else 0
    unseen = []
    for what, make in MISTAKES.items():
        broken = copy.deepcopy(document)
        make(broken)
        if not findings(broken):
            unseen.append(what)
            print(f"openapi.py misses {what}", file=sys.stderr)
    return 1 if unseen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
