"""Exceptions: each scope, before the resource exists; a warning before the end, a grace after it, and then the fix."""

import json
import shutil

import yaml

from spine import (
    GUARDRAIL, NARROW, assert_narrowed_once, counts, effects, findings, open_to_internet, published, sns_topic,
    start_collector, start_worker, statuses, sweep, wait_idle,
)  # fmt: skip

GRACE = 12


def except_(stack, *scope, lasts="5d"):
    command = ["exceptions", "add", "--guardrail", GUARDRAIL, *scope, "--owner", "ann@example.com", "--reason", "a test"]
    made = stack.parapet(*command, "--for", lasts, "--output", "json", check=True).stdout
    return json.loads(made)["id"]


def test_each_scope_before_the_resource_exists(stack):
    """One exception of each kind, then the groups: each is excepted by its own, the last ones by none."""
    one, two = stack.ids[0], stack.ids[1]
    made = {
        "tag": except_(stack, "--tag", "ticket=T-4*"),
        "account": except_(stack, "--account", two, "--region", "us-west-2"),
        "unit": except_(stack, "--unit", "workloads/pr*", "--region", "ap-southeast-2"),
        "arn": except_(stack, "--resource", f"arn:aws:ec2:us-east-1:{one}:security-group/*"),
    }
    (tagged,) = stack.plant(one, "eu-west-1", tags={"ticket": "T-42"})
    (other_tag,) = stack.plant(one, "eu-west-1", tags={"ticket": "T-5"})
    (in_account,), (elsewhere,) = stack.plant(two, "us-west-2"), stack.plant(one, "us-west-2")
    (in_unit,), (by_arn,) = stack.plant(one, "ap-southeast-2"), stack.plant(one, "us-east-1")
    (by_tag,) = stack.plant(one, "eu-west-1", tags={"team": "red-1"})
    playbooks = exempting(stack)
    start_collector(stack)
    start_worker(stack, playbooks=playbooks, patience="500ms,2s")
    places = [
        (one, "eu-west-1", tagged), (one, "eu-west-1", other_tag), (two, "us-west-2", in_account),
        (one, "us-west-2", elsewhere), (one, "ap-southeast-2", in_unit), (one, "us-east-1", by_arn), (one, "eu-west-1", by_tag),
    ]  # fmt: skip
    open_to_internet(stack, places)
    stack.wait_until(lambda: counts(stack) == {"excepted": 5, "fixed": 2}, 60, lambda: f"5 and 2: {statuses(stack)}", 0.3)
    wait_idle(stack)
    assert_narrowed_once(stack, [other_tag, elsewhere])
    notes = {group: records[-1].get("note", "") for group, records in findings(stack).items()}
    for group, name in ((tagged, "tag"), (in_account, "account"), (in_unit, "unit"), (by_arn, "arn")):
        assert made[name] in notes[group], (name, notes[group])
    assert "team=red-1" in notes[by_tag]
    listed = json.loads(stack.parapet("exceptions", "list", "--output", "json", check=True).stdout)
    assert {row["id"]: row["uses"] for row in listed} == dict.fromkeys(made.values(), 1)


def exempting(stack):
    """The playbooks, with a tag that exempts."""
    directory = stack.directory / "exempting"
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(stack.playbooks, directory)
    path = directory / "guardrails" / f"{GUARDRAIL}.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "exempt": {"tags": {"team": "red-*"}}}))
    return directory


def test_warned_before_the_end_told_in_the_grace_and_then_fixed(stack):
    account, region = stack.ids[0], "eu-west-1"
    (group,) = stack.plant(account, region)
    settings = {"exception.warn": "7d", "exception.grace": f"{GRACE}s", "notice.window": "1s", "notice.sns_topic": sns_topic(stack)}
    start_collector(stack)
    start_worker(stack, patience="500ms,2s", **settings)
    lasting, short = except_(stack, "--resource", "sg-other"), except_(stack, "--resource", group, lasts="20s")
    open_to_internet(stack, [(account, region, group)])
    stack.wait_until(lambda: statuses(stack).get(group) == "excepted", 30, "it is excepted", 0.2)

    def told(word):
        return [text["Message"] for text in published(stack) if word in text["Message"]]

    stack.wait_until(lambda: told(short), 30, lambda: f"a warning: {published(stack)}", 0.5)
    assert "ann@example.com" in told(short)[0] and not told(lasting)
    stack.wait_until(lambda: look(stack, account, region) == "open", 30, lambda: f"told: {statuses(stack)}", 1)
    assert short in findings(stack)[group][-1]["note"] and "ended" in findings(stack)[group][-1]["note"]
    assert effects(stack) == {}
    stack.wait_until(lambda: look(stack, account, region) == "fixed", 60, lambda: f"fixed: {statuses(stack)}", 1)
    assert effects(stack) == {group: NARROW}
    assert len(told("expiring")) == 1


def look(stack, account, region):
    """The group's status after one more sweep."""
    sweep(stack, [(account, region)])
    wait_idle(stack)
    return next(iter(statuses(stack).values()))


