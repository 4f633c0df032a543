"""What breaks comes back: a worker that is killed, the broker, Redis and AWS out of reach for ten seconds."""

import threading
import time

from spine import (
    HTTPS, ROLE_ARNS, assert_journal_closed, assert_narrowed_once, assert_whole, counts, effects, intents, open_to_internet,
    own_mutations, start_collector, start_worker, wait_fixed, wait_idle,
)  # fmt: skip
from stack import ROLE

OUTAGE = 10


class Strangers:
    """Breaks one group after another, evenly over so many seconds, whatever goes on meanwhile."""

    def __init__(self, stack, places, seconds):
        self.problem = None
        self.thread = threading.Thread(target=self._run, args=(stack, places, seconds / len(places)), daemon=True)

    def _run(self, stack, places, every):
        try:
            for place in places:
                open_to_internet(stack, [place], threads=1)
                time.sleep(every)
        except Exception as error:  # noqa: BLE001 - raised where the test waits for it
            self.problem = error

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.thread.join(120)
        assert not self.thread.is_alive()
        if self.problem:
            raise self.problem


def assert_all_fixed(stack, places, timeout=150):
    """Everything planted is fixed, by exactly one Authorize and one Revoke each, and nothing is left open."""
    groups = [group for _, _, group in places]
    wait_fixed(stack, groups, timeout)
    wait_idle(stack, 120)
    assert_narrowed_once(stack, groups)
    assert_whole(stack, places)
    assert_journal_closed(stack)
    assert counts(stack) == {"fixed": len(groups)}


def test_kill_one_of_two_workers_in_the_middle(stack):
    places = stack.plant_everywhere([HTTPS], 500, stack.ids[:4])
    times = {"kafka.session_timeout": "6s", "lease": "8s"}
    doomed, survivor = start_worker(stack, **times), start_worker(stack, **times)
    start_collector(stack)
    # The calls take a while, as in AWS: so the end comes in the middle of many.
    stack.tap.fault({"service": "ec2", "role": ROLE_ARNS, "mutating": True}, delay_ms=150)
    with Strangers(stack, places, 1):
        stack.wait_until(lambda: len(effects(stack)) >= 120, 120, lambda: f"120 of 500 begun: {len(effects(stack))}", 0.1)
        done = counts(stack).get("fixed", 0)
        doomed.kill()
    assert 0 < done < 400, done
    assert intents(stack)
    assert survivor.running()
    assert_all_fixed(stack, places, 240)
    # The survivor did find actions that the dead one had begun.
    resolved = [m for m in stack.topic("parapet.actions") if m["value"].get("status") == "resolved"]
    assert resolved, "the kill hit no open action: this proved nothing"


def test_broker_stopped_for_ten_seconds(stack):
    places = stack.plant_everywhere([HTTPS], 60, stack.ids[:4])
    worker, collector = start_worker(stack), start_collector(stack)
    with Strangers(stack, places, 20):
        stack.wait_until(lambda: counts(stack).get("fixed", 0) >= 5, 60, "the first five fixed")
        stack.kafka.stop()
        time.sleep(OUTAGE)
        stack.kafka.start()
    assert worker.alive() and collector.alive()
    assert_all_fixed(stack, places)


def test_redis_stopped_for_ten_seconds(stack):
    places = stack.plant_everywhere([HTTPS], 60, stack.ids[:4])
    worker, collector = start_worker(stack), start_collector(stack)
    with Strangers(stack, places, 20):
        stack.wait_until(lambda: counts(stack).get("fixed", 0) >= 5, 60, "the first five fixed")
        stack.redis.stop()
        stopped = time.time()
        worker.wait_not_ready(8)
        assert "Redis" in worker.readiness()[1]
        assert worker.alive()
        time.sleep(max(0.0, stopped + OUTAGE - time.time()))
        started = time.time()
        stack.redis.start()
    worker.wait_ready(30)
    assert collector.alive()
    assert_all_fixed(stack, places)
    # A call whose permission was given just before may have been on its way.
    meanwhile = [call for call in own_mutations(stack) if stopped + 0.5 < call["time"] < started]
    assert meanwhile == []
    assert [call for call in own_mutations(stack) if call["time"] > started]


def test_redis_that_lost_everything_does_not_lose_exceptions(stack):
    account, region = stack.ids[0], "eu-west-1"
    excepted, broken = stack.plant(account, region, [HTTPS], count=2)
    worker = start_worker(stack)
    start_collector(stack)
    stack.parapet(
        "exceptions", "add", "--guardrail", "ssh-open-to-internet", "--resource", excepted, "--owner", "ann", "--reason", "why",
        "--for", "1h", check=True,
    )  # fmt: skip
    stack.redis.client().flushall()
    open_to_internet(stack, [(account, region, excepted), (account, region, broken)])
    stack.wait_until(
        lambda: counts(stack) == {"fixed": 1, "excepted": 1}, 60, lambda: f"one fixed, one excepted: {counts(stack)}"
    )
    wait_idle(stack)
    worker.wait_ready(30)
    assert_narrowed_once(stack, [broken])


def test_aws_answers_503_and_throttles_for_ten_seconds(stack):
    places = stack.plant_everywhere([HTTPS], 60, stack.ids[:4])
    worker = start_worker(stack)
    start_collector(stack)
    with Strangers(stack, places, 15):
        stack.wait_until(lambda: counts(stack).get("fixed", 0) >= 5, 60, "the first five fixed")
        for match in ({"service": "ec2", "role": ROLE_ARNS}, {"service": "sts", "operation": "AssumeRole"}):
            stack.tap.fault(match, error="unavailable", percent=50, seconds=OUTAGE)
            stack.tap.fault(match, error="throttle", seconds=OUTAGE)
    faults = stack.tap.faults()
    assert sum(fault["hits"] for fault in faults if fault["error"] == "unavailable") > 0
    assert sum(fault["hits"] for fault in faults if fault["error"] == "throttle") > 0
    assert_all_fixed(stack, places)
    assert worker.ready()


def test_answers_that_get_lost_do_not_double_effects(stack):
    places = stack.plant_everywhere([HTTPS], 20, stack.ids[:4])
    start_worker(stack)
    start_collector(stack)
    stack.tap.fault({"service": "ec2", "role": ROLE_ARNS, "mutating": True}, cut="after", percent=50, count=15)
    open_to_internet(stack, places)
    assert_all_fixed(stack, places)
    assert ROLE in ROLE_ARNS
    assert sum(1 for call in stack.calls() if call.get("cut_after")) == 15
