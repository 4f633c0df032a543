"""A storm over twenty accounts and four Regions while workers die and Redis restarts: no breaker's limit is exceeded by a
single action at any scope, everything else is parked, and comes back in pace.

Two thousand violations and six workers, of four threads each, so that two processors carry them; four accounts' worth is
drained.  `make bench` has the one with ten thousand."""

import datetime
import json
import time
from pathlib import Path

import pytest

import storm
from spine import (
    GUARDRAIL, assert_journal_closed, assert_narrowed_once, counts, effects, own_mutations, published, sns_topic,
    start_collector, start_worker, wait_idle,
)  # fmt: skip
from stack import Stack

VIOLATIONS, WINDOW = 2000, 900
# Each is the one that bites somewhere: most accounts stop at their own, the rest at the organization's.
LIMITS = {f"{GUARDRAIL}/ACCOUNT": 6, "account:ACCOUNT": 5, GUARDRAIL: 80, "organization": 70}
DRAINED, PACE, DIGEST, WORKERS, THREADS = 4, 8, 20, 6, 4
SETTINGS = {
    **storm.settings(LIMITS, WINDOW),
    "threads": THREADS, "lease": "10s", "kafka.session_timeout": "6s", "patience": "500ms,2s", "log.level": "info",
    "notice.window": f"{DIGEST}s",
}  # fmt: skip


@pytest.fixture
def wide():
    """A stack of its own: many accounts, moto in two processes, Redis with its append-only file."""
    with Stack(kafka="real", accounts=20, moto=2, append_only=True) as stack:
        yield stack


def test_no_limit_is_exceeded_whatever_dies_meanwhile(wide):
    places = storm.plant(wide, VIOLATIONS)
    begun = time.monotonic()
    options = {**SETTINGS, "notice.sns_topic": sns_topic(wide)}
    start_collector(wide)
    workers = [start_worker(wide, wait=False, **options) for _ in range(WORKERS)]
    for worker in workers:
        worker.wait_ready()
    storm.strike(wide, places)

    wide.wait_until(lambda: len(effects(wide)) >= 5, 120, lambda: f"the first actions: {counts(wide)}", 0.2)
    workers.pop(0).kill()
    workers.append(start_worker(wide, wait=False, **options))
    wide.wait_until(lambda: len(effects(wide)) >= 20, 120, lambda: f"some more: {counts(wide)}", 0.2)
    wide.redis.stop()  # with persistence
    time.sleep(1)
    wide.redis.start()
    workers.append(start_worker(wide, wait=False, **options))
    workers.pop(0).terminate(25)

    def settled():
        seen = counts(wide)
        return seen.get("fixed", 0) + seen.get("parked", 0) == VIOLATIONS

    wide.wait_until(settled, 240, lambda: f"all fixed or parked: {counts(wide)}", 1)
    wait_idle(wide)
    begun_ones = lambda: len(storm.actions(wide))  # noqa: E731
    wide.wait_until(lambda: counts(wide).get("fixed") == begun_ones(), 60, lambda: f"{begun_ones()} fixed: {counts(wide)}", 1)
    seen = storm.actions(wide)
    most = storm.assert_limits_held(seen, LIMITS, WINDOW)
    done = len(seen)
    # What is missing are grants that the killed worker took with it, before its first call.
    assert most[("organization", "")] == done > LIMITS["organization"] - 2 * THREADS
    assert counts(wide) == {"fixed": done, "parked": VIOLATIONS - done}  # what was begun was finished, by whomever
    fixed = {group for _, _, group in seen}
    # Everything else is parked.  So may be what was in a dying worker's hands: its event came again while another worker
    # finished its action, and it is looked at once more when it is released.
    parked = {subject.rpartition("/")[2] for subject in wide.redis.client().zrange("parapet:v1:parked", 0, -1)}
    assert parked >= {group for _, _, group in places} - fixed
    assert len(parked & fixed) <= 2 * THREADS
    assert_narrowed_once(wide, fixed)  # once each, and none for what it says itself: its own events came, too
    assert_journal_closed(wide)
    assert_few_notices(wide, begun)

    # What is reset comes back in pace, of the accounts asked for and of no other.
    chosen = wide.ids[:DRAINED]
    left = [place for place in places if place[0] in chosen and place[2] not in fixed]
    for scope in ("organization", GUARDRAIL):
        wide.parapet("breaker", "reset", scope, check=True)
    mark, at = wide.tap.mark(), wide.redis.client().time()
    for account in chosen:
        wide.parapet("breaker", "reset", f"{GUARDRAIL}/{account}", check=True)
        wide.parapet("breaker", "reset", f"account:{account}", "--release", "--pace", f"{PACE}/s", check=True)
    wide.wait_until(lambda: counts(wide)["fixed"] == done + len(left), 240, lambda: f"{len(left)} more: {counts(wide)}", 1)
    wait_idle(wide)
    drained = storm.actions(wide, mark)
    for account in chosen:
        own = [action for action in drained if action[1] == account]
        storm.assert_in_pace(own, at[0] + at[1] / 1e6, PACE)
    assert {group for _, _, group in drained} == {group for _, _, group in left}
    assert_narrowed_once(wide, fixed | {group for _, _, group in left})
    assert len(own_mutations(wide)) == 2 * counts(wide)["fixed"]
    assert_journal_closed(wide)
    assert_few_notices(wide, begun)


PROMOTION = {"violations": 400, "limits": {f"{GUARDRAIL}/ACCOUNT": 12, "account:ACCOUNT": 10, GUARDRAIL: 60, "organization": 50}}


@pytest.fixture
def replicated():
    with Stack(kafka="real", redis="sentinel", accounts=8, moto=2, append_only=True) as stack:
        yield stack


def log_of(worker):
    """[(seconds since the epoch, line)] of a worker's log."""
    lines = [json.loads(line) for line in Path(worker.log_path).read_text().splitlines() if line.startswith("{")]
    return [(datetime.datetime.fromisoformat(line["time"]).timestamp(), line) for line in lines]


def put_back(workers, since):
    """[(when, how many actions)] of the breakers' windows that were put back from the journal."""
    return [
        (at, line["actions"])
        for worker in workers
        for at, line in log_of(worker)
        if at > since and line["message"].startswith("the breakers' windows were put back")
    ]


def test_a_promoted_replica_takes_nothing_on_trust(replicated):
    """Redis's master dies amid the storm and Sentinel promotes its replica, which may lack the last writes: grants are
    void, nothing changes until the windows are counted anew from the journal, and no limit is exceeded over both."""
    violations, limits = PROMOTION["violations"], PROMOTION["limits"]
    options = {**SETTINGS, **storm.settings(limits, WINDOW)}
    places = storm.plant(replicated, violations)
    start_collector(replicated)
    workers = [start_worker(replicated, **options) for _ in range(3)]
    storm.strike(replicated, places)
    replicated.wait_until(lambda: len(effects(replicated)) >= 12, 120, lambda: f"actions: {counts(replicated)}", 0.1)
    killed = time.time()
    replicated.redis.fail_over()

    fixed = lambda: {group for _, _, group in storm.actions(replicated)}  # noqa: E731
    parked = lambda: replicated.redis.client().zcard("parapet:v1:parked")  # noqa: E731
    told = lambda: f"{violations} fixed or parked: {len(fixed())} and {parked()}"  # noqa: E731
    replicated.wait_until(lambda: len(fixed()) + parked() == violations, 240, told, 1)
    wait_idle(replicated)
    seen = storm.actions(replicated)
    most = storm.assert_limits_held(seen, limits, WINDOW)
    assert len(fixed()) + parked() == violations, told()
    assert most[("organization", "")] > limits["organization"] - 2 * THREADS
    # Between the promotion and the putting back of the windows from the journal, nothing was begun.
    windows = put_back(workers, killed)
    assert windows and max(actions for _, actions in windows) >= 12, windows
    begun, ready = [at for at, _, _ in seen if at > killed + 1], min(at for at, _ in windows)
    assert begun and min(begun) >= ready, (min(begun) - killed, ready - killed)
    assert_narrowed_once(replicated, fixed())
    assert_journal_closed(replicated)
    assert all(worker.running() for worker in workers)


def assert_few_notices(stack, begun):
    """One digest a guardrail × account and window, whatever there is to tell."""
    stack.wait_until(lambda: published(stack), 3 * DIGEST, "a digest")
    sent = published(stack)
    windows = (time.monotonic() - begun) / DIGEST + 1
    assert 0 < len(sent) <= len(stack.ids) * windows, f"{len(sent)} notices in {windows:.0f} windows"
    assert len(sent) < VIOLATIONS / 5
