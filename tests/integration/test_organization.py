"""Accounts: which ones there are, where an event's resource is, and the guardrails that look at the organization."""

import shutil

import pytest
import yaml
from spine import SSH, assert_narrowed_once, start_collector, start_worker, wait_fixed, wait_idle


def dead_letters(stack):
    """The reasons, in the order of their topic."""
    return [message["value"]["reason"] for message in stack.topic("parapet.deadletter")]


@pytest.fixture
def playbooks(stack):
    """A directory of playbooks that a test may change."""
    directory = stack.directory / "changed-playbooks"
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(stack.playbooks, directory)
    return directory


def elsewhere(delivered, region, detail, number):
    """An event that tells `delivered` of something in the place that its detail names."""
    return {
        "version": "0", "id": f"elsewhere-{number}", "detail-type": "Found Elsewhere", "source": "example.scanner",
        "account": delivered, "time": "2026-01-01T00:00:00Z", "region": region, "resources": [], "detail": detail,
    }  # fmt: skip


def test_an_event_may_tell_of_another_account_and_region(stack, playbooks):
    """`account:` and `region:` say where the resource is; both the place of delivery and the one named must be known."""
    path = playbooks / "guardrails" / "ssh-open-to-internet.yaml"
    guardrail = yaml.safe_load(path.read_text())
    guardrail["trigger"] = {
        "events": [
            {
                "pattern": {"source": ["example.scanner"]},
                "ids": "detail.group",
                "account": "detail.owner",
                "region": "detail.where || region",
            }
        ]
    }
    path.write_text(yaml.safe_dump(guardrail, sort_keys=False))
    told, owner = stack.ids[0], stack.ids[1]
    here, there = stack.regions[0], stack.regions[1]
    (far,) = stack.plant(owner, there, [SSH])
    (near,) = stack.plant(owner, here, [SSH])
    (other,) = stack.plant(told, here, [SSH])  # its group of that id is not there: an event about it changes nothing
    start_worker(stack, playbooks=playbooks)
    start_collector(stack)
    details = [
        {"group": far, "owner": owner, "where": there},
        {"group": near, "owner": [owner]},  # a list counts by its first; no Region is named: the event's
        {"group": other},  # names no account
        {"group": other, "owner": "777777777777"},  # one that nobody knows
        {"group": other, "owner": told, "where": "no Region"},
    ]
    stack.send(here, [elsewhere(told, here, detail, number) for number, detail in enumerate(details)])
    # The account that is told must be known, too.
    stack.send(here, [elsewhere("777777777777", here, {"group": other, "owner": told}, 9)])
    wait_fixed(stack, [far, near], 60)
    stack.wait_until(lambda: len(dead_letters(stack)) == 4, 30, lambda: f"four dead letters: {dead_letters(stack)}")
    wait_idle(stack)
    reasons = " | ".join(dead_letters(stack))
    for part in ('"account" names none', 'unknown account "777777777777"', "is no Region"):
        assert part in reasons
    assert_narrowed_once(stack, [far, near])
