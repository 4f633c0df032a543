"""parapet assess: the whole catalogue over several accounts and Regions at once, with no fleet."""

import json
import os
import pty
import subprocess
import time

import pytest
from spine import SSH
from stack import REGIONS
from stack.environment import Stack

HOLD = 3


@pytest.fixture(scope="module")
def cloud():
    with Stack(kafka=None, redis=False, accounts=4, dev=1, guardrails=None) as stack:
        yield stack


@pytest.fixture(autouse=True)
def forget(cloud):
    yield
    cloud.tap.clear_faults()


def assess(stack, *words, **settings):
    """(exit code, the JSON of standard output, standard error)"""
    done = stack.parapet("assess", *words, "--output", "json", **settings)
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


def found(report, guardrail):
    return {(f["account"], f["region"], f["resource"]) for f in report["findings"] if f["guardrail"] == guardrail}


def test_a_denied_account_is_listed_and_delays_nobody(cloud):
    planted = set(cloud.plant_everywhere([SSH], 16))
    denied = cloud.ids[1]
    cloud.tap.deny_account(denied, delay_ms=HOLD * 1000)
    mark, begun = cloud.tap.mark(), time.time()
    code, report, _ = assess(cloud)
    assert code == 1  # something could not be read: the pipeline must not take it for clean
    # Reported once, not once a Region and list; everybody else's is complete.
    assert [(u["account"], u["region"], u["class"]) for u in report["unreadable"]] == [(denied, "all", "denied")]
    assert found(report, "ssh-open-to-internet") == {place for place in planted if place[0] != denied}
    assert report["places"] == 3 * len(REGIONS)
    # While the denied account's answer was awaited the others' lists were read.
    calls = cloud.calls(mark, service="ec2")
    assert [call for call in calls if call["time"] < begun + HOLD], "the others waited"
    assert cloud.mutations(mark, role="*") == []


def test_the_whole_catalogue_over_accounts_and_regions(cloud):
    account, dev = cloud.ids[0], cloud.ids[-1]
    planted = cloud.plant(account, "us-west-2", [SSH]) + cloud.plant(dev, "us-west-2", [SSH])
    iam = cloud.direct(account).client("iam")
    iam.create_user(UserName="ann")
    iam.create_login_profile(UserName="ann", Password="not-a-secret-1A!")
    mark = cloud.tap.mark()
    code, report, _ = assess(cloud)
    assert code == 3 and report["unreadable"] == []
    assert {(account, "us-west-2", planted[0]), (dev, "us-west-2", planted[1])} <= found(report, "ssh-open-to-internet")
    # What is global is read, and found, once an account, not once a Region.
    assert found(report, "console-user-without-mfa") == {(account, "us-east-1", "ann")}
    assert len(cloud.calls(mark, service="iam", operation="ListUsers")) == len(cloud.ids)
    modes = {f["account"]: f["mode"] for f in report["findings"] if f["guardrail"] == "ssh-open-to-internet"}
    assert modes[account] == "remediate" and modes[dev] == "notify"
    # The worst first.
    ranks = [["critical", "high", "medium", "low"].index(f["severity"]) for f in report["findings"]]
    assert ranks == sorted(ranks)
    assert cloud.mutations(mark, role="*") == []


def test_filters(cloud):
    cloud.plant(cloud.ids[0], "eu-west-1", [SSH])
    everything = assess(cloud)[1]["findings"]
    code, report, _ = assess(cloud, "ssh-*", "--account", cloud.ids[0], "--region", "eu-west-1")
    assert code == 3 and {f["guardrail"] for f in report["findings"]} == {"ssh-open-to-internet"}
    assert {(f["account"], f["region"]) for f in report["findings"]} == {(cloud.ids[0], "eu-west-1")}
    code, report, _ = assess(cloud, "--severity", "critical")
    wanted = {(f["guardrail"], f["resource"]) for f in everything if f["severity"] == "critical"}
    assert {(f["guardrail"], f["resource"]) for f in report["findings"]} == wanted != set()
    # Nothing found is 0; what does not exist is no clean account but a mistake.
    assert assess(cloud, "--guardrail", "image-public,snapshot-*")[0] == 0
    for words in (["ssh-open-to-internt"], ["--guardrail", "shh-*"], ["--severity", "worst"]):
        code, report, error = assess(cloud, *words)
        assert code == 2 and report is None and words[-1] in error


def test_a_table_and_a_line_of_progress_for_people(cloud):
    group = cloud.plant(cloud.ids[0], "eu-west-1", [SSH])[0]
    ours, theirs = pty.openpty()
    command = [cloud.programs_from / "parapet", "assess", "ssh-open-to-internet"]
    done = subprocess.run(command, env=cloud.environment(), stdout=subprocess.PIPE, stderr=theirs, timeout=60, text=True)
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert done.returncode == 3
    assert "\r\x1b[K16 of 16 lists read" in shown, shown
    row = next(line for line in done.stdout.splitlines() if group in line)
    assert row.split()[:4] == ["high", "ssh-open-to-internet", cloud.ids[0], "eu-west-1"]
    assert "account × Region places" in done.stdout.splitlines()[-1]
