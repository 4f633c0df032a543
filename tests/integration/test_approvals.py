"""Approvals: an action waits for a person, runs once as it was shown, and not at all when anything changed since."""

import json

import yaml
from spine import (
    GUARDRAIL, HTTPS, SSH, assert_whole, effects, findings, lag, own_mutations, start_worker, statuses, sweep, wait_fixed,
)  # fmt: skip
from stack import permission

NARROW = ["AuthorizeSecurityGroupIngress", "RevokeSecurityGroupIngress"]


def asking(stack, step=None, name="asking"):
    """The playbooks with the guardrail in mode `approve`, or with a step that asks; their directory."""
    source = stack.playbooks / "guardrails" / f"{GUARDRAIL}.yaml"
    guardrail = yaml.safe_load(source.read_text())
    if step:
        guardrail["remediate"].insert(0, step)
    else:
        guardrail["mode"]["prod"] = "approve"
    directory = stack.directory / name
    for part in ("resources", "guardrails"):
        (directory / part).mkdir(parents=True, exist_ok=True)
    for resource in (stack.playbooks / "resources").iterdir():
        (directory / "resources" / resource.name).write_text(resource.read_text())
    (directory / "guardrails" / source.name).write_text(yaml.safe_dump(guardrail, sort_keys=False))
    return directory


def approvals(stack):
    return json.loads(stack.parapet("approvals", "list", "--output", "json", check=True).stdout)


def waiting(stack, count=1, timeout=60):
    """The requests that wait, once there are so many."""

    def look():
        found = [one for one in approvals(stack) if one["status"] == "waiting"]
        return found if len(found) == count else None

    return stack.wait_until(look, timeout, lambda: f"{count} waiting: {approvals(stack)}", 0.5)


def wait_done(stack):
    stack.wait_until(lambda: lag(stack) == 0, 60, lambda: f"no lag: {lag(stack)}", 0.3)


def begin(stack, count=1, step=None, **settings):
    """Groups with SSH open for which a worker asks: (places, the requests)."""
    account, region = stack.ids[0], "eu-west-1"
    places = [(account, region, group) for group in stack.plant(account, region, [HTTPS, SSH], count=count)]
    start_worker(stack, playbooks=asking(stack, step), **settings)
    sweep(stack, [(account, region)])
    requests = waiting(stack, count)
    wait_done(stack)
    assert effects(stack) == {}
    return places, requests


def test_an_approved_plan_runs_once(stack):
    (place,), (request,) = begin(stack)
    stack.wait_until(lambda: statuses(stack) == {place[2]: "waiting"}, 20, lambda: f"waiting: {statuses(stack)}")
    shown = stack.parapet("approvals", "show", request["id"], check=True).stdout
    assert "ec2.AuthorizeSecurityGroupIngress" in shown and "203.0.113.0/24" in shown
    # Asked once: another sweep asks nobody again.
    sweep(stack, [place[:2]])
    wait_done(stack)
    assert [one["id"] for one in waiting(stack)] == [request["id"]]
    stack.parapet("approvals", "approve", request["id"], "--reason", "fine", check=True)
    wait_fixed(stack, [place[2]], 60)
    assert effects(stack) == {place[2]: NARROW}
    assert_whole(stack, [place])
    stack.wait_until(lambda: approvals(stack) == [], 30, lambda: f"no request left: {approvals(stack)}")
    # It was for once: the same violation again is another question.
    stack.direct(place[0]).client("ec2", place[1]).authorize_security_group_ingress(GroupId=place[2], IpPermissions=[SSH])
    sweep(stack, [place[:2]])
    (again,) = waiting(stack)
    assert again["id"] != request["id"] and effects(stack) == {place[2]: NARROW}
    told = stack.parapet("approvals", "approve", request["id"])
    assert told.returncode != 0 and "no request" in told.stderr


def test_after_drift_an_approval_is_void(stack):
    (place,), (request,) = begin(stack)
    client = stack.direct(place[0]).client("ec2", place[1])
    client.authorize_security_group_ingress(GroupId=place[2], IpPermissions=[permission("tcp", (8080, 8080))])
    stack.parapet("approvals", "approve", request["id"], check=True)
    (fresh,) = stack.wait_until(
        lambda: [one for one in approvals(stack) if one["status"] == "waiting" and one["id"] != request["id"]], 60, "asked anew"
    )
    wait_done(stack)
    assert effects(stack) == {}
    stack.parapet("approvals", "approve", fresh["id"], check=True)
    wait_fixed(stack, [place[2]], 60)
    assert effects(stack) == {place[2]: NARROW}


def test_a_denial_is_remembered(stack):
    (place,), (request,) = begin(stack)
    assert "--reason is missing" in stack.parapet("approvals", "deny", request["id"]).stderr
    stack.parapet("approvals", "deny", request["id"], "--reason", "the vendor needs it", "--for", "2d", check=True)
    stack.wait_until(lambda: statuses(stack).get(place[2]) == "excepted", 60, lambda: f"excepted: {statuses(stack)}")
    (exception,) = json.loads(stack.parapet("exceptions", "list", "--output", "json", check=True).stdout)
    assert exception["reason"] == "the vendor needs it" and exception["resource"].endswith(place[2])
    sweep(stack, [place[:2]])
    wait_done(stack)
    assert approvals(stack) == [] and effects(stack) == {}
    assert stack.parapet("approvals", "approve", request["id"]).returncode != 0


def test_a_step_asks_when_it_is_reached_and_says_why(stack):
    step = {"approve": {"message": "${$id} serves customers"}, "when": "$environment == 'prod'"}
    (place,), (request,) = begin(stack, step=step)
    assert request["message"] == f"{place[2]} serves customers"
    assert [one["call"] for one in request["plan"]] == [f"ec2.{name}" for name in NARROW]
    # While it waits, its event finds it parked.
    stack.parapet("approvals", "approve", request["id"], check=True)
    wait_fixed(stack, [place[2]], 60)
    assert effects(stack) == {place[2]: NARROW}


def test_nothing_is_forgotten_with_redis(stack):
    places, requests = begin(stack, count=2)
    stack.redis.client().flushall()
    found = stack.wait_until(lambda: sorted(one["id"] for one in approvals(stack)), 60, "the requests, from the topic", 1)
    assert found == sorted(one["id"] for one in requests)
    for one in requests:
        stack.parapet("approvals", "approve", one["id"], check=True)
    wait_fixed(stack, [group for _, _, group in places], 90)
    assert effects(stack) == {group: NARROW for _, _, group in places}


def test_an_approval_survives_redis_before_it_is_used(stack):
    (place,), (request,) = begin(stack)
    worker = stack.programs[-1]
    worker.terminate(20)
    stack.parapet("approvals", "approve", request["id"], check=True)
    stack.redis.client().flushall()
    start_worker(stack, playbooks=asking(stack))
    wait_fixed(stack, [place[2]], 90)
    assert effects(stack) == {place[2]: NARROW}


def test_what_has_expired_is_asked_anew(stack):
    (place,), (request,) = begin(stack, **{"approval.expires": "10s"})
    stack.wait_until(lambda: [one["id"] for one in approvals(stack)] not in ([], [request["id"]]), 60, "asked anew", 0.5)
    told = stack.parapet("approvals", "approve", request["id"])
    assert told.returncode != 0 and "no request" in told.stderr
    assert effects(stack) == {} and own_mutations(stack) == []
    assert {record["status"] for record in findings(stack)[place[2]]} == {"waiting"}
