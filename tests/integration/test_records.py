"""2,900 real CloudTrail records go through Kafka, and each is accounted for."""

import json
import os
from pathlib import Path

import pytest
from spine import lag, own_mutations, start_worker
from stack import ROOT

DATA = Path(os.environ.get("PARAPET_REFERENCE_DATA") or ROOT.parent / "shared" / "data") / "cloudtrail" / "invictus" / "CloudTrail"
AUTHORIZED = ("7e96f0e7-4d78-423d-b3f5-391370685b30", "74bd84b4-6729-4895-b2a4-e2beb7c6b377")


@pytest.fixture
def records():
    """[(file, its records)]"""
    if not DATA.is_dir():
        print(f"skipped: the records are not at {DATA} (PARAPET_REFERENCE_DATA names the directory of the reference data)")
        pytest.skip(f"no records at {DATA}")
    return [(file, json.loads(file.read_text())["Records"]) for file in sorted(DATA.glob("*.json"))]


def replay_by_command(stack, files):
    done = stack.parapet("replay", *files, check=True, timeout=120)
    assert "2900 events sent, 0 dead letters" in done.stdout


def replay_by_collector(stack, files):
    # With nothing but files to replay it ends by itself; it may do so before anybody asks whether it is ready.
    collector = stack.start_collector(wait=False, **{"replay.files": files, "sqs.queue": None, "sqs.regions": None})
    stack.wait_until(lambda: not collector.running(), 120, "the end of the replay", 0.2)
    stack.programs.remove(collector)
    assert collector.child.returncode == 0, collector.log_tail()


@pytest.mark.parametrize("replay", [replay_by_command, replay_by_collector])
def test_every_record_is_accounted_for(stack, records, replay):
    assert sum(len(those) for _, those in records) == 2900
    authorized = [r for _, those in records for r in those if r["eventName"] == "AuthorizeSecurityGroupIngress"]
    assert sorted(r["eventID"] for r in authorized) == sorted(AUTHORIZED)
    accounts = sorted({r["recipientAccountId"] for _, those in records for r in those})
    stack.write_accounts([*({"id": account, "environment": "prod"} for account in accounts)], regions=["us-east-1"])
    for account in accounts:
        stack.tap.add_account(account)
    worker = start_worker(stack, patience="1s,2s")
    replay(stack, [file for file, _ in records])
    stack.wait_until(lambda: lag(stack) == 0, 120, lambda: f"all finished: {lag(stack)}", 0.5)

    outcomes = {name: worker.metric("parapet_events_total", outcome=name) for name in ("matched", "unmatched", "deadletter")}
    assert sum(outcomes.values()) == 2900, outcomes
    assert outcomes == {"matched": 2, "unmatched": 2898, "deadletter": 0}
    assert worker.metric("parapet_events_total", outcome="duplicate") == 0
    assert stack.topic_count("parapet.events") == 2900
    seen = stack.redis.keys("parapet:v1:seen:*")
    assert sorted(key.rpartition(":")[2] for key in seen) == sorted(AUTHORIZED)
    # The group of those days is gone; both were looked for where the records say.
    reads = lambda: [call for call in stack.calls(operation="DescribeSecurityGroup*") if call["role"]]  # noqa: E731
    stack.wait_until(reads, 30, "the group to be looked for: events this old come back from the parked ones", 0.2)
    assert {(call["account"], call["region"]) for call in reads()} == {(authorized[0]["recipientAccountId"], "us-east-1")}
    assert own_mutations(stack) == []
