"""parapet playbooks diff: what a changed playbook would make of recorded events; offline but for one test."""

import json
import shutil

import pytest
from spine import HTTPS, open_to_internet, own_mutations, start_collector
from stack import ROOT
from stack.programs import clean_environment, run

CATALOGUE = ROOT / "worker" / "playbooks"
NAME = "ssh-open-to-internet"


def event(number, name, group, account="111111111111"):
    """An API call that named its group in the request."""
    return {
        "version": "0", "id": f"e{number}", "detail-type": "AWS API Call via CloudTrail", "source": "aws.ec2",
        "account": account, "time": "2026-11-24T22:04:05Z", "region": "eu-west-1", "resources": [],
        "detail": {
            "eventSource": "ec2.amazonaws.com", "eventName": name, "awsRegion": "eu-west-1", "recipientAccountId": account,
            "eventID": f"e{number}", "eventTime": "2026-11-24T22:04:05Z", "userIdentity": {"type": "IAMUser"},
            "requestParameters": {"groupId": group},
            "responseElements": {"securityGroupRuleSet": {"items": [{"groupId": group}]}},
        },
    }  # fmt: skip


@pytest.fixture
def versions(tmp_path):
    """(the catalogue, a copy to change, a file of events)"""
    copy, events = tmp_path / "new", tmp_path / "events.jsonl"
    shutil.copytree(CATALOGUE, copy)
    calls = [event(1, "AuthorizeSecurityGroupIngress", "sg-1"), event(2, "DeleteTags", "sg-2"), {"no": "event"}]
    events.write_text("".join(json.dumps(call) + "\n" for call in calls))
    return CATALOGUE, copy, events


def change(copy, before, after):
    path = copy / "guardrails" / f"{NAME}.yaml"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


def diff(old, new, *more):
    done = run(
        [ROOT / "build" / "parapet", "playbooks", "diff", old, new, *more, "--output", "json"], clean_environment(), 60, False
    )
    return done.returncode, json.loads(done.stdout)


def test_the_same_differs_in_nothing(versions):
    old, _, events = versions
    code, told = diff(old, old, events)
    assert code == 0 and told["read"] == 3 and told["no_event"] == 1
    assert told["events"] == told["tests"] == told["live"] == []
    assert all(row["playbook"] == "same" and row["old"] == row["new"] for row in told["guardrails"])


def test_a_pattern_that_takes_more(versions):
    old, new, events = versions
    change(new, "eventName: [AuthorizeSecurityGroupIngress", "eventName: [DeleteTags, AuthorizeSecurityGroupIngress")
    code, told = diff(old, new, events)
    assert code == 3
    (row,) = told["events"]
    assert (row["guardrail"], row["difference"], row["event"], row["old"]) == (NAME, "only_new", "e2", None)
    changed = {row["guardrail"]: row for row in told["guardrails"] if row["playbook"] != "same"}
    assert set(changed) == {NAME} and changed[NAME]["only_new"] == 1 and changed[NAME]["only_old"] == 0


def test_a_guardrail_that_is_gone_is_told_the_other_way_round(versions):
    old, new, events = versions
    (new / "guardrails" / f"{NAME}.yaml").unlink()
    code, told = diff(old, new, events)
    assert code == 3 and [row["difference"] for row in told["events"] if row["guardrail"] == NAME] == ["only_old"]
    assert [row["playbook"] for row in told["guardrails"] if row["guardrail"] == NAME] == ["removed"]


def test_the_tests_of_one_version_are_run_on_the_other(versions):
    old, new, events = versions
    change(new, "ports: [22]", "ports: [2222]")
    code, told = diff(old, new, events)
    assert code == 3 and told["events"] == []
    assert {row["fails_with"] for row in told["tests"]} >= {"new"}
    assert all(row["guardrail"] == NAME and row["why"] for row in told["tests"])


def test_events_of_the_stream_and_resources_as_they_are_now(stack, versions):
    """Nothing is changed, whatever is judged."""
    old, new, _ = versions
    change(new, "ports: [22]", "ports: [2222]")
    account = stack.ids[0]
    (group,) = stack.plant(account, "eu-west-1", [HTTPS])
    start_collector(stack)
    open_to_internet(stack, [(account, "eu-west-1", group)])
    stack.wait_until(lambda: stack.topic_count("parapet.events") >= 1, 30, "the event")
    done = stack.parapet("playbooks", "diff", old, new, "--since", "10m", "--live", "--output", "json")
    assert done.returncode == 3, done.stderr
    told = json.loads(done.stdout)
    (live,) = [row for row in told["live"] if row["guardrail"] == NAME]
    assert live["resource"] == group and live["old"]["finding"] and live["new"] is None
    assert [call["call"] for call in live["old"]["calls"]] == [
        "ec2.AuthorizeSecurityGroupIngress", "ec2.RevokeSecurityGroupIngress",
    ]  # fmt: skip
    assert own_mutations(stack) == []
