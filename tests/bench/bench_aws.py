#!/usr/bin/env python3
"""The AWS client beside botocore: calls a second and processor time a call, in one run, on the same answers.

The answers come from moto (500 security groups planted) and are recorded once.  A server of recorded answers then gives
them to both clients, so that the server is not the limit; the same calls straight to moto are shown below.  Processor
time is getrusage's, user and system, of the calling process, without start-up.  No figure fails the run."""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))

import botocore.session  # noqa: E402
from botocore.config import Config  # noqa: E402
from stack import ROOT, Stack, permission  # noqa: E402
from stack.cloud import in_threads  # noqa: E402

BUILD = Path(os.environ.get("BUILD", ROOT / "build")).resolve()
PROGRAM, SERVER, MODELS = BUILD / "tests/bench/bench_aws", BUILD / "tests/bench/bench_aws_server", BUILD / "models"
GROUPS, ROUNDS, AIM_CPU, AIM_MIB = 500, 5, 10, 40
LARGE = "ec2.DescribeSecurityGroups"
SMALL = ["sts.GetCallerIdentity", "organizations.DescribeOrganization", "kms.ListKeys", "s3.ListBuckets"]
# One operation for each service whose model the memory figure is about.
LOADED = [LARGE, "iam.ListRoles", "s3.ListBuckets", "sts.GetCallerIdentity", "sns.ListTopics", "sqs.ListQueues",
          "route53.ListHostedZones", 'wafv2.ListWebACLs {"Scope": "REGIONAL"}', "organizations.DescribeOrganization"]  # fmt: skip


def client(url, service):
    config = Config(retries={"mode": "standard"}, max_pool_connections=16, s3={"addressing_style": "path"})
    return botocore.session.get_session().create_client(service, "us-east-1", endpoint_url=url, config=config)


def method(made, name):
    return getattr(made, next(own for own, theirs in made.meta.method_to_api_mapping.items() if theirs == name))


# ---- botocore's half: a process of its own, as bench_aws is ----


def processor():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def botocore_call(url, operation, count, threads):
    service, name = operation.split(".")
    call, each = method(client(url, service), name), int(count) // int(threads)
    for _ in range(3):
        call()
    workers = [threading.Thread(target=lambda: [call() for _ in range(each)]) for _ in range(int(threads))]
    begun, before = time.monotonic(), processor()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    took, spent = time.monotonic() - begun, processor() - before
    print(json.dumps({"calls": each * len(workers), "seconds": took, "cpu": spent}))


def botocore_memory(url, *operations):
    begun = time.monotonic()
    session = botocore.session.get_session()  # one session, as a careful program has it
    opened = time.monotonic()
    for operation in operations:
        name, _, parameters = operation.partition(" ")
        service, name = name.split(".")
        config = Config(s3={"addressing_style": "path"})
        made = session.create_client(service, "us-east-1", endpoint_url=url, config=config)
        method(made, name)(**json.loads(parameters or "{}"))
    ended = time.monotonic()
    kib = int(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmRSS:")))
    print(json.dumps({"open_ms": (opened - begun) * 1e3, "call_ms": (ended - opened) * 1e3, "rss_kib": kib}))


# ---- both, in turn ----


def run(*command):
    ended = subprocess.run([str(one) for one in command], capture_output=True, text=True, timeout=300, check=False)
    if ended.returncode != 0:
        raise SystemExit(f"bench: {' '.join(str(one) for one in command)}\n{ended.stderr[-2000:]}")
    return json.loads(ended.stdout)


def ours(what, url, *rest):
    return run(PROGRAM, what, MODELS, url, *rest)


def theirs(what, url, *rest):
    return run(sys.executable, __file__, what, url, *rest)


def compare(url, operation, counts, threads, rounds):
    """Pairs, in turn, so that a machine whose speed drifts treats both alike; the medians as a row."""
    pairs = [(ours("call", url, operation, counts[0], threads), theirs("call", url, operation, counts[1], threads))
             for _ in range(rounds)]  # fmt: skip
    rate = [[one["calls"] / one["seconds"] for one in side] for side in zip(*pairs)]
    cost = [[one["cpu"] / one["calls"] * 1e6 for one in side] for side in zip(*pairs)]
    ratios = [b / a for a, b in zip(*cost)]
    rates, costs = [statistics.median(side) for side in rate], [statistics.median(side) for side in cost]
    print(f"{operation:<36}{threads:>3}{rates[0]:>11.1f}{rates[1]:>11.1f}{costs[0]:>12.1f}{costs[1]:>12.1f}"
          f"{statistics.median(ratios):>8.1f}  ({min(ratios):.1f} to {max(ratios):.1f})", flush=True)  # fmt: skip
    return statistics.median(ratios)


def table(title):
    print(f"\n{title}\n{'operation':<36}{'thr':>3}{'calls/s':>11}{'botocore':>11}{'CPU us/call':>12}{'botocore':>12}"
          f"{'ratio':>8}", flush=True)  # fmt: skip


def bench_calls(recorded, moto):
    table(f"recorded answers; medians of {ROUNDS} pairs of runs; ratio: botocore's CPU over ours, aim at least {AIM_CPU}")
    ratios = [compare(recorded, LARGE, (200, 20), threads, ROUNDS) for threads in (1, 4)]
    for operation in SMALL:
        ratios += [compare(recorded, operation, (4000, 400), threads, ROUNDS) for threads in (1, 4)]
    table("the same calls to moto, which is the limit here; medians of 3 pairs")
    compare(moto, LARGE, (4, 4), 1, 3)
    compare(moto, SMALL[0], (4000, 1000), 1, 3)
    met = "met" if min(ratios) >= AIM_CPU else "NOT MET"
    print(f"\nleast CPU ratio with recorded answers: {min(ratios):.1f}; aim {AIM_CPU}: {met}")


def bench_memory(recorded):
    runs = [(ours("memory", recorded, *LOADED), theirs("memory", recorded, *LOADED)) for _ in range(ROUNDS)]
    middle = [{key: statistics.median(one[key] for one in side) for key in side[0]} for side in zip(*runs)]
    mib = [one["rss_kib"] / 1024 for one in middle]
    print(f"\n{len(LOADED)} services loaded and called once (500 groups among the answers): "
          f"{', '.join(one.split('.')[0] for one in LOADED)}")  # fmt: skip
    print(f"{'resident memory':<24}{mib[0]:>9.1f} MiB     botocore {mib[1]:>9.1f} MiB     aim under {AIM_MIB}: "
          f"{'met' if mib[0] < AIM_MIB else 'NOT MET'}; {middle[0]['file_kib'] / 1024:.1f} of it are pages of programs "
          f"and libraries, peak {middle[0]['peak_kib'] / 1024:.1f}")  # fmt: skip
    print(f"{'client opened':<24}{middle[0]['open_ms']:>9.1f} ms      botocore {middle[1]['open_ms']:>9.1f} ms")
    print(f"{'those nine calls':<24}{middle[0]['call_ms']:>9.1f} ms      botocore {middle[1]['call_ms']:>9.1f} ms")


# ---- the answers ----


def plant(ec2, number):
    """A group with three permissions and two tags, by a client that tries again."""
    tags = [{"Key": "owner", "Value": "team-a"}, {"Key": "stage", "Value": "production"}]
    made = ec2.create_security_group(GroupName=f"group-{number}", Description="planted",
                                     TagSpecifications=[{"ResourceType": "security-group", "Tags": tags}])  # fmt: skip
    permissions = [permission(), permission(ports=(443, 443), cidr="10.0.0.0/8"), permission(ports=(5432, 5432))]
    ec2.authorize_security_group_ingress(GroupId=made["GroupId"], IpPermissions=permissions)


def record(moto, operation, directory):
    """What moto answers, as bytes of HTTP, under the operation's name."""
    name, _, parameters = operation.partition(" ")
    service, name = name.split(".")
    made, heard = client(moto, service), []
    made.meta.events.register("before-parse", lambda response_dict, **_: heard.append(response_dict))
    method(made, name)(**json.loads(parameters or "{}"))
    keep = {key: text for key, text in heard[-1]["headers"].items() if key.lower() in ("content-type", "x-amzn-requestid")}
    body = heard[-1]["body"]
    lines = "".join(f"{key}: {text}\r\n" for key, text in {**keep, "Content-Length": len(body)}.items())
    (directory / name).write_bytes(f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode() + body)
    return len(body)


def main():
    with tempfile.TemporaryDirectory() as place, Stack(kafka=None, redis=False, accounts=1, regions=["us-east-1"]) as stack:
        os.environ.update(stack.aws_environment())
        moto = os.environ.pop("AWS_ENDPOINT_URL")
        client(moto, "organizations").create_organization(FeatureSet="ALL")
        ec2 = client(moto, "ec2")
        in_threads(lambda number: plant(ec2, number), range(GROUPS), threads=4)
        sizes = {one: record(moto, one, Path(place)) for one in {*LOADED, *SMALL}}
        print(f"{LARGE} with {GROUPS} groups: {sizes[LARGE] / 1024:.0f} KiB of XML; botocore {botocore.__version__}")
        server = subprocess.Popen([str(SERVER), place], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            recorded = f"http://127.0.0.1:{int(server.stdout.readline())}"
            bench_memory(recorded)
            bench_calls(recorded, moto)
        finally:
            server.stdin.close()
            server.wait(10)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        {"call": botocore_call, "memory": botocore_memory}[sys.argv[1]](*sys.argv[2:])
    else:
        main()
