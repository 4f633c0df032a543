#!/usr/bin/env python3
"""The worker's consumption beside a bare librdkafka consumer, on the same topic of a real broker, turn by turn.

Events are CloudTrail records of the reference data, read over and over; first none of them matches, then one of a
hundred does and AWS is a local server that always gives the same answers.  A slow machine fails nothing."""

import json
import os
import socket
import statistics
import struct
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))

import yaml  # noqa: E402

from stack import Stack  # noqa: E402
from stack.kafka import recreate_topics  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("PARAPET_REFERENCE_DATA") or ROOT / "../shared/data") / "cloudtrail/invictus/CloudTrail"
BUILD = Path(os.environ.get("BUILD") or ROOT / "build").resolve()
TOOL = BUILD / "tests/bench/bench_pipeline"
MATCHING = "AuthorizeSecurityGroupIngress"
EVENTS, ROUNDS = int(os.environ.get("BENCH_EVENTS", "1000000")), 3
TICKS = os.sysconf("SC_CLK_TCK")


def envelope(record, account):
    return {"version": "0", "id": record["eventID"], "detail-type": "AWS API Call via CloudTrail",
            "source": "aws." + record["eventSource"].partition(".")[0], "account": account, "time": record["eventTime"],
            "region": record["awsRegion"], "resources": [], "detail": record}  # fmt: skip


def unmatched(events):
    """Those that no pattern of the shipped playbooks matches."""
    playbooks = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "worker/playbooks/guardrails").glob("*.yaml"))]
    patterns = [json.dumps(event["pattern"]) for one in playbooks for event in one["trigger"].get("events", [])]
    asked = "".join(json.dumps({"do": "pattern", "pattern": pattern, "event": event}) + "\n"
                    for event in events for pattern in patterns)  # fmt: skip
    done = subprocess.run([BUILD / "conformance"], input=asked, capture_output=True, text=True, check=True)
    matched = [json.loads(line)["match"] for line in done.stdout.splitlines()]
    size = len(patterns)
    return [event for n, event in enumerate(events) if not any(matched[n * size : (n + 1) * size])]


def write_events(directory, account):
    """(file of events none of which matches, file of one that does)"""
    records = [r for path in sorted(DATA.glob("*.json")) for r in json.loads(path.read_text())["Records"]]
    quiet, loud = directory / "quiet.jsonl", directory / "loud.jsonl"
    plain = unmatched([json.dumps(envelope(r, account), separators=(",", ":")) for r in records])
    print(f"{len(plain)} of {len(records)} records match no shipped playbook")
    quiet.write_text("".join(line + "\n" for line in plain))
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())  # an old one would only be parked
    event = {**records[0], "eventID": "bench-#", "eventTime": now, "eventSource": "ec2.amazonaws.com", "eventName": MATCHING,
             "awsRegion": "eu-west-1", "recipientAccountId": account, "requestParameters": {"groupId": "sg-#"},
             "responseElements": None}  # fmt: skip
    event.pop("errorCode", None)
    loud.write_text(json.dumps(envelope(event, account), separators=(",", ":")) + "\n")
    return quiet, loud


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def bare(stack, group, total, verb="consume", *ports):
    """(events/s, CPU µs an event)"""
    command = [TOOL, verb, stack.bootstrap, "parapet.events", group, str(total), *map(str, ports)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    events, seconds, cpu = (float(word) for word in done.stdout.split())
    return events / seconds, cpu / events * 1e6


def told(program):
    """({outcome: events}, units in hand).  Asked for all the time on the same two processors: no more is read than that."""
    with socket.create_connection(("127.0.0.1", program.port), timeout=2) as connection:
        connection.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        lines = b"".join(iter(lambda: connection.recv(65536), b"")).decode().splitlines()
    value = lambda line: float(line.rpartition(" ")[2])  # noqa: E731
    outcomes = {line.split('"')[1]: value(line) for line in lines if line.startswith("parapet_events_total{")}
    return outcomes, sum(value(line) for line in lines if line.startswith("parapet_units_in_hand "))


def worker(stack, group, total, wrapper=(), count_file=None, matching=0, **settings):
    """(events/s, CPU µs an event, allocations an event or None): from the first count seen to the last unit's end."""
    redis = stack.redis.client()
    for key in list(redis.scan_iter("parapet:v1:seen:*", 1000)):  # or the next turn would take them for duplicates
        redis.delete(key)
    program = stack.start_worker(wait=False, wrapper=wrapper, **{"kafka.group": group, "log.level": "warn", **settings})
    before, deadline = None, time.monotonic() + 120
    while True:
        try:
            outcomes, in_hand = told(program)
        except OSError:
            outcomes, in_hand = {}, 0
        seen = sum(outcomes.values())
        now = (time.monotonic(), seen, cpu_seconds(program.child.pid), counted(count_file))
        if seen and before is None:
            before = now
        if seen >= total and not in_hand:
            break
        if time.monotonic() > deadline or not program.running():
            raise SystemExit(f"bench: {seen:.0f} of {total} events\n{program.log_tail()}")
        time.sleep(0.02)
    program.terminate(30)
    stack.programs.remove(program)
    if {**outcomes, "matched": outcomes.get("matched", 0)} != {**dict.fromkeys(outcomes, 0), "matched": matching, "unmatched": total - matching}:
        raise SystemExit(f"bench: of {total} events {matching} should match: {outcomes}")
    events = now[1] - before[1]
    allocated = [(b - a) / events for a, b in zip(before[3], now[3])]
    return events / (now[0] - before[0]), (now[2] - before[2]) / events * 1e6, allocated


def counted(path):
    return struct.unpack("4Q", path.read_bytes()) if path and path.exists() and path.stat().st_size == 32 else (0,) * 4


KINDS = {
    "bare": "bare, a poll a message",
    "batches": "bare, in batches as the worker does",
    "worker": "worker",
    "least": "bare, and a match asks AWS and Redis once",
}


def measure(stack, name, total, beside, aws=None, **settings):
    """Turn by turn; medians.  The aims are of a bare consumer with one poll a message, as most are.  What the least would
    reach is a bound, so of that the best one: it stands still for a second where librdkafka finds its queue full."""
    rates = {kind: [] for kind in KINDS if aws or kind != "least"}
    for number in range(ROUNDS):
        rates["bare"].append(bare(stack, f"bare-{name}-{number}", total))
        rates["batches"].append(bare(stack, f"batches-{name}-{number}", total, "batches"))
        rates["worker"].append(worker(stack, f"worker-{name}-{number}", total, **settings)[:2])
        if aws:
            rates["least"].append(bare(stack, f"least-{name}-{number}", total, "least", aws, stack.redis.port))
    rate = {kind: (max if kind == "least" else statistics.median)(each[0] for each in turns) for kind, turns in rates.items()}
    for kind, turns in rates.items():
        cpu = statistics.median(each[1] for each in turns)
        print(f"{name + ', ' + KINDS[kind]:<55}{rate[kind]:>10.0f} events/s  {cpu:.2f} µs CPU an event  "
              f"(each: {', '.join(f'{each[0]:.0f}' for each in turns)})", flush=True)  # fmt: skip
    if aws:
        print(f"{name + ', that / bare':<55}{rate['least'] / rate['bare']:>10.2f}", flush=True)
    print(f"{name + ', worker / bare':<55}{rate['worker'] / rate['bare']:>10.2f}           "
          f"{rate['worker'] / rate['batches']:.2f} of that in batches; {beside}", flush=True)  # fmt: skip


def allocations(stack, total):
    library, counts = BUILD / "bench/count_allocations.so", stack.directory / "allocations"
    library.parent.mkdir(parents=True, exist_ok=True)
    source = Path(__file__).with_name("count_allocations.c")
    subprocess.run([*os.environ.get("CC", "cc").split(), "-O2", "-D_GNU_SOURCE", "-shared", "-fPIC", "-o", library, source], check=True)
    wrapper = ["env", f"LD_PRELOAD={library}", f"COUNT_FILE={counts}"]
    _, _, (calls, size, other_calls, other_size) = worker(stack, "counted", total, wrapper, counts)
    print(f"{'unmatched, allocated an event':<55}{size:>10.3f} bytes in {calls:.5f} calls by Parapet; "
          f"{other_size:.0f} bytes in {other_calls:.2f} calls by libraries (librdkafka)", flush=True)  # fmt: skip


def produce(stack, *arguments):
    begun = time.monotonic()
    subprocess.run([TOOL, "produce", stack.bootstrap, "parapet.events", *map(str, arguments)], check=True, timeout=180)
    print(f"{arguments[1]} events produced in {time.monotonic() - begun:.0f} s", flush=True)


def main():
    if not DATA.is_dir():
        print(f"skipped: {DATA} does not exist (PARAPET_REFERENCE_DATA)")
        return
    aws = subprocess.Popen([TOOL, "aws"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    port = int(aws.stdout.readline())
    try:
        with Stack(kafka="real", accounts=1, regions=["eu-west-1"], guardrails=None) as stack:
            quiet, loud = write_events(stack.directory, stack.ids[0])
            size = quiet.stat().st_size / sum(1 for _ in quiet.open())
            produce(stack, quiet, EVENTS)
            measure(stack, "none matches", EVENTS, f"{EVENTS} events of {size:.0f} bytes, 6 partitions, 1 consumer")
            allocations(stack, EVENTS)
            recreate_topics(stack.bootstrap)
            produce(stack, quiet, EVENTS, loud)
            measure(stack, "1 % matches", EVENTS, "AWS answers at once, from this machine", port,
                    matching=EVENTS // 100, **{"aws.endpoint_url": f"http://127.0.0.1:{port}", "patience": "1ms"})  # fmt: skip
    finally:
        aws.stdin.close()
        aws.wait(10)


if __name__ == "__main__":
    main()
