#!/usr/bin/env python3
"""The endpoint rules against botocore's engine: every service's rule set, with many combinations of parameters.

    tests/conformance/endpoints.py [SERVICE ...]     (default: all; build/venv/bin/python runs it)

What a rule set compares its parameters with is looked up in it, so that its branches are reached; Regions of all
partitions, ARNs, buckets of every kind, own endpoints and dual-stack and FIPS are mixed in.  SEED (default 1) changes the
choice.  One line at the end: "conformance/endpoints: N passed, N failed".
"""

import json
import multiprocessing
import os
import random
import sys

try:
    import botocore.endpoint_provider
    import botocore.exceptions
    import botocore.loaders
except ImportError:
    print("SKIP: botocore absent: build/venv/bin/python has it (make test makes it)")
    sys.exit(0)

from differential import BUILD, Report, SEED, ask_ours, services_of
from run import same, short

CASES = 120  # a rule set; ten times as many where there are many parameters
REGIONS = (
    "us-east-1 us-east-2 us-west-2 eu-west-1 eu-central-1 ap-southeast-2 me-south-1 aws-global cn-north-1 cn-northwest-1 "
    "aws-cn-global us-gov-west-1 us-gov-east-1 aws-us-gov-global us-iso-east-1 us-iso-west-1 us-isob-east-1 eu-isoe-west-1 "
    "us-isof-south-1 eusc-de-east-1 xx-nowhere-9 us-east-1-fips fips-us-west-2 local s3-external-1 bad_region a.b"
).split() + ["", "us east 1"]
ENDPOINTS = (
    "https://example.com", "http://localhost:4566", "https://10.1.2.3", "http://[::1]:9000/base", "https://example.com/a//b/../c",
    "https://vpce-1.s3.eu-west-1.vpce.amazonaws.com", "https://example.com?x=1", "ftp://example.com", "not a url", "https://example.com:99999",
)
RESOURCES = (
    "accesspoint/my-point", "accesspoint:my-point", "accesspoint:my-point:object/a key", "outpost/op-01234567890123456/accesspoint/point",
    "outpost:op-01234567890123456:bucket:my-bucket", "outpost/op_bad/accesspoint/x", "table/name", "stream/name", "mfzwi23gnjvgw.mrap", "accesspoint:mfzwi23gnjvgw.mrap",
    "accesspoint:", "bucket_name", "stream/name/consumer/c:1", "endpoint/abc.123",
)
BUCKETS = (
    "my-bucket", "my.bucket.dots", "Upper-Case", "ab", "192.168.1.1", "-dash", "bucket--x-s3", "my-zone--use1-az1--x-s3", "name--usw2-az1--x-s3",
    "name--xa-s3", "point--use1-az1--xa-s3", "bucket-name--op-s3", "x" * 40 + "--op-s3", "test-accessp-o0b1d075431d83bebde8xz5w8ijx1qzlbp3i3kuse10--op-s3",
    "test-accessp-e0b1d075431d83bebde8xz5w8ijx1qzlbp3i3ebeta0--op-s3", "under_score", "a b", "üml", "arn:", "arn:aws:s3:::x",
)


def arns(chance, services):
    partition, region = chance.choice((("aws", "us-west-2"), ("aws", ""), ("aws-cn", "cn-north-1"), ("aws-us-gov", "us-gov-west-1"), ("aws", "bad_region"), ("", "us-east-1")))
    account = chance.choice(("123456789012", "123456789012", "", "12_34"))
    return f"arn:{partition}:{chance.choice(services)}:{region}:{account}:{chance.choice(RESOURCES)}"


def literals(ruleset):
    """What the rules compare their parameters with: {parameter's name: texts}."""
    found = {}

    def walk(value):
        if isinstance(value, dict):
            names = [one["ref"] for one in value.get("argv", ()) if isinstance(one, dict) and "ref" in one]
            texts = [one for one in value.get("argv", ()) if isinstance(one, str) and "{" not in one]
            for name in names:
                found.setdefault(name, set()).update(texts)
            value = list(value.values())
        if isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(ruleset["rules"])
    return found


def pool(name, spec, compared, chance, service):
    """Values that a parameter may have; None: absent."""
    kind = spec["type"].lower()
    if kind == "boolean":
        return [None, True, False]
    if kind == "stringarray":
        return [None, [], ["one"], ["two", "three"]]
    if name == "Region":
        return list(REGIONS) + [None]
    if name == "Endpoint":
        return [None] * (2 * len(ENDPOINTS)) + list(ENDPOINTS)
    extra = sorted(compared.get(name, ()))
    if name == "Bucket":
        return extra + list(BUCKETS) + [arns(chance, ("s3", "s3-outposts", "s3-object-lambda", "sqs")) for _ in range(24)] + [None]
    if "account" in name.lower():
        return extra + ["123456789012", "1", "bad_account", None]
    if "arn" in name.lower() or name == "ResourceId":
        return extra + [arns(chance, (service, "kinesis", "dynamodb", "s3")) for _ in range(12)] + ["plain", None]
    return extra + ["plain", "with-dash", "under_score", "a.b", "x y", None]


def combinations(service, ruleset):
    chance = random.Random(f"{SEED} {service}")
    specs, compared = ruleset["parameters"], literals(ruleset)
    pools = {name: pool(name, spec, compared, chance, service) for name, spec in specs.items()}
    wanted = CASES if len(specs) <= 4 else CASES * 10
    for _ in range(wanted):
        yield {name: value for name, values in pools.items() if (value := chance.choice(values)) is not None}


ENGINE = "botocore's engine"


def ask_botocore(provider, params):
    try:
        found = provider.resolve_endpoint(**{name: tuple(value) if isinstance(value, list) else value for name, value in params.items()})
    except botocore.exceptions.EndpointResolutionError as error:
        return {"error": str(error)}
    except (KeyError, TypeError, AttributeError) as error:  # a name in a template that is not set
        return {"error": f"{ENGINE}: {error!r}"}
    return {"url": found.url, "headers": found.headers, "properties": found.properties}


def alike(theirs, ours):
    if "error" not in theirs:
        return same(theirs, ours)
    text = theirs["error"]
    own = text.startswith((ENGINE, "No endpoint found", "Both ", "Value (", "Input must"))  # not a rule's words: the engine's
    return ours.get("error") == text or (own and "error" in ours)


def compare(service):
    report, loader = Report(), botocore.loaders.Loader()
    try:
        ruleset = loader.load_service_model(service, "endpoint-rule-set-1")
    except botocore.exceptions.UnknownServiceError:
        report.excluded[f"{service} has no endpoint rule set"] += 1
        return report
    provider = botocore.endpoint_provider.EndpointProvider(ruleset, loader.load_data("partitions"))
    cases = list(combinations(service, ruleset))
    asked = [{"do": "endpoint", "service": service, "params": params} for params in cases]
    for params, ours in zip(cases, ask_ours(asked)):
        theirs = ask_botocore(provider, params)
        report.operations += "error" not in theirs
        report.note(f"{service} {json.dumps(params)}", {} if alike(theirs, ours) else {"endpoint": [theirs, ours]})
    return report


def main(arguments):
    total, services = Report(), arguments or services_of()
    with multiprocessing.Pool(min(os.cpu_count() or 1, 4), maxtasksperchild=40) as workers:
        for report in workers.imap_unordered(compare, services, chunksize=4):
            total.add(report)
    for name, differences in total.failures[:40]:
        print(f"  FAIL endpoints: {name}")
        for theirs, ours in differences.values():
            print(f"    botocore {short(theirs)}\n        ours {short(ours)}")
    for why, count in sorted(total.excluded.items()):
        print(f"  excluded endpoints: {count}: {why}")
    print(f"  endpoints: {len(services)} rule sets, {total.operations} of the cases have an endpoint, the others an error")
    print(f"conformance/endpoints: {total.passed} passed, {total.failed} failed")
    return 1 if total.failed or not total.passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
