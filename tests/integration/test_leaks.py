"""A worker built with address and leak sanitizers goes through everything once and ends without a leak."""

import os
import subprocess

import pytest
from spine import (
    HTTPS, assert_whole, counts, open_to_internet, sns_topic, start_collector, start_worker, statuses, sweep, wait_fixed, wait_idle,
)  # fmt: skip
from stack import ROOT
from test_garbage import event, harmless, hopeless, judged_by_worker

REGION = "eu-west-1"


@pytest.fixture(scope="module")
def checked_programs():
    """The directory of programs built with sanitizers."""
    build = ROOT / "build" / "leaks"
    command = [
        "make", "-s", f"-j{os.cpu_count()}", f"BUILD={build}", "SANITIZE=address,undefined", "OPTIMIZE=-O1 -g",
        f"{build}/parapet-worker",
    ]  # fmt: skip
    # Our own make's flags are not the business of this one.
    env = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "BUILD")}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    return build


def test_worker_leaks_nothing(stack, checked_programs, monkeypatch):
    monkeypatch.setenv("ASAN_OPTIONS", "detect_leaks=1:halt_on_error=1:abort_on_error=0:exitcode=99:check_initialization_order=1")
    monkeypatch.setenv("LSAN_OPTIONS", "exitcode=98")
    monkeypatch.setenv("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1")
    usual = stack.programs_from
    stack.programs_from = checked_programs
    try:
        settings = {"notice.sns_topic": sns_topic(stack), "notice.window": "1s", "playbooks.reload": "1s"}
        worker = start_worker(stack, **settings)
    finally:
        stack.programs_from = usual
    start_collector(stack)
    _go_through_everything(stack, worker)
    stack.programs.remove(worker)
    status = worker.terminate(60)
    log = worker.log()
    reports = [line for line in log.splitlines() if "Sanitizer" in line or "runtime error" in line]
    assert status == 0 and not reports, f"exit {status}\n" + log[-6000:]


def _go_through_everything(stack, worker):
    account, dev = stack.ids[0], stack.ids[-1]
    places = stack.plant_everywhere([HTTPS], 30, [account], stack.regions)
    noticed = stack.plant_everywhere([HTTPS], 3, [dev], [REGION])
    open_to_internet(stack, places[:15] + noticed)
    wait_fixed(stack, [group for _, _, group in places[:15]], 120)

    # Held, parked, released; excepted; refused by a call that fails.
    scope = f"ssh-open-to-internet/{account}"
    stack.parapet("breaker", "hold", scope, check=True)
    open_to_internet(stack, places[15:25])
    stack.wait_until(lambda: counts(stack).get("parked") == 10, 60, lambda: f"ten parked: {counts(stack)}")
    stack.parapet("breaker", "reset", scope, "--release", "--pace", "50/s", check=True)
    wait_fixed(stack, [group for _, _, group in places[:25]], 120)
    excepted = places[25]
    stack.parapet(
        "exceptions", "add", "--guardrail", "*", "--resource", excepted[2], "--owner", "a", "--reason", "b", "--for", "1h", check=True
    )
    refused = places[26]
    fault = {"service": "ec2", "operation": "Authorize*", "role": "arn:aws:iam::*:role/parapet-worker", "region": refused[1]}
    number = stack.tap.fault(fault, error="deny")
    open_to_internet(stack, [excepted, refused])
    stack.wait_until(
        lambda: (statuses(stack).get(excepted[2]), statuses(stack).get(refused[2])) == ("excepted", "failed"), 60, "one excepted, one failed"
    )
    stack.tap.clear_faults(number)

    # Redis gone and back, answers cut and garbled, an account that is denied, sweeps, garbage, events without ids.
    stack.redis.stop()
    worker.wait_not_ready(20)
    stack.redis.start()
    worker.wait_ready(60)
    stack.tap.fault({"service": "ec2", "role": "arn:aws:iam::*:role/parapet-worker"}, cut="after", count=5)
    stack.tap.fault({"service": "ec2", "role": "arn:aws:iam::*:role/parapet-worker"}, body="<html>no", status=502, count=5)
    open_to_internet(stack, places[27:])
    wait_fixed(stack, [group for _, _, group in places[:25] + places[27:]], 120)
    stack.tap.deny_account(stack.ids[3])
    sweep(stack)
    stack.produce("parapet.events", [("k", text) for text, _ in hopeless(account).values() if text])
    stack.produce("parapet.events", [("k", body) for body, _ in judged_by_worker(account).values()])
    stack.produce("parapet.events", [("k", body) for body in harmless(account).values()])
    stack.produce("parapet.events", [("k", event(account, "sg-none", requestParameters={}))])
    stack.produce("parapet.sweeps", [("k", "nope"), ("k", "{}")])
    wait_idle(stack, 120)
    stack.redis.client().flushall()
    stack.wait_until(lambda: stack.redis.client().get("parapet:v1:epoch"), 60, "the state rebuilt")
    worker.wait_ready(60)
    assert_whole(stack, places[:25] + places[27:])
