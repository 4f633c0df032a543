#!/usr/bin/env python3
"""Start-up, memory and event→fixed of the worker on the real stack, with the emulator's own limits beside them.

Everything shares one machine, so the emulator is the limit: its ceiling is measured in the same run.  No figure fails
the run; work that is not done does."""

import concurrent.futures
import http.client
import re
import statistics
import sys
import threading
import time
import urllib.parse
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))

from botocore.auth import SigV4Auth  # noqa: E402
from botocore.awsrequest import AWSRequest  # noqa: E402
from botocore.credentials import Credentials  # noqa: E402
from demo_watch import GUARDRAIL, Watch, percentile  # noqa: E402
from stack import ALL_REGIONS, REGIONS, Stack, http_get, permission  # noqa: E402

STARTS, PLANTED, TRICKLE, RATE = 5, 300, 100, 5
REGION = "eu-west-1"
# Limits out of the way: what is measured here is work, not its refusal.
SETTINGS = {"log.level": "info", "notice.window": "60s", "breaker.override": f"{GUARDRAIL}=100000/10m",
            "breaker.guardrail_actions": 0, "breaker.account_actions": 0, "breaker.organization_actions": 0}  # fmt: skip


def figure(name, value, unit, beside=""):
    shown = f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 1000 else f"{value:.0f}"
    print(f"{name:<42}{shown:>10} {unit:<9}{beside}", flush=True)


def wait_fixed(watch, groups, seconds):
    deadline = time.monotonic() + seconds
    while watch.count("fixed", groups=groups) < len(groups):
        if time.monotonic() > deadline:
            raise SystemExit(f"bench: only {watch.count('fixed', groups=groups)} of {len(groups)} fixed in {seconds} s")
        time.sleep(0.5)
        watch.look_at_findings()


# ---- start-up ----


def start_seconds(stack):
    """From exec to the first 200 of /readyz, and to the end of its own preparations as its log says."""
    begun = time.monotonic()
    worker = stack.start_worker(wait=False, **SETTINGS)
    while True:
        try:
            if http_get(f"http://127.0.0.1:{worker.port}/readyz")[0] == 200:
                break
        except OSError:
            pass
        if time.monotonic() - begun > 60 or not worker.running():
            raise SystemExit(f"bench: the worker did not become ready\n{worker.log_tail()}")
        time.sleep(0.005)
    ready = time.monotonic() - begun
    own = re.search(r'"worker started".*"ms":(\d+)', worker.log())
    worker.terminate(20)
    stack.programs.remove(worker)
    return ready, int(own.group(1)) / 1000 if own else ready


def bench_start(stack):
    starts = [start_seconds(stack) for _ in range(STARTS)]
    ready, own = zip(*starts)
    figure("start-up to ready, median", statistics.median(ready), "s",
           f"of {STARTS}: {min(ready):.2f} to {max(ready):.2f} s; {statistics.median(own):.2f} s of it are the "
           "worker's own preparations, the rest is Kafka's group")  # fmt: skip


# ---- memory after a sweep ----


def bench_sweep(stack, watch):
    stack.write_accounts(regions=ALL_REGIONS)
    places = stack.plant_everywhere([permission()], PLANTED, stack.ids, ALL_REGIONS)
    groups = {group for _, _, group in places}
    worker = stack.start_worker(**SETTINGS)
    idle, _ = worker.memory_kib()
    mark, begun = stack.tap.mark(), time.monotonic()
    collector = stack.start_collector(**{"log.level": "info", "schedule.enabled": True, "schedule.at_start": True})
    wait_fixed(watch, groups, 240)
    took = time.monotonic() - begun
    resident, peak = worker.memory_kib()
    calls = len(stack.calls(since=mark, role=f"*{stack.role}"))
    beside = f"after {PLANTED} violations in {len(stack.ids)} accounts × {len(ALL_REGIONS)} Regions were fixed"
    figure("worker's resident memory (VmRSS)", resident / 1024, "MiB", f"{beside}; {idle / 1024:.1f} when ready")
    figure("worker's peak memory (VmHWM)", peak / 1024, "MiB", "same worker, 64 threads")
    figure("sweep and fix", took, "s", f"{PLANTED / took:.1f} fixes/s, {calls} AWS calls, {calls / took:.0f} calls/s")
    return worker, collector


# ---- a steady trickle ----


def trickle(stack, watch):
    """Opens TRICKLE groups, RATE a second, dealt out over accounts and Regions; the groups."""
    places = [(account, region) for region in REGIONS for account in stack.ids]
    chosen = [places[n % len(places)] for n in range(TRICKLE)]
    groups = {place: iter(stack.plant(*place, count=chosen.count(place), name="trickle")) for place in set(chosen)}
    for account, region in set(chosen):  # connections and sessions are there before the clock runs
        stack.stranger(account).client("ec2", region)
    opened = []

    def open_one(account, region, group):
        watch.opened[group] = time.time()
        client = stack.stranger(account).client("ec2", region)
        client.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission()])

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        begun, calls = time.monotonic(), []
        for number, place in enumerate(chosen):
            time.sleep(max(0.0, begun + number / RATE - time.monotonic()))
            opened.append(next(groups[place]))
            calls.append(pool.submit(open_one, *place, opened[-1]))
        for call in calls:
            call.result()
    return set(opened)


def bench_trickle(stack, watch):
    mark, begun = stack.tap.mark(), time.monotonic()
    groups = trickle(stack, watch)
    wait_fixed(watch, groups, 120)
    took = time.monotonic() - begun
    seconds = sorted(watch.seconds(watch.findings[group]) for group in groups)
    own = stack.calls(since=mark, role=f"*{stack.role}")
    busy = statistics.median(call["ms"] for call in own)
    places = f"{len(stack.ids)} accounts × {len(REGIONS)} Regions"
    beside = f"from the stranger's call to the verified fix; {TRICKLE} at {RATE}/s over {places}"
    figure("event→fixed, p50", percentile(seconds, 50), "s", beside)
    figure("event→fixed, p99", percentile(seconds, 99), "s", f"slowest {seconds[-1]:.2f} s")
    calls = len(own) / TRICKLE
    figure("AWS calls a fix", calls, "calls",
           f"{len(own) / took:.0f} calls/s in all; the emulator takes {busy:.0f} ms a call (median)")  # fmt: skip
    return calls


# ---- what the emulator can ----


def signed_read(stack, account):
    """DescribeSecurityGroupRules of one group, signed once: (body, headers).  boto3 itself would be the limit."""
    group = stack.plant(account, REGION, [permission()])[0]
    user = next(user for user in stack.users if user["account"] == account)
    body = urllib.parse.urlencode({"Action": "DescribeSecurityGroupRules", "Version": "2016-11-15",
                                   "Filter.1.Name": "group-id", "Filter.1.Value.1": group})  # fmt: skip
    request = AWSRequest("POST", stack.tap.url + "/", data=body, headers={
        "Content-Type": "application/x-www-form-urlencoded; charset=utf-8", "x-moto-account-id": account})  # fmt: skip
    SigV4Auth(Credentials(user["key"], user["secret"]), "ec2", REGION).add_auth(request)
    return body, dict(request.headers)


def calls_a_second(url, requests, seconds=5.0, threads=8):
    counts, end = [0] * threads, time.monotonic() + seconds

    def call(number):
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
        body, headers = requests[number % len(requests)]
        while time.monotonic() < end:
            connection.request("POST", "/", body, headers)
            response = connection.getresponse()
            response.read()
            if response.status != 200:
                raise SystemExit(f"bench: the emulator answered {response.status}")
            counts[number] += 1
        connection.close()

    callers = [threading.Thread(target=call, args=(number,)) for number in range(threads)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    return sum(counts) / seconds


def bench_ceiling(stack, calls_a_fix):
    requests = [signed_read(stack, account) for account in stack.ids]
    tapped = calls_a_second(stack.tap.url, requests)
    bare = calls_a_second(stack.moto.url_for(stack.ids[0]), requests)
    figure("ceiling: emulator through the tap", tapped, "calls/s", 
           f"DescribeSecurityGroupRules, 8 connections, alone; {tapped / calls_a_fix:.0f} fixes/s")  # fmt: skip
    figure("ceiling: bare emulator", bare, "calls/s", "the same past the tap")


def main():
    with Stack(kafka="real", accounts=5, regions=REGIONS) as stack:
        watch = Watch(stack)
        try:
            bench_start(stack)
            bench_sweep(stack, watch)
            calls_a_fix = bench_trickle(stack, watch)
            stack.stop_programs()
            bench_ceiling(stack, calls_a_fix)
        finally:
            watch.close()


if __name__ == "__main__":
    main()
