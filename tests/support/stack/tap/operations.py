"""Which operation of which service a request is, and what its parameters are, by botocore's models."""

import functools
import re
import urllib.parse

from moto.core.loaders import create_loader
from moto.core.model import ServiceModel
from moto.core.parse import PROTOCOL_PARSERS
from werkzeug.datastructures import Headers, MultiDict

# The signing name of a request's credential scope → botocore's directory name, where they differ.
SERVICES = {
    "monitoring": "cloudwatch",
    "elasticloadbalancing": "elbv2",
    "email": "sesv2",
    "states": "stepfunctions",
    "tagging": "resourcegroupstaggingapi",
    "elasticfilesystem": "efs",
    "elasticmapreduce": "emr",
    "access-analyzer": "accessanalyzer",
    "sso": "sso-admin",
    "account": "account",
}

READ_PREFIXES = (
    "Describe", "List", "Get", "Head", "BatchGet", "Search", "Lookup", "Query", "Scan", "Select", "Check", "Preview",
    "Estimate", "Simulate", "Validate", "Test", "Decode", "AssumeRole", "View", "Filter", "BatchDescribe", "BatchCheck",
    "Receive",
)  # fmt: skip

# What CloudTrail calls data events: no trail of management events shows them.
DATA_EVENTS = {
    "s3": re.compile(
        r"(Put|Delete|Copy|Restore|Select|Write)Objects?|.*Object(Acl|Tagging|Retention|LegalHold)"
        r"|.*(MultipartUpload|UploadPart).*"
    ),
    "sns": re.compile(r"Publish.*"),
    "sqs": re.compile(r".*Message.*"),
    "dynamodb": re.compile(r".*Item.*|ExecuteStatement|ExecuteTransaction"),
    "kinesis": re.compile(r"PutRecords?"),
    "lambda": re.compile(r"Invoke.*"),
    "events": re.compile(r"PutEvents"),
    "logs": re.compile(r"PutLogEvents"),
    "cloudwatch": re.compile(r"PutMetricData"),
}  # fmt: skip


class UnknownOperation(Exception):
    """No model has this request."""


@functools.cache
def service_model(service):
    return ServiceModel(create_loader().load_service_model(service, "service-2"), service)


class Operation:
    """One operation of the models; the same object for every call of it."""

    def __init__(self, service, name):
        self.service, self.name = service, name
        self.full_name = f"{service}.{name}"
        data = DATA_EVENTS.get(service)
        self.is_data = bool(data and data.fullmatch(name))
        self.mutating = not name.startswith(READ_PREFIXES)

    @functools.cached_property
    def model(self):
        return service_model(self.service).operation_model(self.name)

    @functools.cached_property
    def protocol(self):
        return protocol_of(self.service)

    @functools.cached_property
    def signing_name(self):
        metadata = service_model(self.service).metadata
        return metadata.get("signingName") or metadata["endpointPrefix"]


@functools.cache
def protocol_of(service):
    """What clients speak: boto3 and Parapet alike say CloudWatch's CBOR as JSON."""
    protocol = service_model(service).metadata["protocol"]
    return "json" if protocol == "smithy-rpc-v2-cbor" else protocol


@functools.cache
def operation(service, name):
    if name not in service_model(service).operation_names:
        raise UnknownOperation(f"{service} has no operation {name}")
    return Operation(service, name)


def service_of(signing_name, path, form):
    service = SERVICES.get(signing_name, signing_name)
    if service == "s3" and path.startswith("/v20180820/"):
        return "s3control"
    if service == "elbv2" and form.get("Version") == "2012-06-01":
        return "elb"
    if service == "sesv2" and form.get("Action"):
        return "ses"
    return service


# Told from PutObject and UploadPart by a header alone; to the tap it is all one.
NOT_BY_ROUTE = {"CopyObject", "UploadPartCopy"}

# ---- REST: method and path → operation -----------------------------------------------------------------------


@functools.cache
def _routes(service):
    """{method: [(weight, path pattern, required query names, operation)]}, the most specific first."""
    routes = {}
    for name in service_model(service).operation_names:
        http = service_model(service).operation_model(name).http
        path, _, query = http["requestUri"].partition("?")
        pattern, literals = "", 0
        for part in re.split(r"(\{[^}]+\})", path):
            if part.startswith("{"):
                label = part[1:-1]
                greedy = label.endswith("+")
                group = re.sub(r"\W", "_", label.rstrip("+"))
                pattern += f"(?P<{group}>{'.+' if greedy else '[^/]+'})"
            else:
                pattern += re.escape(part)
                literals += len(part)
        needed = {key: value for key, value in urllib.parse.parse_qsl(query, keep_blank_values=True)}
        for member in _required_query(service, name):
            needed.setdefault(member, "")
        route = (len(needed), literals, re.compile(pattern.rstrip("/") + "/?"), needed, name)
        routes.setdefault(http["method"], []).append(route)
    for method in routes:
        routes[method].sort(key=lambda route: (-route[0], -route[1], route[4]))
    return routes


def _required_query(service, name):
    """Query parameters without which a request is not this operation (S3: partNumber, uploadId …)."""
    shape = service_model(service).operation_model(name).input_shape
    for member in shape.required_members if shape else []:
        serialization = shape.members[member].serialization
        if serialization.get("location") == "querystring":
            yield serialization["name"]


def route(service, method, path, query):
    """(operation name, path parameters)"""
    for _, _, pattern, needed, name in _routes(service).get(method, []):
        if all(key in query and (value == "" or query[key] == value) for key, value in needed.items()):
            match = pattern.fullmatch(path)
            if match and name not in NOT_BY_ROUTE:
                return name, match.groupdict()
    raise UnknownOperation(f"{service}: {method} {path}")


# ---- parameters ---------------------------------------------------------------------------------------------


def parse_parameters(called, request):
    """The parameters by the model's member names.  `request`: server.Request."""
    parser = PROTOCOL_PARSERS[called.protocol](called.model, timestamp_parser=str, blob_parser=lambda value: value)
    values = MultiDict(urllib.parse.parse_qsl(request.query, keep_blank_values=True))
    values.update(request.form)
    parsed = parser.parse(
        {
            "method": request.method,
            "values": values,
            "headers": Headers(list(request.headers.items())),
            "body": request.body,
            "url_path": request.path,
            "url_params": _url_parameters(called, request.path_parameters),
        }
    )
    return parsed or {}


def _url_parameters(called, groups):
    parameters = {}
    shape = called.model.input_shape
    for member, member_shape in (shape.members if shape else {}).items():
        if member_shape.serialization.get("location") == "uri":
            label = member_shape.serialization.get("name", member)
            parameters[label] = groups.get(re.sub(r"\W", "_", label)) or ""
    return parameters
