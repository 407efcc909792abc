"""Check template.yaml for each deployment that its parameters allow.

The script applies SAM's transform and then CloudFormation's conditions, offline, for each
combination of the parameters that the conditions depend on. The result is what AWS would create,
and each check below tests one property of it. lint.py checks the form of the template. The Go tests
in this folder check what needs no transform, such as the KMS key and the token check of API
Gateway.

    deployments.py [TEMPLATE]            exit 1 on any finding
    deployments.py --prove [TEMPLATE]    then make mistakes in a copy, exit 1 if a check misses one
"""

import copy
import itertools
import json
import re
import sys

import tomlkit
from lint import matches, too_wide, translate
from samcli.cli.types import CfnParameterOverridesType
from samcli.yamlhelper import yaml_parse

KEY = "arn:aws:kms:eu-north-1:111122223333:key/0f6a1d3c-0000-4000-8000-000000000000"
CERTIFICATE = "arn:aws:acm:eu-north-1:111122223333:certificate/0f6a1d3c-0000-4000-8000-000000000000"
ORIGINS = "https://skjema.example.no,http://localhost:3000"
APPS = {"AppsDomainName": "*.apps.example.no", "AppsCertificateArn": CERTIFICATE}
PLATFORM = {"PlatformDomainName": "platform.example.no", "PlatformCertificateArn": CERTIFICATE}

# Each line is a choice between options. A combination has one option of each choice.
CHOICES = [
    [{}, APPS, PLATFORM, APPS | PLATFORM, APPS | PLATFORM | {"HostedZoneId": "Z0123456789"}],
    [{}, {"DisableExecuteApiEndpoint": "true"}],
    [{}, {"TokenAudience": "api"}, {"AllowAnyAudience": "true"}, {"AllowAnyAudience": "true", "GatewayTokens": "true"},
     {"TokenAudience": "api", "GatewayTokens": "true"}],
    [{}, {"AllowedOrigins": ORIGINS}],
    [{}, {"KmsKeyArn": KEY}, {"MalwareScan": "observe"}, {"MalwareScan": "guardduty"},
     {"KmsKeyArn": KEY, "MalwareScan": "guardduty"}],
    [{}, {"ProtectData": "false", "Tracing": "PassThrough", "AlarmEmail": "drift@example.no"},
     {"Monitoring": "false", "AlarmEmail": "drift@example.no"}],
]
# The only parameter that the transform itself reads.
GRADUAL = [{"GradualDeployment": "false"}, {"GradualDeployment": "true"}]

# GuardDuty chooses the name of its rule.
SCAN_TRIGGER = ("ScanRole", {"Fn::Sub": "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/"
                                        "DO-NOT-DELETE-AmazonGuardDutyMalwareProtectionS3*"})

NO_VALUE = object()  # the value of AWS::NoValue


class Deployment:
    """The stack for one combination of parameters."""

    def __init__(self, stack, parameters):
        self.parameters = {n: p.get("Default", "") for n, p in stack["Parameters"].items()} | parameters
        self.conditions = stack["Conditions"]
        self.resources = {n: self.value(r) for n, r in stack["Resources"].items() if self.exists(r)}
        self.outputs = {n: self.value(o) for n, o in stack["Outputs"].items() if self.exists(o)}
        self.rejected = [a["AssertDescription"] for rule in stack["Rules"].values()
                         if "RuleCondition" not in rule or self.holds(rule["RuleCondition"])
                         for a in rule["Assertions"] if not self.holds(a["Assert"])]

    def exists(self, item):
        return "Condition" not in item or self.holds(self.conditions[item["Condition"]])

    def holds(self, condition):
        (function, argument), = condition.items()
        if function == "Condition":
            return self.holds(self.conditions[argument])
        if function == "Fn::Not":
            return not self.holds(argument[0])
        if function == "Fn::And":
            return all(self.holds(c) for c in argument)
        if function == "Fn::Or":
            return any(self.holds(c) for c in argument)
        if function == "Fn::Equals":
            return self.value(argument[0]) == self.value(argument[1])
        raise ValueError(f"unknown condition function {function}")

    def value(self, value):
        """Return value with its conditions evaluated and references to parameters replaced."""
        if isinstance(value, list):
            return [v for v in map(self.value, value) if v is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if set(value) == {"Ref"}:
            name = value["Ref"]
            return NO_VALUE if name == "AWS::NoValue" else self.parameters.get(name, value)
        if set(value) == {"Fn::If"}:
            condition, then, otherwise = value["Fn::If"]
            return self.value(then if self.holds(self.conditions[condition]) else otherwise)
        if set(value) == {"Fn::Join"}:
            separator, parts = self.value(value["Fn::Join"])
            if all(isinstance(part, str) for part in parts):
                return separator.join(parts)
        if set(value) == {"Fn::Split"} and isinstance(text := self.value(value["Fn::Split"][1]), str):
            return text.split(value["Fn::Split"][0])
        computed = {k: self.value(v) for k, v in value.items()}
        return {k: v for k, v in computed.items() if v is not NO_VALUE}

    def is_set(self, name):
        return self.parameters[name] not in ("", "false")

    def of_type(self, name):
        return {n: r.get("Properties", {}) for n, r in self.resources.items() if r["Type"] == name}

    def operations(self):
        """Yield (API, method, path, operation) of each route."""
        for api, properties in self.of_type("AWS::ApiGatewayV2::Api").items():
            for path, methods in properties["Body"]["paths"].items():
                for method, operation in methods.items():
                    yield api, method, path, operation


def check_rules(d):
    unreachable = d.is_set("DisableExecuteApiEndpoint") and not (d.is_set("AppsDomainName") and d.is_set("PlatformDomainName"))
    unchecked = not d.is_set("TokenAudience") and (d.is_set("GatewayTokens") or not d.is_set("AllowAnyAudience"))
    unwatched = d.is_set("GradualDeployment") and not d.is_set("Monitoring")
    if bool(d.rejected) != (unreachable or unchecked or unwatched):
        yield f"the rules reject the parameters with {d.rejected}"


def check_addresses(d):
    wanted = {n: (api, d.parameters[n + "DomainName"]) for n, api in (("Apps", "AppsApi"), ("Platform", "StorageApi"))
              if d.is_set(n + "DomainName")}
    domains = d.of_type("AWS::ApiGatewayV2::DomainName")
    if {n: p["DomainName"] for n, p in domains.items()} != {f"{n}Domain": domain for n, (_, domain) in wanted.items()}:
        yield f"the domains are {domains}"
    at_root = {f"{n}DomainMapping": {"ApiId": {"Ref": api}, "DomainName": {"Ref": f"{n}Domain"},
                                    "Stage": {"Ref": f"{api}ApiGatewayDefaultStage"}} for n, (api, _) in wanted.items()}
    if d.of_type("AWS::ApiGatewayV2::ApiMapping") != at_root:
        yield f"the domain mappings are {d.of_type('AWS::ApiGatewayV2::ApiMapping')}"
    records = {p["Name"] for p in d.of_type("AWS::Route53::RecordSet").values()}
    if records != ({domain for _, domain in wanted.values()} if d.is_set("HostedZoneId") else set()):
        yield f"the DNS records are {records}"
    for api, properties in d.of_type("AWS::ApiGatewayV2::Api").items():
        servers = properties["Body"].get("servers")
        if servers != [{"x-amazon-apigateway-endpoint-configuration": {"disableExecuteApiEndpoint": d.is_set("DisableExecuteApiEndpoint")}}]:
            yield f"{api} has the endpoint {servers}"


def check_cors(d):
    for api, properties in d.of_type("AWS::ApiGatewayV2::Api").items():
        cors = properties["Body"].get("x-amazon-apigateway-cors")
        # The documentation on the Storage API sends requests to the Application API, too.
        origins = [d.parameters["PlatformBaseUrl"]] if api == "AppsApi" else []
        origins += ORIGINS.split(",") if d.is_set("AllowedOrigins") else []
        if not origins:
            if cors is not None:
                yield f"{api} has CORS {cors}"
            continue
        methods = {m.upper() for a, m, _, _ in d.operations() if a == api}
        if cors["allowOrigins"] != origins or "allowCredentials" in cors:
            yield f"{api} has CORS {cors}"
        if set(cors["allowMethods"]) != methods:
            yield f"{api} allows the methods {cors['allowMethods']}, want {methods}"
    rules = d.resources["Blobs"]["Properties"].get("CorsConfiguration", {}).get("CorsRules", [])
    writes = [r["AllowedOrigins"] for r in rules if "PUT" in r["AllowedMethods"]]
    if writes != ([ORIGINS.split(",")] if d.is_set("AllowedOrigins") else []) or bool(rules) != d.is_set("AllowedOrigins"):
        yield f"Blobs has CORS {rules}"


def check_policies(d):
    for name, p in d.of_type("AWS::IAM::Role").items():
        for policy in p.get("Policies", []):
            for s in policy["PolicyDocument"]["Statement"]:
                for resource in s["Resource"] if isinstance(s["Resource"], list) else [s["Resource"]]:
                    if "*" in str(resource) and resource != {"Fn::Sub": "${Blobs.Arn}/*"} and (name, resource) != SCAN_TRIGGER:
                        yield f"{name} is granted the resource {resource}"
                if "*" in str(s["Action"]):
                    yield f"{name} is granted the action {s['Action']}"


def check_aliases(d):
    aliases = {p["FunctionName"]["Ref"]: n for n, p in d.of_type("AWS::Lambda::Alias").items()}
    if set(aliases) != set(d.of_type("AWS::Lambda::Function")):
        yield f"not every function has an alias: {aliases}"
    called = [(f"{m} {p}", re.findall(r"\$\{(\w+Aliaslive)\}", str(o["x-amazon-apigateway-integration"]["uri"])))
              for _, m, p, o in d.operations() if "x-amazon-apigateway-integration" in o]
    for type_ in ("AWS::Lambda::Permission", "AWS::Lambda::EventSourceMapping"):
        called += [(n, [p["FunctionName"].get("Ref")]) for n, p in d.of_type(type_).items()]
    called += [(n, [t["Arn"].get("Ref")]) for n, p in d.of_type("AWS::Events::Rule").items() if "ScheduleExpression" in p for t in p["Targets"]]
    called += [(n, [f"{p['FunctionName']['Ref']}Aliaslive"] if p["Qualifier"] == "live" else [None])
               for n, p in d.of_type("AWS::Lambda::EventInvokeConfig").items()]
    for caller, (name, *_) in ((c, n or [None]) for c, n in called):
        if name not in aliases.values():
            yield f"{caller} calls {name}, want an alias"


def check_rollout(d):
    gradual = d.is_set("GradualDeployment")
    for name in d.of_type("AWS::Lambda::Alias"):
        if ("CodeDeployLambdaAliasUpdate" in d.resources[name].get("UpdatePolicy", {})) != gradual:
            yield f"{name} has the update policy {d.resources[name].get('UpdatePolicy')}"
    groups = d.of_type("AWS::CodeDeploy::DeploymentGroup")
    if bool(groups) != gradual:
        yield f"the deployment groups are {list(groups)}"
    named = [p["AlarmName"] for p in d.of_type("AWS::CloudWatch::Alarm").values() if "AlarmName" in p]
    for name, p in groups.items():
        alarms = [a["Name"] for a in p["AlarmConfiguration"]["Alarms"]]
        if not d.is_set("Monitoring"):
            continue  # check_rules rejects this deployment
        if not p["AlarmConfiguration"]["Enabled"] or not 0 < len(alarms) <= 10 or any(a not in named for a in alarms):
            yield f"{name} watches the alarms {alarms}"
        if p["DeploymentConfigName"]["Fn::Sub"][1] != {"ConfigName": "Canary10Percent5Minutes"} or not p["AutoRollbackConfiguration"]["Enabled"]:
            yield f"{name} has the wrong rollout or no rollback: {p}"


def check_alarms(d):
    monitoring = [*d.of_type("AWS::CloudWatch::Alarm"), *d.of_type("AWS::CloudWatch::Dashboard"), *d.of_type("AWS::SNS::Topic"),
                  *(n for n in d.outputs if n.startswith("Alarm"))]
    if bool(monitoring) != d.is_set("Monitoring"):
        yield f"Monitoring is {d.parameters['Monitoring']}, but the deployment has {monitoring}"
    for name, p in d.of_type("AWS::CloudWatch::Alarm").items():
        if p.get("AlarmActions") != [{"Ref": "AlarmTopic"}] or p.get("OKActions") != [{"Ref": "AlarmTopic"}]:
            yield f"{name} does not notify AlarmTopic"
    subscribers = [p["Endpoint"] for p in d.of_type("AWS::SNS::Subscription").values()]
    if subscribers != ([d.parameters["AlarmEmail"]] if d.is_set("AlarmEmail") and d.is_set("Monitoring") else []):
        yield f"the subscribers of AlarmTopic are {subscribers}"
    for name, p in d.of_type("AWS::Lambda::Function").items():
        if p["TracingConfig"] != {"Mode": d.parameters["Tracing"]}:
            yield f"{name} has the tracing {p['TracingConfig']}"


def check_dashboard(d):
    """The dashboard is JSON and shows the alarms of the deployment."""
    def expand(value):
        text, own = value if isinstance(value, list) else (value, {})
        def one(match):
            found = own.get(match[1], match[1])
            return expand(found["Fn::Sub"]) if "Fn::Sub" in found else found if isinstance(found, str) else match[1]
        return re.sub(r"\$\{([^}]+)\}", one, text)
    for name, p in d.of_type("AWS::CloudWatch::Dashboard").items():
        try:
            widgets = json.loads(expand(p["DashboardBody"]["Fn::Sub"]))["widgets"]
        except ValueError as error:
            yield f"{name} is no JSON: {error}"
            continue
        shown = [a for w in widgets for a in w["properties"].get("alarms", [])]
        if sorted(shown) != sorted(f"{a}.Arn" for a in d.of_type("AWS::CloudWatch::Alarm")):
            yield f"{name} shows the alarms {shown}"


def check_scan(d):
    """The stack scans the bucket if MalwareScan says so, and its bucket blocks content only with guardduty."""
    mode = d.parameters["MalwareScan"]
    kinds = ("AWS::GuardDuty::MalwareProtectionPlan", "AWS::Lambda::Function", "AWS::Lambda::EventSourceMapping", "AWS::SQS::Queue",
             "AWS::Logs::LogGroup", "AWS::IAM::Role")
    for kind in kinds:
        if any(n.startswith("Scan") for n in d.of_type(kind)) != (mode != "off"):
            yield f"MalwareScan is {mode}, but the resources of the type {kind} are {list(d.of_type(kind))}"
    denied = [s for s in d.of_type("AWS::S3::BucketPolicy")["BlobsPolicy"]["PolicyDocument"]["Statement"] if s["Action"] == "s3:GetObject"]
    readers = [{"Fn::GetAtt": ["DataGetRole", "Arn"]}, {"Fn::GetAtt": ["DataDownloadRole", "Arn"]}]
    if len(denied) != (2 if mode == "guardduty" else 0) or any(s["Condition"]["ArnEquals"]["aws:PrincipalArn"] != readers for s in denied):
        yield f"MalwareScan is {mode}, but the bucket denies reading by {denied}"
    for name, p in d.of_type("AWS::Lambda::Function").items():
        if p["Environment"]["Variables"].get("MALWARE_SCAN", mode) != mode:
            yield f"{name} has another MALWARE_SCAN than {mode}"


def check_access_logs(d):
    """Each API logs every request, as JSON and without path, query or token. Lambda logs only
    problems of a function, which the queries of the operations guide find."""
    for name, p in d.of_type("AWS::Lambda::Function").items():
        logging = p["LoggingConfig"]
        if (logging.get("LogFormat"), logging.get("SystemLogLevel")) != ("JSON", "WARN"):
            yield f"{name} logs {logging}"
    for name, p in d.of_type("AWS::ApiGatewayV2::Stage").items():
        settings = p.get("AccessLogSettings", {})
        api = p["ApiId"]["Ref"]
        if settings.get("DestinationArn") != {"Fn::GetAtt": [f"{api}Logs", "Arn"]}:
            yield f"{name} logs to {settings.get('DestinationArn')}"
        try:
            members = json.loads(settings.get("Format", ""))
        except ValueError:
            yield f"the log lines of {name} are no JSON: {settings.get('Format')}"
            continue
        for value in members.values():
            if not re.fullmatch(r"\$context\.\w+(\.\w+)?", value) or re.search("path|Path|claims|principal|authorizer.token", value):
                yield f"the log lines of {name} contain {value}"


def check_protection(d):
    keep = d.is_set("ProtectData")
    for name in [*d.of_type("AWS::DynamoDB::Table"), "Blobs"]:
        r = d.resources[name]
        if (r["DeletionPolicy"], r["UpdateReplacePolicy"]) != ("Retain", "Retain"):
            yield f"{name} has the policies {r['DeletionPolicy']} and {r['UpdateReplacePolicy']}"
        if name != "Blobs" and (r["Properties"]["DeletionProtectionEnabled"] != keep
                                or r["Properties"]["PointInTimeRecoverySpecification"] != {"PointInTimeRecoveryEnabled": keep}):
            yield f"{name} does not follow ProtectData"


def check_references(d):
    """No resource or output refers to a resource that this deployment omits."""
    def names(value):
        if isinstance(value, list):
            for v in value:
                yield from names(v)
        elif isinstance(value, dict):
            for k, v in value.items():
                if k == "Ref":
                    yield v
                elif k == "Fn::GetAtt":
                    yield v[0] if isinstance(v, list) else v.split(".")[0]
                elif k == "Fn::Sub":
                    text, own = v if isinstance(v, list) else (v, {})
                    yield from (n.split(".")[0] for n in re.findall(r"\$\{([^!}]+)\}", text) if n not in own)
                    yield from names(own)
                else:
                    yield from names(v)
    known = set(d.resources) | set(d.parameters)
    for name, item in {**d.resources, **{f"output {n}": o for n, o in d.outputs.items()}}.items():
        for missing in {n for n in names(item) if not n.startswith("AWS::")} - known:
            yield f"{name} refers to {missing}, which the deployment does not have"


CHECKS = [check for name, check in sorted(globals().items()) if name.startswith("check_")]


def findings(template, gradual, combinations):
    """Return the findings for all combinations, each with the first parameters that show it."""
    stack = translate(template, gradual)
    found = {line: gradual for line in too_wide(stack)}
    for combination in combinations:
        parameters = dict(gradual)
        for choice in combination:
            parameters |= choice
        deployment = Deployment(stack, parameters)
        for check in CHECKS:
            for line in check(deployment):
                found.setdefault(f"{check.__name__}: {line}", parameters)
    return found


def versions(template):
    """Return a finding if a changed property of a function does not change its version alone."""
    changed = copy.deepcopy(template)
    properties(changed, "EventQuery")["Timeout"] = 24
    before, after = (Deployment(translate(t, GRADUAL[0]), GRADUAL[0]).of_type("AWS::Lambda::Version") for t in (template, changed))
    if {v["FunctionName"]["Ref"] for n, v in after.items() if n not in before} == {"EventQuery"}:
        return {}
    return {"a changed property of EventQuery does not move its alias, or moves others": "EventQuery"}


def environments(template):
    """Return the findings for the environments of samconfig.toml, which `make deploy` deploys."""
    found = {}
    with open("samconfig.toml", encoding="utf-8") as file:
        config = tomlkit.load(file).unwrap()
    for name in ("dev", "prod"):
        if config[name]["deploy"]["parameters"]["fail_on_empty_changeset"] is not False:
            found["a deployment without changes fails: set fail_on_empty_changeset = false"] = name
        given = dict(pair.split("=", 1) for pair in config[name]["deploy"]["parameters"]["parameter_overrides"])
        for unknown in given.keys() - template["Parameters"].keys():
            found[f"template.yaml has no parameter {unknown}"] = name
        # SAM CLI parses the values itself and splits some of them.
        if CfnParameterOverridesType().convert(tuple(f"{k}={v}" for k, v in given.items()), None, None) != given:
            found["SAM CLI reads other parameter values than samconfig.toml contains"] = name
        deployment = Deployment(translate(template, given), given)
        for line in deployment.rejected:
            found[line] = name
        for check in CHECKS:
            for line in check(deployment):
                found[f"{check.__name__}: {line}"] = name
    return found


def lint_fullest(template):
    """Return cfn-lint's findings with a value for each optional parameter."""
    fullest = copy.deepcopy(template)
    for choice in [*CHOICES[:-1], GRADUAL]:
        for name, value in choice[-1].items():
            fullest["Parameters"][name]["Default"] = value
    stack = translate(fullest)
    return {line: "the fullest deployment" for line in matches(json.dumps(stack, indent=1, default=str))}


def properties(template, name):
    return template["Resources"][name]["Properties"]


def body(template):
    return properties(template, "StorageApi")["DefinitionBody"]


# Mistakes in a deployment, each with the check that must find it.
MISTAKES = [
    ("check_addresses", lambda t: properties(t, "AppsDomainMapping").update(ApiMappingKey="apps")),
    ("check_addresses", lambda t: properties(t, "AppsApi").pop("DisableExecuteApiEndpoint")),
    ("check_references", lambda t: t["Resources"]["AppsDomainMapping"].pop("Condition")),
    ("check_rules", lambda t: t["Rules"].pop("ClosedApisHaveDomains")),
    ("check_rules", lambda t: t["Rules"].pop("TokensHaveAnAudience")),
    ("check_cors", lambda t: body(t)["x-amazon-apigateway-cors"]["Fn::If"][1].update(allowCredentials=True)),
    ("check_cors", lambda t: body(t)["x-amazon-apigateway-cors"]["Fn::If"].__setitem__(2, {"allowOrigins": ["*"]})),
    ("check_cors", lambda t: properties(t, "AppsApi")["DefinitionBody"]["x-amazon-apigateway-cors"].update(allowOrigins=["*"])),
    ("check_policies", lambda t: properties(t, "EventQuery")["Policies"][0]["Statement"][0].update(Resource="*")),
    ("check_aliases", lambda t: properties(t, "OutboxStream").update(FunctionName={"Ref": "EventPublish"})),
    ("check_rollout", lambda t: t["Globals"]["Function"]["DeploymentPreference"]["Alarms"].append("nothing")),
    ("check_alarms", lambda t: properties(t, "ThrottlesAlarm").pop("AlarmActions")),
    ("check_access_logs", lambda t: properties(t, "StorageApi").pop("AccessLogSettings")),
    ("check_access_logs", lambda t: properties(t, "AppsApi")["AccessLogSettings"].update(Format='{"p":"$context.path"}')),
    ("check_access_logs", lambda t: t["Globals"]["Function"]["LoggingConfig"].pop("SystemLogLevel")),
    ("check_alarms", lambda t: t["Resources"]["BlobSweepAlarm"].pop("Condition")),
    ("check_rules", lambda t: t["Rules"].pop("GradualDeploymentHasAlarms")),
    ("check_scan", lambda t: t["Resources"]["ScanPlan"].pop("Condition")),
    ("check_scan", lambda t: properties(t, "BlobsPolicy")["PolicyDocument"]["Statement"][3]["Fn::If"].__setitem__(0, "Scans")),
    ("check_scan", lambda t: properties(t, "DataGet")["Environment"]["Variables"].update(MALWARE_SCAN="off")),
    ("check_references", lambda t: t["Resources"]["ScanDeadLettersAlarm"].update(Condition="Monitors")),
    ("check_dashboard", lambda t: properties(t, "Dashboard")["DashboardBody"]["Fn::Sub"][1].update(ScanAlarms="")),
    ("check_dashboard", lambda t: properties(t, "Dashboard")["DashboardBody"]["Fn::Sub"][1].update(ScanWidgets=",")),
    ("check_policies", lambda t: properties(t, "ScanRole")["Policies"][0]["PolicyDocument"]["Statement"][0].update(Resource="*")),
    ("check_protection", lambda t: t["Resources"]["Events"].update(DeletionPolicy="RetainExceptOnCreate")),
]


def missed(template):
    """Yield the mistakes that no check finds in five deployments."""
    combinations = [[c[0] for c in CHOICES], [c[-1] for c in CHOICES[:-1]], [CHOICES[2][1], CHOICES[1][1]], [CHOICES[2][1], CHOICES[-1][-1]],
                    [CHOICES[4][2]]]
    broken = copy.deepcopy(template)
    del broken["Globals"]["Function"]["AutoPublishAliasAllProperties"]
    if not versions(broken):
        yield "versions misses that only new code moves an alias"
    for check, change in MISTAKES:
        broken = copy.deepcopy(template)
        change(broken)
        if not any(line.startswith(check) for line in findings(broken, GRADUAL[1], combinations)):
            yield f"{check} misses mistake {MISTAKES.index((check, change)) + 1}"


def main(arguments):
    paths = [a for a in arguments if not a.startswith("-")] or ["template.yaml"]
    with open(paths[0], encoding="utf-8") as file:
        template = yaml_parse(file.read())
    combinations = list(itertools.product(*CHOICES))
    found = {}
    for gradual in GRADUAL:
        found |= findings(template, gradual, combinations)
    found |= versions(template) | environments(template) | lint_fullest(template)
    if not found and "--prove" in arguments:
        found = dict.fromkeys(missed(template), "--prove")
    for line, where in found.items():
        print(f"{paths[0]}: {line}  ({where})", file=sys.stderr)
    print(f"{len(GRADUAL) * len(combinations)} deployments of {paths[0]}: {len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
