"""The schedule finds what no event told: everywhere, and in spite of an account that lets nobody in."""

import time

from spine import (
    HTTPS, ROLE_ARNS, SSH, assert_journal_closed, assert_narrowed_once, assert_whole, counts, effects, own_mutations, shown, start_collector,
    start_worker, statuses, sweep, wait_fixed, wait_idle,
)  # fmt: skip
from stack import ALL_REGIONS, REGIONS
from stack.environment import account_list

HOLD = 4


def plant(stack, regions, total):
    """Five prod accounts × Regions with so many violations dealt out over them: [(account, region, group)]."""
    stack.write_accounts(account_list(5), regions=regions)
    stack.tap.events(on=False)  # nothing but sweeps tells of anything
    return stack.plant_everywhere([HTTPS, SSH], total, stack.ids, regions)


def start_schedule(stack):
    """A collector that only keeps the schedule, and sweeps everything once, now: not right before the playbook's own tick,
    every five minutes, which would sweep it all again."""
    left = 300 - time.time() % 300
    if left < 60:
        time.sleep(left + 1)
    collector = start_collector(stack, **{"sqs.queue": None, "sqs.regions": None, "schedule.enabled": True, "schedule.at_start": True})
    return collector


def test_one_tick_finds_and_fixes_300_violations(stack):
    organization = plant(stack, ALL_REGIONS, 300)
    assert len({place[:2] for place in organization}) == 85
    worker = start_worker(stack)
    mark = stack.tap.mark()
    start_schedule(stack)
    groups = [group for _, _, group in organization]
    wait_fixed(stack, groups, 240)
    stack.wait_until(lambda: worker.metric("parapet_sweeps_total") >= 85, 60, "all sweeps ended")
    assert worker.metric("parapet_sweeps_total", outcome="done") == 85
    assert stack.topic_count("parapet.sweeps") == 85  # one tick, no more
    assert_narrowed_once(stack, groups, mark)
    assert_whole(stack, organization)
    assert counts(stack) == {"fixed": 300}
    assert_journal_closed(stack)


def access_findings(stack):
    return [m["value"] for m in stack.topic("parapet.findings") if m["value"]["guardrail"] == "account-access"]


def assert_served_meanwhile(stack, denied):
    """While the denied account's answer was awaited, calls of the others went on: nobody waited for it."""
    calls = stack.calls(role=ROLE_ARNS)
    last = max(call["time"] for call in calls)
    held = [call["time"] for call in stack.calls(service="sts") if f":{denied}:" in call["params"]["RoleArn"]]
    assert held
    for begun in held:
        if begun + HOLD < last:
            assert [call for call in calls if begun < call["time"] < begun + HOLD], "others waited"


def test_denied_account_is_reported_and_delays_no_other(stack):
    organization = plant(stack, REGIONS, 60)
    denied = stack.ids[2]
    ours = [place for place in organization if place[0] == denied]
    others = [place for place in organization if place[0] != denied]
    fault = stack.tap.deny_account(denied, delay_ms=HOLD * 1000)
    worker = start_worker(stack)
    start_schedule(stack)
    wait_fixed(stack, [group for _, _, group in others], 240)
    stack.wait_until(lambda: worker.metric("parapet_sweeps_total") >= 20, 60, "all sweeps ended")
    assert worker.metric("parapet_sweeps_total", outcome="denied") == 4
    assert worker.metric("parapet_sweeps_total", outcome="done") == 16
    reported = access_findings(stack)
    assert {(record["account"], record["region"]) for record in reported} == {(denied, region) for region in REGIONS}
    assert {record["status"] for record in reported} == {"open"} and len(reported) == 4
    assert all("AccessDenied" in record["note"] or "not authorized" in record["note"] for record in reported)
    assert set(effects(stack)) == {group for _, _, group in others}
    assert_served_meanwhile(stack, denied)
    for place in ours[:5]:
        assert ("tcp", 22, 22, "0.0.0.0/0") in shown(stack.rules(*place))

    # Let in again, its next sweep fixes it and takes the report back.
    stack.tap.clear_faults(fault)
    # (A refusal is remembered for half a minute, so the first sweeps may still see it.)
    stack.wait_until(
        lambda: (sweep(stack, [(denied, region) for region in REGIONS]), counts(stack).get("fixed", 0) == len(organization))[1],
        120, lambda: f"all fixed: {counts(stack)}", 5,
    )  # fmt: skip
    wait_idle(stack)
    assert_whole(stack, organization)
    assert counts(stack) == {"fixed": len(organization), "closed": 4}
    assert [record["status"] for record in access_findings(stack)].count("closed") == 4


def test_sweep_closes_what_is_gone_and_finds_what_dev_leaves(stack):
    dev, region = stack.ids[-1], "us-east-1"
    kept, mended = stack.plant(dev, region, [SSH], count=2)
    start_worker(stack)
    sweep(stack, [(dev, region)])
    stack.wait_until(lambda: counts(stack) == {"open": 2}, 60, lambda: f"two open: {counts(stack)}")
    stack.direct(dev).client("ec2", region).revoke_security_group_ingress(GroupId=mended, IpPermissions=[SSH])
    wait_idle(stack)
    sweep(stack, [(dev, region)])
    stack.wait_until(lambda: counts(stack) == {"open": 1, "closed": 1}, 60, lambda: f"one closed: {counts(stack)}")
    wait_idle(stack)
    assert statuses(stack)[kept] == "open"
    assert own_mutations(stack) == []


def test_a_worker_that_ends_amid_a_sweep_closes_nothing(stack):
    """What it did not come to see is not gone; another worker sweeps anew."""
    dev, region = stack.ids[-1], "us-east-1"
    groups = stack.plant(dev, region, [SSH], count=3)
    worker = start_worker(stack)
    sweep(stack, [(dev, region)])
    stack.wait_until(lambda: counts(stack) == {"open": 3}, 60, lambda: f"three open: {counts(stack)}")
    wait_idle(stack)
    mark = stack.tap.mark()
    stack.tap.fault({"service": "ec2", "operation": "DescribeSecurityGroups", "account": dev}, delay_ms=4000, count=1)
    sweep(stack, [(dev, region)])
    time.sleep(1.5)  # the list is on its way
    assert worker.terminate(25) == 0, worker.log_tail()
    assert stack.calls(mark, operation="DescribeSecurityGroups", account=dev), "it was not amid its sweep"
    assert counts(stack) == {"open": 3}
    mark = stack.tap.mark()
    start_worker(stack)
    stack.wait_until(lambda: stack.calls(mark, operation="DescribeSecurityGroups", account=dev), 60, "the sweep to come again", 0.3)
    wait_idle(stack)
    assert counts(stack) == {"open": 3} and set(statuses(stack)) == set(groups)
