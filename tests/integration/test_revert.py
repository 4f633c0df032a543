"""security-group-change-reverted on the stack: whatever a stranger does to a rule is put back, what an administrator does
stays and becomes the baseline, own changes are not reacted to, and no sweep launders a change whose event is late."""

import itertools
import json
import time

import pytest
from spine import ROLE_ARNS, sweep, wait_idle
from stack.environment import Stack

GUARDRAIL = "security-group-change-reverted"
REGION = "eu-west-1"
SIDES, TARGETS, CHANGES = ("ingress", "egress"), ("ipv4", "ipv6", "group", "list"), ("authorize", "revoke", "modify")
KINDS = list(itertools.product(SIDES, TARGETS, CHANGES))


@pytest.fixture(scope="module")
def place():
    with Stack(accounts=2, dev=1, guardrails=(GUARDRAIL,)) as stack:
        path = stack.playbooks / "guardrails" / f"{GUARDRAIL}.yaml"
        text = path.read_text()
        assert text.count("\nmode: {default: notify}") == 1
        path.write_text(text.replace("\nmode: {default: notify}", "\nmode: {prod: remediate, default: notify}"))
        place = Place(stack)
        place.start(**{"baseline.after": "15m"})
        yield place
        statuses = stack.stop_programs()
        assert set(statuses.values()) == {0}, statuses


class Place:
    """An account of the stack (unless said: of prod): its strangers, its administrators, groups and what they let through."""

    def __init__(self, stack, account=None):
        self.stack, self.account = stack, account or stack.ids[0]
        self.past = stack.direct(self.account).client("ec2", REGION)
        self.stranger = stack.stranger(self.account).client("ec2", REGION)
        self.admin = stack.role_session(self.account, role="network-admin", session="ann").client("ec2", REGION)
        self.numbers = itertools.count(1)
        self.other, self.another = self.group([]), self.group([])
        self.lists = [self.prefix_list(), self.prefix_list()]

    def start(self, **settings):
        settings = {
            "breaker.override": f"{GUARDRAIL}=100000/10m", "breaker.account_actions": 0, "breaker.organization_actions": 0,
            "patience": "1s,3s", **settings,
        }  # fmt: skip
        self.worker = self.stack.start_worker(**settings)
        self.collector = self.stack.start_collector(**{"sqs.wait": "1s"})

    def prefix_list(self):
        made = self.past.create_managed_prefix_list(PrefixListName=f"l{next(self.numbers)}", MaxEntries=5, AddressFamily="IPv4")
        return made["PrefixList"]["PrefixListId"]

    def group(self, permissions, side="ingress"):
        group = self.past.create_security_group(GroupName=f"revert-{next(self.numbers)}", Description="revert")["GroupId"]
        for permission in permissions:
            getattr(self.past, f"authorize_security_group_{side}")(GroupId=group, IpPermissions=[permission])
        return group

    def permission(self, target, port=443, second=False):
        """An IpPermission to one of two targets of a kind, with a description."""
        known = {"Description": "known"}
        wanted = {
            "ipv4": ("IpRanges", {"CidrIp": "198.51.100.0/24" if second else "10.0.0.0/8", **known}),
            "ipv6": ("Ipv6Ranges", {"CidrIpv6": "2001:db8:2::/48" if second else "2001:db8:1::/48", **known}),
            "group": ("UserIdGroupPairs", {"GroupId": self.another if second else self.other, **known}),
            "list": ("PrefixListIds", {"PrefixListId": self.lists[second]}),
        }
        name, value = wanted[target]
        return {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, name: [value]}

    def rules(self, group):
        found = self.past.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])
        return found["SecurityGroupRules"]

    def shown(self, group):
        """What the group lets through, by value."""
        return {
            (
                rule["IsEgress"], rule["IpProtocol"], rule["FromPort"], rule["ToPort"],
                rule.get("CidrIpv4") or rule.get("CidrIpv6") or rule.get("PrefixListId") or rule["ReferencedGroupInfo"]["GroupId"],
            )
            for rule in self.rules(group)
        }  # fmt: skip

    def image(self, group):
        """Every field of its rules but what AWS chooses anew."""
        rules = [{k: v for k, v in rule.items() if "SecurityGroupRule" not in k} for rule in self.rules(group)]
        return sorted(json.dumps(rule, sort_keys=True) for rule in rules)

    def swept(self, groups):
        """Sweeps, and waits until each group has its baseline."""
        sweep(self.stack, [(self.account, REGION)], guardrails=[GUARDRAIL])
        self.stack.wait_until(lambda: all(self.baseline(group) for group in groups), 60, "a baseline of each group")
        time.sleep(1.1)  # an event's time has whole seconds: what was accepted in the same one is not before it

    def baseline(self, group):
        arn = f"arn:aws:ec2:{REGION}:{self.account}:security-group/{group}"
        text = self.stack.redis.client().hget(f"parapet:v1:baseline:{GUARDRAIL}|{arn}", "record")
        return json.loads(text) if text else None

    def accepted(self, group):
        """The ids of the rules that the baseline holds."""
        items = self.baseline(group)["items"].items()
        return {key for key, versions in items if versions[-1]["value"] is not None}

    def change(self, client, group, side, target, change):
        """Somebody does it to the group's rule of port 443 (authorize: adds one of port 22)."""
        mine = [r["SecurityGroupRuleId"] for r in self.rules(group) if r["FromPort"] == 443]
        if change == "authorize":
            permission = self.permission(target, 22)
            getattr(client, f"authorize_security_group_{side}")(GroupId=group, IpPermissions=[permission])
        elif change == "revoke":
            getattr(client, f"revoke_security_group_{side}")(GroupId=group, SecurityGroupRuleIds=mine)
        else:
            member = {"ipv4": "CidrIpv4", "ipv6": "CidrIpv6", "group": "ReferencedGroupId", "list": "PrefixListId"}[target]
            ((_, (value,)),) = [i for i in self.permission(target, second=True).items() if isinstance(i[1], list)]
            new = next(v for k, v in value.items() if k != "Description")
            rule = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 8443, member: new}
            client.modify_security_group_rules(
                GroupId=group, SecurityGroupRules=[{"SecurityGroupRuleId": mine[0], "SecurityGroupRule": rule}]
            )

    def mutations(self, since):
        return self.stack.mutations(since, role=ROLE_ARNS)

    def findings(self, group):
        return [m["value"] for m in self.stack.topic("parapet.findings") if m["value"]["resource"] == group]


def test_every_kind_of_change_by_a_stranger_is_reverted_and_none_by_an_administrator(place):
    strange, meant = ({kind: place.group([place.permission(kind[1])], kind[0]) for kind in KINDS} for _ in range(2))
    place.swept([*strange.values(), *meant.values()])
    before = {group: place.shown(group) for group in strange.values()}
    mark = place.stack.tap.mark()
    for kind in KINDS:
        place.change(place.stranger, strange[kind], *kind)
        place.change(place.admin, meant[kind], *kind)
    after = {group: place.shown(group) for group in meant.values()}
    place.stack.wait_until(
        lambda: all(place.shown(group) == rules for group, rules in before.items()),
        120,
        lambda: f"reverted; not yet: {[kind for kind in KINDS if place.shown(strange[kind]) != before[strange[kind]]]}",
        1,
    )
    wait_idle(place.stack, 120)

    # One call a change, in the changed groups alone; own changes led to no further one.
    calls = place.mutations(mark)
    assert sorted(call["params"]["GroupId"] for call in calls) == sorted(strange.values())
    assert {group: place.shown(group) for group in meant.values()} == after
    for kind, group in strange.items():
        records = place.findings(group)
        assert [record["status"] for record in records] == ["fixed"], (kind, records)
        assert records[0]["actor"]["user"] == "mallory"
        assert place.accepted(group) == {rule["SecurityGroupRuleId"] for rule in place.rules(group)}, kind

    # What the administrators did is the baseline: a stranger's revocation of it is put back.
    for kind, group in meant.items():
        assert place.findings(group) == [], kind
        assert place.accepted(group) == {rule["SecurityGroupRuleId"] for rule in place.rules(group)}, kind
    group = meant["ingress", "ipv6", "authorize"]
    added = next(rule["SecurityGroupRuleId"] for rule in place.rules(group) if rule["FromPort"] == 22)
    place.stranger.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[added])
    place.stack.wait_until(lambda: place.shown(group) == after[group], 60, "the administrator's rule is back")

    # Nothing is left to do for a sweep.
    wait_idle(place.stack)
    mark = place.stack.tap.mark()
    place.swept([])
    wait_idle(place.stack)
    assert place.mutations(mark) == []


def test_what_was_changed_since_is_nobodys_to_revert(place):
    """The event is late; meanwhile an administrator has made the rule what it should be."""
    group = place.group([place.permission("ipv4")])
    place.swept([group])
    mark = place.stack.tap.mark()
    place.stack.tap.events(delay=12)
    place.change(place.stranger, group, "ingress", "ipv4", "modify")
    rule = place.rules(group)[0]["SecurityGroupRuleId"]
    rule = next(r["SecurityGroupRuleId"] for r in place.rules(group) if r["FromPort"] == 443)
    wanted = {"IpProtocol": "tcp", "FromPort": 444, "ToPort": 444, "CidrIpv4": "192.0.2.0/24"}
    place.stack.tap.events(delay=0)
    place.admin.modify_security_group_rules(
        GroupId=group, SecurityGroupRules=[{"SecurityGroupRuleId": rule, "SecurityGroupRule": wanted}]
    )
    after = place.shown(group)
    time.sleep(14)
    wait_idle(place.stack)
    assert place.mutations(mark) == [] and place.shown(group) == after


@pytest.mark.parametrize("settings", [{"baseline.after": "15m"}, {"baseline.after": "1s"}], ids=["seen", "accepted"])
def test_a_sweep_between_a_change_and_its_event_does_not_launder_it(place, settings):
    """Also when sweeps have long accepted it: what counts is what was accepted before the event's time."""
    if settings["baseline.after"] != "15m":
        place.stack.stop_programs()
        place.start(**settings)
    group = place.group([place.permission("ipv4"), place.permission("list")])
    place.swept([group])
    before = place.shown(group)
    place.stack.tap.events(delay=20)
    place.change(place.stranger, group, "ingress", "ipv4", "authorize")
    ids = {rule["FromPort"]: rule["SecurityGroupRuleId"] for rule in place.rules(group) if "CidrIpv4" in rule and not rule["IsEgress"]}
    place.stranger.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[ids[443]])
    place.stack.tap.events(delay=0)
    for _ in range(3):
        place.swept([])
        time.sleep(2)
    record = place.baseline(group)
    if settings["baseline.after"] == "1s":
        assert ids[22] in place.accepted(group) and ids[443] not in place.accepted(group)
    else:
        assert set(record["seen"]) == {ids[22], ids[443]} and ids[443] in place.accepted(group)
    assert place.shown(group) != before
    place.stack.wait_until(lambda: place.shown(group) == before, 90, "both changes are reverted", 0.5)


def test_what_was_held_back_is_reverted_without_its_event_but_nothing_newer(place):
    """A parked unit comes back without its event; the change is on record, and is looked at as it is now."""
    stack, scope = place.stack, f"{GUARDRAIL}/{place.account}"
    strange, settled = place.group([place.permission("ipv4")]), place.group([place.permission("ipv4")])
    place.swept([strange, settled])
    before = place.shown(strange)
    stack.parapet("breaker", "hold", scope, "--reason", "test", check=True)
    for group in (strange, settled):
        place.change(place.stranger, group, "ingress", "ipv4", "modify")
        place.change(place.stranger, group, "egress", "ipv6", "authorize")
    stack.wait_until(lambda: stack.redis.client().zcard("parapet:v1:parked") == 2, 60, "both groups are parked")
    wait_idle(stack)
    mark = stack.tap.mark()
    # Of one group an administrator takes care meanwhile.
    for side, rules in (("ingress", False), ("egress", True)):
        ids = [r["SecurityGroupRuleId"] for r in place.rules(settled) if r["IsEgress"] == rules and r["FromPort"] in (443, 22)]
        getattr(place.admin, f"revoke_security_group_{side}")(GroupId=settled, SecurityGroupRuleIds=ids)
    after = place.shown(settled)
    wait_idle(stack)
    stack.parapet("breaker", "reset", scope, "--release", "--pace", "100/s", check=True)
    stack.wait_until(lambda: place.shown(strange) == before, 60, "the changes are reverted", 0.5)
    stack.wait_until(lambda: stack.redis.client().zcard("parapet:v1:parked") == 0, 60, "nothing is parked", 0.5)
    wait_idle(stack)
    assert {call["params"]["GroupId"] for call in place.mutations(mark)} == {strange}
    assert place.shown(settled) == after


def meddle(place, group):
    """A stranger widens a rule, and adds one with a description and tags; what they left, before anybody reacts."""
    place.stack.tap.events(delay=4)
    place.change(place.stranger, group, "ingress", "ipv4", "modify")
    place.stranger.authorize_security_group_egress(
        GroupId=group, IpPermissions=[place.permission("ipv6", 22)],
        TagSpecifications=[{"ResourceType": "security-group-rule", "Tags": [{"Key": "ticket", "Value": "12"}]}],
    )  # fmt: skip
    place.stack.tap.events(delay=0)
    return place.image(group)


def test_dev_is_told_an_exception_holds_and_an_undo_stays(place):
    stack, dev = place.stack, Place(place.stack, place.stack.ids[-1])
    reverted, excepted, told = (one.group([one.permission("ipv4")]) for one in (place, place, dev))
    for one, groups in ((place, [reverted, excepted]), (dev, [told])):
        one.swept(groups)
    before = place.image(reverted)
    words = ("--owner", "ann@example.com", "--reason", "agreed", "--for", "1h")
    stack.parapet("exceptions", "add", "--guardrail", GUARDRAIL, "--account", place.account, "--resource", excepted, *words, check=True)
    theirs = {group: meddle(one, group) for one, group in ((place, reverted), (place, excepted), (dev, told))}
    stack.wait_until(lambda: place.image(reverted) == before, 60, "the changes are reverted", 0.5)
    wait_idle(stack)
    assert {record["status"] for record in place.findings(excepted)} == {"excepted"}
    assert {record["status"] for record in place.findings(told)} == {"open"}
    assert place.image(excepted) == theirs[excepted] and dev.image(told) == theirs[told]

    actions = json.loads(stack.parapet("actions", "list", "--limit", "1000", "--output", "json", check=True).stdout)
    mine = [action["action"] for action in actions if action["resource"] == reverted]  # the newest first
    for action in mine:
        undone = stack.parapet("undo", action, *words)
        assert undone.returncode == 0, undone.stdout + undone.stderr
    assert mine and place.image(reverted) == theirs[reverted]
    wait_idle(stack)
    mark = stack.tap.mark()
    place.swept([])
    dev.swept([])
    wait_idle(stack)
    assert place.mutations(mark) == []
    assert place.image(reverted) == theirs[reverted] and place.image(excepted) == theirs[excepted]


def test_the_baseline_survives_redis(place):
    group = place.group([place.permission("ipv6")])
    place.swept([group])
    before, record = place.shown(group), place.baseline(group)
    place.stack.redis.client().flushall()
    place.stack.wait_until(lambda: place.baseline(group) == record, 60, "the baseline is back")
    place.change(place.stranger, group, "ingress", "ipv6", "revoke")
    place.stack.wait_until(lambda: place.shown(group) == before, 60, "the rule is back", 0.5)
