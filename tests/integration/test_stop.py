"""The organization-wide stop, from the command to the last call of six busy workers."""

import time

from spine import counts, effects, own_mutations, start_collector, start_worker, wait_idle

import storm

WORKERS, GROUPS = 6, 240


def stop(stack):
    """Stops, and waits for longer than any call could take; what had been changed by then.  The last change came within a
    second."""
    begun = time.time()
    stack.parapet("stop", "--reason", "drill", check=True)
    ended = time.time()
    time.sleep(5)
    calls = own_mutations(stack)
    last = max(call["time"] for call in calls)
    print(f"\nstop: command {begun:.3f} to {ended:.3f} ({ended - begun:.2f} s), last change {last - begun:+.2f} s after its start")
    assert last - ended < 1 and last - begun < 1 + (ended - begun)
    return calls


def test_stop_holds_within_a_second_on_six_busy_workers(stack):
    places = storm.plant(stack, GROUPS, stack.ids[:-1])  # the last one is only told
    start_collector(stack)
    options = {"threads": 4, "log.level": "info", "patience": "500ms,2s"}
    workers = [start_worker(stack, wait=False, **options) for _ in range(WORKERS)]
    for worker in workers:
        worker.wait_ready()
    storm.strike(stack, places)
    stack.wait_until(lambda: len(effects(stack)) >= 30, 120, lambda: f"busy workers: {counts(stack)}", 0.2)
    calls = stop(stack)
    touched = len(effects(stack))
    assert touched < len(places), "it stopped nothing: everything was done before"

    # Nothing more is changed however long one waits; what is left is parked, unread.
    stack.wait_until(
        lambda: sum(counts(stack).get(name, 0) for name in ("fixed", "parked", "failed")) >= GROUPS - touched,
        120, lambda: f"the rest parked: {counts(stack)}", 0.5,
    )  # fmt: skip
    assert len(own_mutations(stack)) == len(calls)
    assert "STOPPED" in stack.parapet("status", check=True).stdout
    stack.parapet("resume", check=True)
    stack.parapet("breaker", "reset", "organization", "--release", "--pace", "50/s", check=True)
    stack.wait_until(lambda: counts(stack) == {"fixed": GROUPS}, 180, lambda: f"all fixed: {counts(stack)}", 0.5)
    wait_idle(stack)
    wrong = {g: e for g, e in effects(stack).items() if len(e) != 2}
    assert not wrong, wrong


def test_stop_holds_for_a_call_that_still_waits_for_its_credentials(stack):
    """It has its lease, the breaker's grant and its intent in the journal when the stop comes; all it waits for is STS.
    Whatever a call waits for (its budget is another such thing), the last question before it goes out is the stop."""
    stack.tap.fault({"service": "sts", "operation": "AssumeRole"}, delay_ms=6000)
    places = storm.plant(stack, 3, stack.ids[:1])
    start_collector(stack)
    start_worker(stack, **{"threads": 4, "patience": "500ms,2s"})
    storm.strike(stack, places)
    intents = lambda: [m for m in stack.topic("parapet.actions") if m["value"]["kind"] == "intent"]  # noqa: E731
    stack.wait_until(intents, 60, "an intent", 0.1)
    stack.parapet("stop", "--reason", "drill", check=True)
    time.sleep(10)
    assert own_mutations(stack) == []
    stack.tap.clear_faults()
    stack.parapet("resume", check=True)
    stack.parapet("breaker", "reset", "organization", "--release", "--pace", "50/s", check=True)
    stack.wait_until(lambda: counts(stack) == {"fixed": 3}, 90, lambda: f"all fixed: {counts(stack)}", 0.5)
    wait_idle(stack)
    wrong = {group: done for group, done in effects(stack).items() if len(done) != 2}
    assert not wrong, wrong
