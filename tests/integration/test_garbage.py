"""What cannot be used ends in the dead letters with its reason, and holds up nothing."""

import hashlib
import json

import pytest
from spine import (
    HTTPS, SSH, assert_narrowed_once, findings, lag, open_to_internet, own_mutations, start_collector, start_worker, wait_fixed,
    wait_idle,
)  # fmt: skip
from stack import ROOT  # noqa: F401

REGION = "eu-west-1"
UNKNOWN = "555555555550"


def event(owner, group="sg-0123456789abcdef0", **changes):
    """An event that matches the guardrail's pattern; `changes` replace members of its detail, or of the envelope."""
    detail = {
        "eventVersion": "1.09", "eventSource": "ec2.amazonaws.com", "eventName": "AuthorizeSecurityGroupIngress",
        "eventTime": "2026-01-01T00:00:00Z", "awsRegion": REGION, "recipientAccountId": owner, "eventID": f"event-{group}",
        "requestID": f"request-{group}", "requestParameters": {"groupId": group}, "responseElements": {"_return": True},
        "userIdentity": {"type": "IAMUser", "accountId": owner, "arn": f"arn:aws:iam::{owner}:user/mallory"},
    }  # fmt: skip
    envelope = {
        "version": "0", "id": f"id-{group}", "source": "aws.ec2", "detail-type": "AWS API Call via CloudTrail",
        "account": owner, "time": "2026-01-01T00:00:00Z", "region": REGION, "resources": [], "detail": detail,
    }  # fmt: skip
    for name, value in changes.items():
        name = name.replace("__", "-")
        (envelope if name in envelope else detail)[name] = value
    return envelope


def nested(depth):
    return '{"source":["aws.ec2"],"detail":' + "[" * depth + "]" * depth + "}"


def deep_event(account, depth):
    text = json.dumps(event(account, "sg-deep", requestParameters="DEEP"))
    return text.replace('"DEEP"', '{"a":' * depth + "1" + "}" * depth)


# name → (text of a message, what its reason says); {account} is one that is known
def hopeless(account):
    whole = json.dumps(event(account))
    return {
        "nothing": ("", None),
        "no JSON": ("hello", ""),
        "cut": (whole[: len(whole) // 2], ""),
        "more behind": (whole + "x", ""),
        "two events": (whole + whole, ""),
        "a bad escape": (whole.replace("mallory", "\\q"), ""),
        "deep": (nested(100_000), ""),
        "deep event": (deep_event(account, 3000), ""),
        "array": ("[1, 2, 3]", ""),
        "number": ("42", ""),
        "text": ('"AuthorizeSecurityGroupIngress"', ""),
        "null": ("null", ""),
        "detail is text": (json.dumps(event(account, detail="text")), ""),
    }


def judged_by_worker(account):
    """Whole events that match, and that nobody can place."""
    return {
        "unknown account": (event(UNKNOWN, "sg-1"), f'unknown account "{UNKNOWN}"'),
        "account is a number": (event(account, "sg-2", recipientAccountId=7, userIdentity=[], account=111), "unknown account"),
        "account is text": (event(account, "sg-3", recipientAccountId="../../x"), "unknown account"),
        "Region is an object": (event(account, "sg-4", awsRegion={}, region=4), "no Region"),
        "Region is a path": (event(account, "sg-5", awsRegion="x/../../y"), "no Region"),
    }


def harmless(account):
    """Of wrong types where it may be: looked at as far as it goes, with no effect."""
    return {
        "half a surrogate pair": json.dumps(event(account, "sg-c")).replace("mallory", "\\ud800"),
        "ids of other types": event(account, "sg-6", requestParameters={"groupId": {"a": 1}}, responseElements=7),
        "parameters are text": event(account, "sg-7", requestParameters="text", responseElements=[[[]]]),
        "a long id": event(account, "sg-8", requestParameters={"groupId": "sg-" + "a" * 5000}),
        "an id that is none": event(account, "sg-9", requestParameters={"groupId": "sg-$(reboot) ' \" \u0000 é"}),
        "time is none": event(account, "sg-a", eventTime=["never"], time={}),
        "identity is none": event(account, "sg-b", userIdentity="root", eventID=5, requestID=None, id=[]),
    }


def dead_letters(stack):
    return [message["value"] for message in stack.topic("parapet.deadletter")]


def payloads(stack):
    """{hash: dead letter}"""
    return {letter["sha256"]: letter for letter in dead_letters(stack)}


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def assert_buried(stack, wanted):
    """Each text of `wanted` {name: (text, part of the reason)} is a dead letter once, with its reason; nothing else is."""

    def not_yet():
        found = payloads(stack)
        return [name for name, (text, _) in wanted.items() if sha256(text) not in found]

    stack.wait_until(lambda: not not_yet(), 60, lambda: f"dead letters of {not_yet()}", 0.5)
    found = dead_letters(stack)
    by_hash = {letter["sha256"]: letter for letter in found}
    missing = [name for name, (text, _) in wanted.items() if sha256(text) not in by_hash]
    assert not missing and len(found) == len(wanted) == len(by_hash), (missing, [letter["reason"] for letter in found])
    for name, (text, reason) in wanted.items():
        letter = by_hash[sha256(text)]
        assert letter["reason"] and reason in letter["reason"], (name, letter["reason"])
        assert letter["size"] == len(text.encode())
        assert text.startswith(letter["payload"]) and len(letter["payload"]) <= 65536
        assert letter["payload"] == text or letter["size"] > 65536
    return by_hash


def still_works(stack, worker):
    """After all that a real violation is fixed as ever."""
    account = stack.ids[0]
    group = stack.plant(account, REGION, [HTTPS])[0]
    open_to_internet(stack, [(account, REGION, group)])
    stack.wait_until(lambda: [r["status"] for r in findings(stack).get(group, [])] == ["fixed"], 60, "a real one fixed", 0.5)
    wait_idle(stack)
    assert_narrowed_once(stack, [group])
    assert worker.alive() and worker.ready()


def test_garbage_in_the_queues(stack):
    worker, collector = start_worker(stack), start_collector(stack)
    account = stack.ids[0]
    wanted = {name: pair for name, pair in hopeless(account).items() if pair[0]}
    big = json.dumps(event(account, "sg-big", padding="x" * 2_000_000))
    wanted["2 MB"] = (big, f"too large: {len(big)} bytes")
    placed = {name: (json.dumps(body), reason) for name, (body, reason) in judged_by_worker(account).items()}
    stack.send(REGION, [text for text, _ in wanted.values()])
    stack.send(REGION, [text for text, _ in placed.values()])
    stack.send(REGION, harmless(account).values())
    letters = assert_buried(stack, {**wanted, **placed})
    assert len(letters[sha256(big)]["payload"]) == 65536
    wait_idle(stack)
    assert collector.alive() and collector.ready()
    assert own_mutations(stack) == []
    still_works(stack, worker)
    assert stack.topic_count("parapet.deadletter") == len(wanted) + len(placed)


def test_garbage_in_kafka(stack):
    worker = start_worker(stack)
    account = stack.ids[0]
    placed = {name: (json.dumps(body), reason) for name, (body, reason) in judged_by_worker(account).items()}
    wanted = {name: pair for name, pair in hopeless(account).items() if pair[0]}
    # A whole JSON object that matches no pattern is nobody's: passed over, as other teams' events are.
    passed = {"detail is text": wanted.pop("detail is text")}
    largest = json.dumps(event(UNKNOWN, "sg-largest", padding="x" * 900_000))
    placed["nearly a megabyte"] = (largest, "unknown account")
    bodies = [*wanted.values(), *passed.values(), *placed.values()]
    stack.produce("parapet.events", [(f"{account}/{REGION}", text) for text, _ in bodies])
    stack.produce("parapet.events", [("k", body) for body in harmless(account).values()])
    stack.produce("parapet.events", [("k", None), ("k", b""), (None, b"\xff\xfe\x00binary")])
    binary = b"\xff\xfe\x00binary"
    stack.wait_until(lambda: lag(stack) == 0, 60, lambda: f"all finished: {lag(stack)}", 0.5)
    letters = {letter["sha256"]: letter for letter in dead_letters(stack)}
    assert letters.pop(hashlib.sha256(binary).hexdigest())["payload_base64"]
    letters.pop(hashlib.sha256(b"").hexdigest(), None)
    assert set(letters) == {sha256(text) for text, _ in [*wanted.values(), *placed.values()]}
    for text, reason in [*wanted.values(), *placed.values()]:
        letter = letters[sha256(text)]
        assert reason in letter["reason"] and letter["topic"] == "parapet.events" and letter["offset"] >= 0
    # Every message is accounted for, once.
    outcomes = {name: worker.metric("parapet_events_total", outcome=name) for name in ("matched", "unmatched", "deadletter")}
    assert sum(outcomes.values()) == len(bodies) + len(harmless(account)) + 3, outcomes
    assert outcomes["matched"] == len(harmless(account))
    assert own_mutations(stack) == []
    start_collector(stack)
    still_works(stack, worker)


def test_garbage_in_sweeps(stack):
    worker = start_worker(stack)
    good = {"kind": "sweep", "resource": "ec2.security-group", "account": stack.ids[0], "region": REGION, "guardrails": []}
    hopeless_ones = {
        "no JSON": "nope",
        "array": "[]",
        "unknown account": json.dumps({**good, "account": UNKNOWN}),
        "account is a number": json.dumps({**good, "account": 5}),
        "no Region": json.dumps({**good, "region": None}),
        "unknown resource": json.dumps({**good, "resource": "ec2.dragon"}),
        "deep": nested(50_000),
    }
    others = [json.dumps({**good, "guardrails": value}) for value in (None, 5, {"a": []}, [5, None, "no-such-guardrail"])]
    stack.produce("parapet.sweeps", [("k", text) for text in [*hopeless_ones.values(), *others]])
    assert_buried(stack, {name: (text, "") for name, text in hopeless_ones.items()})
    stack.wait_until(lambda: lag(stack) == 0, 60, lambda: f"all finished: {lag(stack)}", 0.5)
    start_collector(stack)
    still_works(stack, worker)


@pytest.mark.parametrize("copies", [3])
def test_events_that_come_several_times_have_one_effect(stack, copies):
    account = stack.ids[0]
    groups = stack.plant(account, REGION, [HTTPS], count=20)
    start_worker(stack), start_worker(stack)
    start_collector(stack)
    stack.tap.events(copies=copies)
    client = stack.stranger(account).client("ec2", REGION)
    for group in groups:
        client.authorize_security_group_ingress(GroupId=group, IpPermissions=[SSH])
    wait_fixed(stack, groups, 90)
    wait_idle(stack)
    assert_narrowed_once(stack, groups)
