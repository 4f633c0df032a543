"""Accounts: which ones there are, where an event's resource is, and the guardrails that look at the organization."""

import json
import shutil
import time

import pytest
import yaml
from spine import SSH, assert_narrowed_once, effects, own_mutations, start_collector, start_worker, wait_fixed, wait_idle
from stack import cloud


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
        "account": delivered, "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "region": region, "resources": [], "detail": detail,
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


# ---- an organization in moto ----


class Organization:
    """AWS Organizations in the hub account: workloads/prod, workloads/dev, sandbox."""

    def __init__(self, stack, refresh="2s", **settings):
        self.stack = stack
        self.client = stack.direct(stack.hub_account).client("organizations")
        self.client.create_organization(FeatureSet="ALL")
        self.root = self.client.list_roots()["Roots"][0]["Id"]
        workloads = self.unit("workloads", self.root)
        self.units = {name: self.unit(name, workloads) for name in ("prod", "dev")}
        self.units["sandbox"] = self.unit("sandbox", self.root)
        self.settings = {
            "account": stack.hub_account, "role": "parapet-organization", "refresh": refresh, "environment": "environment",
            "units": {"workloads/prod": "prod", "workloads": "dev"}, "exclude": ["sandbox", stack.hub_account], **settings,
        }  # fmt: skip
        # The stack's own accounts are none of moto's organization: looked after by name.
        stack.write_accounts(organization=self.settings)

    def unit(self, name, parent):
        return self.client.create_organizational_unit(ParentId=parent, Name=name)["OrganizationalUnit"]["Id"]

    def account(self, name, unit, open=True, **tags):
        """A new member in the unit; `open`: its roles let us in."""
        made = self.client.create_account(AccountName=name, Email=f"{name}@example.com")["CreateAccountStatus"]["AccountId"]
        self.move(made, unit)
        if tags:
            self.client.tag_resource(ResourceId=made, Tags=[{"Key": key, "Value": value} for key, value in tags.items()])
        if open:
            self.open(made)
        return made

    def open(self, account):
        """From now on roles can be assumed in it; its administrator."""
        user = self.stack.tap.add_account(account)
        return cloud.Caller(self.stack.tap.url, account, user["key"], user["secret"])

    def move(self, account, unit):
        parent = self.client.list_parents(ChildId=account)["Parents"][0]["Id"]
        self.client.move_account(AccountId=account, SourceParentId=parent, DestinationParentId=self.units[unit])

    def listings(self, since=0):
        return self.stack.calls(since, service="organizations", operation="ListAccounts")


@pytest.fixture
def organization(stack):
    return Organization(stack)


def listed(stack, **settings):
    """{id: row} as `parapet accounts list` says."""
    result = stack.parapet("accounts", "list", "--output", "json", **settings)
    assert result.returncode == 0, result
    return {row["id"]: row for row in json.loads(result.stdout)}


def wait_listed(stack, ids, timeout=30):
    stack.wait_until(lambda: ids <= set(listed(stack)), timeout, lambda: f"{ids} to be listed: {sorted(listed(stack))}", 0.5)


def test_accounts_come_from_the_organization(stack, organization):
    prod = organization.account("payments", "prod")
    tagged = organization.account("lab", "prod", environment="dev", team="research")
    left_out = organization.account("play", "sandbox")
    workers = [start_worker(stack), start_worker(stack)]
    rows = listed(stack)
    assert rows[prod]["environment"] == "prod" and rows[prod]["unit"] == "workloads/prod"
    assert rows[tagged]["environment"] == "dev" and rows[tagged]["tags"]["team"] == "research"
    assert rows[prod]["source"] == "organization" and rows[stack.ids[0]]["source"] == "file"
    assert not {left_out, stack.hub_account} & set(rows)
    assert set(rows) == {prod, tagged, *stack.ids}
    live = listed(stack, live=True)  # the same, asked of AWS
    assert live == rows
    # What is found there is put right, or told, as the environment says; nobody looks after the one that is left out.
    opened = {account: stack.plant(account, stack.regions[0], [SSH])[0] for account in (prod, tagged, left_out)}
    start_collector(stack, **{"schedule.enabled": True, "schedule.at_start": True})
    wait_fixed(stack, [opened[prod]], 90)
    stack.wait_until(
        lambda: any(m["value"]["account"] == tagged for m in stack.topic("parapet.findings")), 30, "a finding in the dev account"
    )
    wait_idle(stack)
    assert set(effects(stack)) == {opened[prod]}
    assert not stack.calls(account=left_out)
    # One of the two workers asks AWS in each interval, not both.
    begun, mark = time.monotonic(), stack.tap.mark()
    time.sleep(9)
    asked = len(organization.listings(mark))
    assert 2 <= asked <= (time.monotonic() - begun) / 2 + 1, asked
    assert all(worker.metric("parapet_accounts") == len(rows) for worker in workers)


def test_accounts_join_and_leave_while_the_fleet_runs(stack, organization):
    first = organization.account("first", "prod")
    worker = start_worker(stack)
    start_collector(stack)
    wait_listed(stack, {first})
    # Denied: the last list stays in force, and it is said.
    stack.tap.fault({"service": "organizations"}, error="deny")
    stack.wait_until(lambda: worker.metric("parapet_accounts_trouble") == 1, 30, "the trouble to be told")
    second = organization.account("second", "prod")
    assert set(listed(stack)) == {first, *stack.ids}
    (group,) = stack.plant(first, stack.regions[0], [SSH])
    detail = {"eventName": "AuthorizeSecurityGroupIngress", "awsRegion": stack.regions[0], "recipientAccountId": first,
              "eventSource": "ec2.amazonaws.com", "eventID": "e-1", "requestParameters": {"groupId": group}}  # fmt: skip
    stack.send(stack.regions[0], [{**elsewhere(first, stack.regions[0], detail, 1), "source": "aws.ec2",
                                   "detail-type": "AWS API Call via CloudTrail"}])  # fmt: skip
    wait_fixed(stack, [group], 60)
    status = stack.parapet("status").stdout
    assert "2 members of the organization" in status and "the last list failed" in status, status
    stack.tap.clear_faults()
    wait_listed(stack, {second}, 60)
    stack.wait_until(lambda: worker.metric("parapet_accounts_trouble") == 0, 30, "the trouble to be over")
    # Half a list is none: whoever stands on the page that fails stays.
    stack.tap.fault({"service": "organizations", "operation": "ListTagsForResource"}, error="internal")
    stack.wait_until(lambda: worker.metric("parapet_accounts_trouble") == 1, 60, "the trouble to be told")
    assert {first, second} <= set(listed(stack))
    stack.tap.clear_faults()
    # Who leaves is dropped as soon as a whole list says so.
    organization.client.remove_account_from_organization(AccountId=second)
    stack.wait_until(lambda: second not in listed(stack), 60, "the account to be dropped", 0.5)
    assert first in listed(stack)
    stack.send(stack.regions[0], [{**elsewhere(second, stack.regions[0], {**detail, "eventID": "e-2", "recipientAccountId": second}, 2),
                                   "source": "aws.ec2", "detail-type": "AWS API Call via CloudTrail"}])  # fmt: skip
    stack.wait_until(lambda: dead_letters(stack), 90, "the stranger's event to be set aside")
    assert f'unknown account "{second}"' in dead_letters(stack)[0]


def test_without_a_list_nobody_is_a_stranger(stack, organization):
    """Before the first list the gates stay closed: events wait in Kafka instead of becoming dead letters."""
    first = organization.account("first", "prod")
    stack.tap.fault({"service": "organizations"}, error="deny")
    worker = stack.start_worker(wait=False, patience="2s,6s")
    worker.wait_not_ready()
    start_collector(stack)
    (group,) = stack.plant(first, stack.regions[0], [SSH])
    detail = {"eventName": "AuthorizeSecurityGroupIngress", "awsRegion": stack.regions[0], "recipientAccountId": first,
              "eventSource": "ec2.amazonaws.com", "eventID": "e-1", "requestParameters": {"groupId": group}}  # fmt: skip
    stack.send(stack.regions[0], [{**elsewhere(first, stack.regions[0], detail, 1), "source": "aws.ec2",
                                   "detail-type": "AWS API Call via CloudTrail"}])  # fmt: skip
    time.sleep(5)
    assert "organizations.ListAccounts: You are not authorized" in worker.log_tail(200)
    assert not own_mutations(stack) and not dead_letters(stack)
    stack.tap.clear_faults()
    worker.wait_ready()
    wait_fixed(stack, [group], 90)
