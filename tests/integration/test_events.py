"""From an event to a verified fix: what is opened is narrowed, once, and Parapet does not react to itself."""

from spine import (
    HTTPS, KNOWN, SSH, VARIANTS, assert_journal_closed, assert_narrowed_once, assert_whole, counts, expected_calls,
    expected_rules, findings, own_mutations, published, shown, sns_topic, start_collector, start_worker, statuses, sweep,
    wait_fixed, wait_idle,
)  # fmt: skip
from stack import permission


def plant_variants(stack, accounts, regions):
    """One group of each variant in each account × Region, so far with HTTPS alone: [(place, variant, HTTPS's rule)]."""
    places = stack.plant_everywhere([HTTPS], len(accounts) * len(regions) * len(VARIANTS), accounts, regions)
    first_of = len(accounts) * len(regions)  # plant_everywhere deals groups out place by place
    planted = []
    for number, place in enumerate(places):
        planted.append((place, VARIANTS[number // first_of], stack.rules(*place)[0]["SecurityGroupRuleId"]))
    return planted


def open_variants(stack, planted):
    for (account, region, group), variant, _ in planted:
        stack.stranger(account).client("ec2", region).authorize_security_group_ingress(
            GroupId=group, IpPermissions=[permission(*variant)]
        )


def test_everything_that_covers_ssh_is_narrowed_and_verified(stack):
    accounts = stack.ids[:3]
    planted = plant_variants(stack, accounts, stack.regions)
    assert len(planted) == 72
    worker = start_worker(stack)
    start_collector(stack)
    open_variants(stack, planted)
    wait_fixed(stack, [place[2] for place, _, _ in planted], 120)

    for (account, region, group), variant, https in planted:
        rules = stack.rules(account, region, group)
        assert shown(rules) == expected_rules(variant), (variant, rules)
        assert len(rules) == len(expected_rules(variant))
        assert [r["SecurityGroupRuleId"] for r in rules if r["FromPort"] == 443] == [https]
        # Everything new is marked with the run that made it.
        for rule in rules:
            if rule["SecurityGroupRuleId"] != https:
                assert [tag["Key"] for tag in rule["Tags"]] == ["parapet:run"], rule
    for records in findings(stack).values():
        assert [record["status"] for record in records] == ["fixed"]
        assert {"event", "collected", "matched", "acted", "verified"} <= set(records[0]["times"])

    # Each Authorize of ours came back as an event, was recognised, and nothing came of it.
    authorized = sum(expected_calls(variant) - 1 for _, variant, _ in planted)
    stack.wait_until(
        lambda: worker.metric("parapet_own_events_total") >= authorized, 60, lambda: f"{authorized} own events recognised"
    )
    wait_idle(stack)
    assert worker.metric("parapet_own_events_total") == authorized
    by_role = own_mutations(stack)
    assert len(by_role) == sum(expected_calls(variant) for _, variant, _ in planted) == 288
    assert {call["operation"] for call in by_role} == {"AuthorizeSecurityGroupIngress", "RevokeSecurityGroupIngress"}
    assert {call["service"] for call in stack.mutations()} == {"ec2"}  # no topic is set: nothing is published either
    assert len(stack.mutations()) == len(by_role) + len(planted)
    assert worker.metric("parapet_actions_total", status="acted") == len(planted)
    assert_journal_closed(stack)


def test_dev_account_gets_notices_only(stack):
    dev = stack.ids[-1]
    planted = plant_variants(stack, [dev], stack.regions[:1])
    topic = sns_topic(stack)
    start_worker(stack, **{"notice.sns_topic": topic, "notice.window": "3s"})
    start_collector(stack)
    open_variants(stack, planted)
    stack.wait_until(lambda: counts(stack) == {"open": 6}, 60, lambda: f"six open findings: {counts(stack)}")
    wait_idle(stack)

    def noticed():
        return sum(message["Message"].count("  open  ") for message in published(stack))

    stack.wait_until(lambda: noticed() == 6, 30, lambda: f"six notices: {published(stack)}")
    assert {message["TopicArn"] for message in published(stack)} == {topic}
    text = published(stack)[0]["Message"]
    assert dev in text and ":user/mallory" in text and "exceptions add" in text
    assert "Session Manager" in text and "scanners" in text  # how to do it right, and why it matters
    assert own_mutations(stack) == []
    for place, variant, _ in planted:
        assert (variant[0], *(variant[1] or (-1, -1)), variant[2]) in shown(stack.rules(*place))


def add_exception(stack, group, lasts, account):
    added = stack.parapet(
        "exceptions", "add", "--guardrail", "ssh-open-to-internet", "--account", account, "--resource", group,
        "--owner", "ann@example.com", "--reason", "migration", "--for", lasts, check=True,
    )  # fmt: skip
    assert "holds until" in added.stdout


def test_exception_lets_be_in_dev_and_prod(stack):
    topic = sns_topic(stack)
    start_worker(stack, **{"notice.sns_topic": topic, "notice.window": "1s"})
    start_collector(stack)
    places = [(account, "eu-west-1", stack.plant(account, "eu-west-1", [HTTPS])[0]) for account in (stack.ids[0], stack.ids[-1])]
    for account, region, group in places:
        add_exception(stack, group, "1h", account)
        stack.stranger(account).client("ec2", region).authorize_security_group_ingress(GroupId=group, IpPermissions=[SSH])
    stack.wait_until(lambda: counts(stack) == {"excepted": 2}, 60, lambda: f"both excepted: {counts(stack)}")
    wait_idle(stack)
    sweep(stack, [place[:2] for place in places])
    wait_idle(stack)
    assert set(statuses(stack).values()) == {"excepted"}
    assert "ann@example.com" in findings(stack)[places[0][2]][0]["note"]
    assert own_mutations(stack) == []
    assert published(stack) == []
    for place in places:
        assert shown(stack.rules(*place)) == {("tcp", 443, 443, "0.0.0.0/0"), ("tcp", 22, 22, "0.0.0.0/0")}


def test_exception_that_expired_no_longer_holds(stack):
    account, region = stack.ids[1], "us-west-2"
    start_worker(stack, **{"exception.grace": "0s"})
    start_collector(stack)
    first, second = stack.plant(account, region, [HTTPS], count=2)
    for group in (first, second):
        add_exception(stack, group, "15s", account)
    client = stack.stranger(account).client("ec2", region)
    for group in (first, second):
        client.authorize_security_group_ingress(GroupId=group, IpPermissions=[SSH])
    stack.wait_until(lambda: counts(stack) == {"excepted": 2}, 12, lambda: f"both excepted: {counts(stack)}")
    assert own_mutations(stack) == []
    # The sweeps of a running schedule see it end; nothing may happen before.
    stack.wait_until(
        lambda: (sweep(stack, [(account, region)]), counts(stack).get("fixed") == 2)[1], 60, "both fixed after the end", 1
    )
    added = stack.redis.client().zrange("parapet:v1:exceptions:expires", 0, 0, withscores=True)[0][1] / 1000
    assert min(call["time"] for call in own_mutations(stack)) >= added
    wait_idle(stack)
    assert_narrowed_once(stack, [first, second])
    assert_whole(stack, [(account, region, group) for group in (first, second)])


def test_reads_that_lag_behind_writes(stack):
    account, region = stack.ids[0], "eu-west-1"
    groups = stack.plant(account, region, [HTTPS], count=5)
    start_worker(stack, patience="5s,30s")
    start_collector(stack)
    stack.tap.fault({"service": "ec2", "operation": "*SecurityGroup*"}, stale=3)
    client = stack.stranger(account).client("ec2", region)
    for group in groups:
        client.authorize_security_group_ingress(GroupId=group, IpPermissions=[SSH])
    wait_fixed(stack, groups, 90)
    wait_idle(stack)
    assert_narrowed_once(stack, groups)
    assert_whole(stack, [(account, region, group) for group in groups])
    assert {len(records) for records in findings(stack).values()} == {1}  # fixed, and never "failed" before
    # It did look too early: before its first call and after its last one it was shown the past.
    calls = stack.calls(role="arn:aws:iam::*:role/parapet-worker")
    acted = [call["time"] for call in calls if call["kind"] == "mutating"]
    lagging = [call["time"] for call in calls if "stale" in call]
    assert not [call for call in calls if "stale_miss" in call]
    assert min(lagging) < min(acted) and max(lagging) > max(acted)


def test_a_known_range_alone_is_nobodys_business(stack):
    account, region = stack.ids[2], "ap-southeast-2"
    group = stack.plant(account, region, [HTTPS])[0]
    start_worker(stack)
    start_collector(stack)
    stack.stranger(account).client("ec2", region).authorize_security_group_ingress(
        GroupId=group, IpPermissions=[permission(cidr=KNOWN), permission(cidr="10.0.0.0/8"), permission("udp", (22, 22))]
    )
    wait_idle(stack)
    assert own_mutations(stack) == [] and findings(stack) == {}
    assert len(stack.rules(account, region, group)) == 4
