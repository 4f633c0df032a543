"""What survives Redis: whatever becomes of it, nothing is changed without a gate's answer, and the fleet recovers alone."""

import threading
import time

import pytest
from spine import (
    GUARDRAIL, HTTPS, assert_journal_closed, assert_narrowed_once, counts, effects, intents, open_to_internet, own_mutations,
    start_collector, start_worker, statuses, wait_fixed, wait_idle,
)  # fmt: skip
from stack.proxy import Proxy
from test_outages import Strangers

SCOPE = "ssh-open-to-internet/{}"


def except_group(stack, group):
    stack.parapet(
        "exceptions", "add", "--guardrail", GUARDRAIL, "--resource", group, "--owner", "ann", "--reason", "why", "--for", "1h",
        check=True,
    )  # fmt: skip


def assert_all_fixed(stack, places, timeout=150):
    groups = [group for _, _, group in places]
    wait_fixed(stack, groups, timeout)
    wait_idle(stack, 120)
    assert_narrowed_once(stack, groups)
    assert_journal_closed(stack)


def test_redis_that_answers_after_a_second_and_more(stack):
    """Slower than the timeout: gates close; slower than usual but in time: work goes on."""
    places = stack.plant_everywhere([HTTPS], 12, stack.ids[:4])
    with Proxy(stack.redis.port) as slow:
        worker = start_worker(stack, **{"redis.url": f"redis://127.0.0.1:{slow.port}", "redis.timeout": "1s"})
        start_collector(stack)
        slow.delay = 1.2
        worker.wait_not_ready(20)
        began = time.time()
        open_to_internet(stack, places)
        time.sleep(8)
        assert [call for call in own_mutations(stack) if call["time"] > began] == []
        assert worker.alive()
        slow.delay = 0.05
        worker.wait_ready(30)
        assert_all_fixed(stack, places)


def test_redis_that_is_full(stack):
    places = stack.plant_everywhere([HTTPS], 12, stack.ids[:4])
    worker = start_worker(stack)
    start_collector(stack)
    client = stack.redis.client()
    client.config_set("maxmemory", "1mb")  # less than it uses: every write answers OOM
    try:
        worker.wait_not_ready(20)
        open_to_internet(stack, places)
        time.sleep(6)
        assert own_mutations(stack) == []
        # A stop must be possible all the same.
        stopped = stack.parapet("stop", "--reason", "full")
        assert stopped.returncode != 0 or client.exists("parapet:v1:stop")
    finally:
        client.config_set("maxmemory", "0")
    worker.wait_ready(30)
    stack.parapet("resume", check=True)
    assert_all_fixed(stack, places)


def test_scripts_flushed_all_the_time(stack):
    places = stack.plant_everywhere([HTTPS], 24, stack.ids[:4])
    start_worker(stack)
    start_collector(stack)
    ended = threading.Event()

    def flush():
        client = stack.redis.client()
        while not ended.wait(0.05):
            client.script_flush()

    thread = threading.Thread(target=flush, daemon=True)
    thread.start()
    try:
        open_to_internet(stack, places)
        assert_all_fixed(stack, places)
    finally:
        ended.set()
        thread.join(10)


def test_wrong_types_under_our_keys(stack):
    """A key that no gate can read holds everything behind it, and what is planted is named; without it work goes on."""
    account = stack.ids[0]
    worker = start_worker(stack)
    start_collector(stack)
    client = stack.redis.client()
    for key in (
        f"parapet:v1:breaker:{SCOPE.format(account)}", "parapet:v1:exceptions:version", "parapet:v1:intents",
        "parapet:v1:leases:token", "parapet:v1:rollouts",
    ):  # fmt: skip
        (group,) = stack.plant(account, "eu-west-1", [HTTPS])
        kept = f"kept:{key}"
        if client.exists(key):
            client.rename(key, kept)
        client.rpush(key, "planted")
        open_to_internet(stack, [(account, "eu-west-1", group)])
        time.sleep(4)
        assert group not in effects(stack), key
        assert key in worker.log(), f"{key} is named in the log"
        client.delete(key)
        if client.exists(kept):
            client.rename(kept, key)
        wait_fixed(stack, set(statuses(stack)) | {group}, 90)
    wait_idle(stack)
    assert worker.alive()


def void_grants(worker):
    """Grants that Redis forgot before their action began, and that an open breaker did not give again: parked instead."""
    return worker.log().count("a grant asked for before does not stand")


@pytest.mark.parametrize("tripped", [False, True])
def test_what_redis_forgets_between_a_grant_and_its_action(stack, tripped):
    """Leases and grants are void.  What is asked for again is counted with what the journal knows: all of the limit is
    used, unless the breaker was open already, which it stays."""
    account = stack.ids[2]
    places = stack.plant_everywhere([HTTPS], 60, [account])
    grants, forgotten = [], []

    def watch(call):
        if b"parapet:v1:grants" in call and b"\r\ngrant\r\n" in call:
            grants.append(call)
        elif not forgotten and len(grants) > (30 if tripped else 15):
            if b"parapet:v1:stop" in call and b"parapet:v1:lease:" in call:  # may it mutate?
                forgotten.append(call)
                stack.redis.client().flushall()
        return True

    with Proxy(stack.redis.port, watch=watch) as between:
        worker = start_worker(
            stack, **{"breaker.override": f"{GUARDRAIL}=30/10m", "threads": 8, "redis.url": f"redis://127.0.0.1:{between.port}"}
        )  # fmt: skip
        start_collector(stack)
        open_to_internet(stack, places)
        stack.wait_until(
            lambda: forgotten and stack.redis.client().zcard("parapet:v1:parked") + len(effects(stack)) == 60, 90,
            lambda: f"each acted on or parked: {counts(stack)} {len(effects(stack))}", 0.5,
        )  # fmt: skip
        wait_idle(stack, 120)
        acted = len(effects(stack))
        assert acted <= 30 <= acted + void_grants(worker) and (tripped or acted == 30), (acted, void_grants(worker))
        assert_journal_closed(stack)


def test_flushall_in_the_middle(stack):
    """Exceptions, stop and windows are back before the first action: three times emptied amid a storm."""
    account = stack.ids[0]
    (excepted,) = stack.plant(account, "eu-west-1", [HTTPS])
    places = stack.plant_everywhere([HTTPS], 60, [account])
    worker = start_worker(stack, **{"breaker.override": f"{GUARDRAIL}=30/10m"})
    start_collector(stack)
    except_group(stack, excepted)
    with Strangers(stack, [(account, "eu-west-1", excepted), *places], 15):
        for _ in range(3):
            time.sleep(4)
            stack.redis.client().flushall()
    stack.wait_until(
        lambda: len(effects(stack)) + void_grants(worker) >= 30 and stack.redis.client().zcard("parapet:v1:parked") >= 25, 120,
        lambda: f"thirty fixed and the rest parked: {counts(stack)} {len(effects(stack))}", 0.5,
    )  # fmt: skip
    wait_idle(stack, 120)
    acted = effects(stack)
    assert excepted not in acted
    assert len(acted) <= 30, f"{len(acted)} actions, the limit is 30 in ten minutes, whatever Redis forgot"
    assert len(acted) + void_grants(worker) >= 30
    assert worker.alive() and "windows were put back from the journal" in worker.log()
    stack.parapet("breaker", "reset", SCOPE.format(account), "--release", "--pace", "50/s", check=True)
    # (Redis' findings are young: the topic has them all.)
    stack.wait_until(lambda: len(effects(stack)) == 60, 150, lambda: f"sixty acted on: {len(effects(stack))}", 0.5)
    wait_idle(stack, 120)
    assert_narrowed_once(stack, [group for _, _, group in places])
    stack.wait_until(lambda: intents(stack) == {}, 60, "every action to be closed")
    assert_journal_closed(stack)
    assert excepted not in effects(stack)


def test_a_restart_with_persistence_counts_what_was_done(stack):
    """Killed without saving what the last second wrote: the journal knows what the copy on disk does not."""
    account = stack.ids[1]
    first, second = stack.plant_everywhere([HTTPS], 8, [account]), stack.plant_everywhere([HTTPS], 8, [account])
    worker = start_worker(stack, **{"breaker.override": f"{GUARDRAIL}=10/10m"})
    start_collector(stack)
    stack.redis.client().save()  # the copy that comes back knows of no action
    open_to_internet(stack, first)
    wait_fixed(stack, [group for _, _, group in first], 60)
    stack.redis.kill()
    stack.redis.start()
    worker.wait_ready(40)
    open_to_internet(stack, second)
    stack.wait_until(
        lambda: stack.redis.client().zcard("parapet:v1:parked") == 6, 60, lambda: f"six parked: {counts(stack)}", 0.3
    )
    wait_idle(stack)
    assert len(effects(stack)) == 10
