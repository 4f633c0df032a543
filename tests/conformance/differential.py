#!/usr/bin/env python3
"""The AWS client against botocore itself: every operation of every service in the compiled models.

    tests/conformance/differential.py [SERVICE[.Operation] ...]     (default: all; build/venv/bin/python runs it)

botocore's own client is called with generated parameters, and its network is replaced: the request that it would send must
be the conformance program's, and the generated answer that it is given must come to the same result.  So botocore's handlers,
which change requests and results outside its models, are in the comparison, too.  Four calls an operation: everything
given, some of it, only what must be (answered with a fault), and parameters with a mistake (refused by both).

SEED (default 1) changes what is generated.  One line at the end: "conformance/differential: N passed, N failed"; before it
how many operations were compared, and each exclusion with its reason.
"""

import base64
import collections
import gc
import json
import multiprocessing
import os
import pathlib
import random
import subprocess
import sys
import traceback
import types
import urllib.parse
import warnings

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("BUILD", "build")
SEED = os.environ.get("SEED", "1")
ENDPOINT = "http://127.0.0.1:9"
TOKEN = "00000000-0000-4000-8000-000000000000"
SHOWN, FAILURES_KEPT, FAILURES_SHOWN = 600, 12, int(os.environ.get("FAILURES", "40"))

try:
    import botocore.awsrequest
    import botocore.config
    import botocore.exceptions
    import botocore.handlers
    import botocore.parsers
    import botocore.session
    import jmespath.exceptions
except ImportError:
    print("SKIP: botocore absent: build/venv/bin/python has it (make test makes it)")
    sys.exit(0)

import answers
from run import same, same_body, short
from values import Values, as_json, is_json_header

# ---- what is not compared, and why ------------------------------------------------------------------------------

PRESIGNED = "botocore puts a presigned URL into the parameters (protocol_quirks.c says: not supported)"
EXCLUDED = {  # (service, operation) → reason
    ("s3", "GetBucketNotification"): "botocore hands out XML elements where two members share a name (superseded by GetBucketNotificationConfiguration)",
    ("ec2", "CopySnapshot"): PRESIGNED,
    ("glacier", "UploadArchive"): "botocore adds a tree hash (protocol_quirks.c says: not supported)",
    ("glacier", "UploadMultipartPart"): "botocore adds a tree hash (protocol_quirks.c says: not supported)",
}
EXCLUDED.update({
    (service, operation): PRESIGNED
    for service, operations in {
        "rds": "CopyDBClusterSnapshot CreateDBCluster CopyDBSnapshot CreateDBInstanceReadReplica StartDBInstanceAutomatedBackupsReplication",
        "neptune": "CopyDBClusterSnapshot CreateDBCluster",
        "docdb": "CopyDBClusterSnapshot CreateDBCluster",
    }.items()
    for operation in operations.split()
})
# Members whose text decides where the call goes; None: not given.
FIXED = {
    "cloudfront-keyvaluestore": {"KvsARN": "arn:aws:cloudfront::111122223333:key-value-store/abc"},
    # With an EncodingType of the caller's own, botocore leaves keys encoded; ours decodes what says that it is encoded.
    "s3": {"Bucket": "parapet-bucket", "CopySource": "parapet-bucket/a key", "EncodingType": None},
    "machinelearning": {"PredictEndpoint": "https://predict.example.com"},
    "s3control": {"AccountId": "111122223333", "Bucket": "parapet-bucket", "OutpostId": None},
    "sesv2": {"EndpointId": "abc.def"},
    "events": {"EndpointId": "abc.def"},
}
ANSWERED = {"s3": {"Key": "a%2Bb%20c+d/%C3%BC", "Prefix": "p%2Fq+"}}
ELSEWHERE = ("cloudfront-keyvaluestore", "machinelearning", "signin")  # their hosts are not the endpoint's: by a parameter, by the rules (see endpoints.py)
# Set by the network's side of a client, which aws_serialize is not.
TRANSPORT_HEADERS = frozenset(
    "host user-agent content-length transfer-encoding expect connection amz-sdk-invocation-id amz-sdk-request x-amz-user-agent "
    "x-amz-date authorization x-amz-security-token".split()
)
# Not the same, and so on purpose.
DEVIATIONS = {
    "content-type": "a binary body is sent as application/octet-stream, as the protocol says; botocore sends it without a type",
}
OURS = ("query", "ec2", "json", "rest-json", "rest-xml")


def exclusion(service, operation):
    if (service, operation.name) in EXCLUDED:
        return EXCLUDED[service, operation.name]
    if operation.has_event_stream_input:
        return "its input is an event stream: nobody calls it with one JSON object"
    return None


# ---- botocore's side --------------------------------------------------------------------------------------------


# How botocore refuses a parameter of another type than its handlers and endpoint rules expect.
SURPRISED = (AttributeError, TypeError, jmespath.exceptions.JMESPathError)


class Wire:
    """botocore's network: keeps the request, and gives the answer it was told to."""

    def __init__(self):
        self.request = self.answer = None

    def __call__(self, request, **_):
        self.request = request
        answer = self.answer
        return botocore.awsrequest.AWSResponse(request.url, answer["status_code"], answer["headers"], Raw(answer["body"]))


class Raw:
    """What urllib3 gives botocore to read a body from."""

    def __init__(self, body):
        self.body = body

    def stream(self, **_):
        yield self.body

    def read(self, amount=None):
        taken, self.body = (self.body, b"") if amount is None else (self.body[:amount], self.body[amount:])
        return taken

    def close(self):
        pass


def signature_of(session, service):
    """None: as the model says.  Signatures that ours has not, which may change a request's body, are left away."""
    version = session.get_service_model(service).metadata.get("signatureVersion")
    return botocore.UNSIGNED if version == "bearer" or service in ("sdb", "cloudfront-keyvaluestore") else None


def open_client(session, service, wire):
    config = botocore.config.Config(
        signature_version=signature_of(session, service),
        retries={"total_max_attempts": 1},
        s3={"addressing_style": "path"},
        response_checksum_validation="when_required",  # ours asks for no checksum that it would not verify
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = session.create_client(service, region_name="us-east-1", endpoint_url=ENDPOINT, config=config)
    client.meta.events.register("before-send", wire)
    return client


def without_cbor(loader):
    """botocore prefers CBOR where a service speaks several protocols: it is to take the one that we take."""
    load = loader.load_service_model

    def loaded(service_name, type_name, api_version=None):
        model = load(service_name, type_name, api_version)
        if type_name == "service-2":
            metadata = model["metadata"]
            kept = [name for name in metadata.get("protocols", [metadata["protocol"]]) if name in OURS]
            if kept:
                metadata["protocols"] = kept
                metadata["protocol"] = kept[0]
        return model

    loader.load_service_model = loaded


def call_botocore(client, operation, params, wire, answer):
    """("result", value) or ("error", {code, message, request_id}) or ("refused", why) or ("missing", None)."""
    wire.answer, wire.request = answer, None
    try:
        parsed = client._make_api_call(operation, params)
    except botocore.exceptions.ClientError as failed:
        error = failed.response["Error"]
        code, message = error.get("Code", ""), error.get("Message", "")
        return "error", {"code": code, "message": message, "request_id": failed.response["ResponseMetadata"].get("RequestId", "")}
    except botocore.exceptions.MissingDependencyException:
        return "missing", None
    except (botocore.exceptions.BotoCoreError, botocore.parsers.ResponseParserError, *SURPRISED) as refused:
        return "refused", f"{type(refused).__name__}: {refused}"
    parsed.pop("ResponseMetadata", None)
    return "result", as_json({key: inner.read() if hasattr(inner, "read") else inner for key, inner in parsed.items()})


# ---- the comparison ---------------------------------------------------------------------------------------------


def ours_of(answer):
    for kind in ("result", "error"):
        if kind in answer:
            return kind, answer[kind]
    return "refused", answer["failure"]


def alike(ours, theirs):
    """Documents that botocore makes objects of are text in ours."""
    if isinstance(ours, str) and isinstance(theirs, (dict, list)):
        try:
            return same(json.loads(ours), theirs)
        except ValueError:
            return False
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(alike(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(alike, ours, theirs))
    return same(ours, theirs)


def meant(value, read):
    """Was the answer read as it was written?  A body that is absent is read as an empty one."""
    return alike(value, {key: inner for key, inner in read.items() if key in value or inner not in ("", {})})


def text_of(value):
    return value.decode("utf-8", "replace") if isinstance(value, (bytes, bytearray)) else value or ""


def same_json_header(theirs, ours):
    """botocore writes other characters than ASCII's as \\u…, in base64."""
    try:
        return same(json.loads(base64.b64decode(theirs)), json.loads(base64.b64decode(ours)))
    except (TypeError, ValueError):
        return False


def request_differences(service, protocol, request, ours, report):
    """{part: [botocore's, ours]}"""
    parts = urllib.parse.urlsplit(request.url)
    uri = parts.path + ("?" + parts.query if parts.query else "")
    wanted = {"method": request.method, "uri": uri}
    if service not in ELSEWHERE:
        wanted["host"] = parts.netloc
    differences = {part: [value, ours.get(part)] for part, value in wanted.items() if ours.get(part) != value}
    headers = {name.lower(): text_of(value) for name, value in request.headers.items() if name.lower() not in TRANSPORT_HEADERS}
    own = {name.lower(): value for name, value in ours["headers"].items() if name.lower() not in TRANSPORT_HEADERS}
    if "x-amz-content-sha256" not in own:
        headers.pop("x-amz-content-sha256", None)  # the signer's
    if own.get("content-type") == "application/octet-stream" and "content-type" not in headers:
        report.deviations["content-type"] += 1
        del own["content-type"]
    for name in headers.keys() | own.keys():
        if headers.get(name) != own.get(name) and not same_json_header(headers.get(name), own.get(name)):
            differences[name] = [headers.get(name), own.get(name)]
    body = request.body.read() if hasattr(request.body, "read") else request.body
    body = body.encode() if isinstance(body, str) else bytes(body or b"")
    own_body = base64.b64decode(ours["body_base64"])
    if body != own_body and not same_body(protocol, text_of(body), text_of(own_body)):
        differences["body"] = [text_of(body), text_of(own_body)]
    return differences


# ---- the cases of an operation ----------------------------------------------------------------------------------


def spoil(shape, params, chance):
    """Parameters with one mistake."""
    kind = chance.choice(("unknown", "missing", "type"))
    if kind == "missing" and shape.required_members:
        tokens = [name for name in shape.required_members if name in shape.members and not shape.members[name].metadata.get("idempotencyToken")]
        if tokens:
            name = chance.choice(tokens)
            return {key: value for key, value in params.items() if key != name}
    given = [name for name in params if not is_json_header(shape.members[name]) and shape.members[name].type_name in ("string", "list", "boolean", "integer")]
    if kind == "type" and given:
        name = chance.choice(given)
        return {**params, name: {"no": "such type"}}
    return {**params, "NoSuchMember": 1}


def faults_of(operation, chance):
    """(code, status) of one of the faults that the model knows, or of one that it does not."""
    shapes = operation.error_shapes
    if not shapes or chance.random() < 0.2:
        return chance.choice((("AccessDenied", 403), ("ThrottlingException", 400), ("InternalFailure", 500), ("Unheard.Of", 400)))
    shape = chance.choice(shapes)
    return shape.error_code, shape.metadata.get("error", {}).get("httpStatusCode", 400)


def make_answer(service, protocol, operation, chance, optional):
    shape = operation.output_shape
    generator = Values(f"{SEED} {service} {operation.name} answer {optional}", optional, answers=True, fixed=ANSWERED.get(service))
    value = generator.of(shape) if shape else {}
    return value, answers.result(service, protocol, operation, value)


def cases_of(service, protocol, operation):
    """(name, parameters, answer, what the answer says or None)"""
    fixed, shape = FIXED.get(service), operation.input_shape
    for name, optional in ("all", 1.0), ("some", 0.4), ("least", 0.0):
        seed = f"{SEED} {service} {operation.name} {name}"
        chance = random.Random(seed)
        params = Values(seed, optional, fixed=fixed).of(shape) if shape else {}
        if name == "least":
            code, status = faults_of(operation, chance)
            yield name, params, answers.fault(service, protocol, code, f"it <failed> & {code}", status, chance), None
            if shape:  # botocore ignores what an operation without parameters is given; ours refuses it
                yield "mistake", spoil(shape, params, chance), answers.fault(service, protocol, code, "no", status, chance), None
        else:
            yield name, params, *reversed(make_answer(service, protocol, operation, chance, optional))


class Report:
    """What came of a service; goes from the worker process to the first one."""

    def __init__(self):
        self.operations = self.passed = self.failed = self.unproven = 0
        self.cases_excluded = collections.Counter()
        self.excluded, self.deviations, self.failures = collections.Counter(), collections.Counter(), []

    def note(self, name, differences):
        if not differences:
            self.passed += 1
            return
        self.failed += 1
        if len(self.failures) < FAILURES_KEPT:
            self.failures.append((name, differences))

    def add(self, other):
        for name in ("operations", "passed", "failed", "unproven"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.excluded += other.excluded
        self.cases_excluded += other.cases_excluded
        self.deviations += other.deviations
        self.failures += other.failures


def ask_ours(requests):
    """The conformance program's answers, one a request."""
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    done = subprocess.run([BUILD / "conformance"], input=lines.encode(), stdout=subprocess.PIPE, check=False)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode or len(found) != len(requests):
        raise RuntimeError(f"the conformance program ended with {done.returncode} after {len(found)} of {len(requests)} answers")
    return found


def guarded(subject):
    try:
        return compare_service(*subject)
    except Exception as error:
        report = Report()
        report.note(subject[0], {"the test itself": [None, "".join(traceback.format_exception(error))[-SHOWN:]]})
        return report


def compare_service(service, wanted):
    session = botocore.session.Session()
    session.set_credentials("AKIDEXAMPLE", "secret")
    without_cbor(session.get_component("data_loader"))
    botocore.handlers.uuid = types.SimpleNamespace(uuid4=lambda: TOKEN)
    wire, report = Wire(), Report()
    client = open_client(session, service, wire)
    protocol = client.meta.service_model.resolved_protocol
    if protocol not in OURS:
        report.excluded[f"{service} speaks only {protocol}"] += len(client.meta.service_model.operation_names)
        return report
    asked, expected = [], []
    for name in client.meta.service_model.operation_names:
        operation = client.meta.service_model.operation_model(name)
        if wanted and name != wanted:
            continue
        why = exclusion(service, operation)
        if why:
            report.excluded[why] += 1
            continue
        report.operations += 1
        for case in cases_of(service, protocol, operation):
            compare_case(service, protocol, client, operation, wire, case, asked, expected, report)
    for ours, check in zip(ask_ours(asked), expected):
        check(ours)
    client.close()
    del client, session
    gc.collect()
    return report


def compare_case(service, protocol, client, operation, wire, case, asked, expected, report):
    name, params, answer, value = case
    title = f"{service}.{operation.name} {name}"
    if operation.has_event_stream_output:
        report.excluded["its answer is an event stream: requests are compared, answers are not"] += name == "all"
        answer = {"status_code": 200, "headers": {}, "body": b""}
    ours_params = as_json(params)
    kind, theirs = call_botocore(client, operation.name, dict(params), wire, answer)
    request = wire.request
    if kind == "missing":
        report.cases_excluded["botocore needs its optional native part: CRC32C, CRC64NVME, signatures for several Regions"] += 1
        return
    subject = {"service": service, "operation": operation.name}

    def check_request(ours):
        if request is None:
            report.note(title + " (parameters)", {} if "failure" in ours else {"refused": [theirs, ours]})
        elif "failure" in ours:
            report.note(title + " (request)", {"failure": [None, ours["failure"]], "params": [ours_params, None]})
        else:
            report.note(title + " (request)", request_differences(service, protocol, request, ours, report))

    def check_answer(ours):
        own_kind, own = ours_of(ours)
        if kind == "result" and isinstance(theirs, dict) and service == "s3":
            theirs.pop("ExpiresString", None)  # botocore's own addition
        fine = own_kind == kind and (kind == "refused" or alike(own, theirs))
        if value is not None and kind == "result" and not meant(as_json(value), theirs):
            report.unproven += 1
            if os.environ.get("UNPROVEN"):
                print("  unproven", title, short(as_json(value)), short(theirs), text_of(answer["body"])[:SHOWN])
        body = text_of(answer["body"])
        report.note(title + " (answer)", {} if fine else {kind: [theirs, ours], "of": [answer["headers"], body]})

    asked.append({"do": "serialize", **subject, "params": ours_params, "endpoint": ENDPOINT})
    expected.append(check_request)
    if request is None or operation.has_event_stream_output:
        return
    response = {"status_code": answer["status_code"], "headers": answer["headers"], "body_base64": base64.b64encode(answer["body"]).decode()}
    asked.append({"do": "parse", **subject, "response": response})
    expected.append(check_answer)


def services_of():
    return (BUILD / "models" / "services.txt").read_text().split()


def main(arguments):
    services = services_of()
    chosen = [argument.partition(".")[::2] for argument in arguments]
    size = {name: (BUILD / "models" / f"{name}.model").stat().st_size for name in services}
    subjects = chosen or [(name, "") for name in sorted(services, key=size.get, reverse=True)]
    total = Report()
    with multiprocessing.Pool(min(os.cpu_count() or 1, 4), maxtasksperchild=20) as pool:
        for report in pool.imap_unordered(guarded, subjects, chunksize=1):
            total.add(report)
    for name, differences in total.failures[:FAILURES_SHOWN]:
        print(f"  FAIL differential: {name}")
        for part, (theirs, ours) in differences.items():
            print(f"    {part}: botocore {short(theirs)}\n    {' ' * len(part)}      ours {short(ours)}")
    for why, count in sorted(total.excluded.items()):
        print(f"  excluded differential: {count} operations: {why}")
    for why, count in sorted(total.cases_excluded.items()):
        print(f"  excluded differential: {count} cases: {why}")
    for name, count in sorted(total.deviations.items()):
        print(f"  deviation differential: {count} of the passed: {DEVIATIONS[name]}")
    print(f"  differential: {total.operations} operations of {len(subjects)} services; {total.unproven} answers are read otherwise than they were written "
          "(decoded keys of S3, empty flattened lists, fractions of seconds in headers)")
    print(f"conformance/differential: {total.passed} passed, {total.failed} failed")
    return 1 if total.failed or not total.passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
