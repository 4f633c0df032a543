"""The breaker: a storm is fixed as far as the limit goes, parked beyond it, told once, and released in pace."""

import json

import storm as storms
from spine import (
    SSH, UNLIMITED, assert_journal_closed, assert_narrowed_once, assert_whole, counts, effects, open_to_internet,
    own_mutations, published, sns_topic, start_collector, start_worker, statuses, sweep,
    wait_fixed, wait_idle,
)  # fmt: skip

SCOPE = "ssh-open-to-internet/{}"
WINDOW = 45


def storm(stack, account, count):
    """`count` groups of one account opened by a stranger before the worker starts: all at once for it."""
    places = stack.plant_everywhere([], count, [account], stack.regions)
    open_to_internet(stack, places)
    return places


def test_storm_is_fixed_to_the_limit_parked_told_once_and_released_in_pace(stack):
    account = stack.ids[1]
    start_collector(stack)
    places = storm(stack, account, 200)
    groups = {group for _, _, group in places}
    limits = {**UNLIMITED, "breaker.override": "ssh-open-to-internet=20/10m"}
    start_worker(stack, **limits, **{"notice.sns_topic": sns_topic(stack), "notice.window": f"{WINDOW}s"})
    stack.wait_until(
        lambda: counts(stack) == {"fixed": 20, "parked": 180}, WINDOW - 5, lambda: f"20 fixed, 180 parked: {counts(stack)}", 0.3
    )
    wait_idle(stack)
    fixed = [group for group, status in statuses(stack).items() if status == "fixed"]
    assert len(fixed) == 20
    assert_narrowed_once(stack, fixed)
    assert stack.redis.client().zcard("parapet:v1:parked") == 180

    # One digest tells of all two hundred, so none can follow.
    stack.wait_until(lambda: published(stack), WINDOW + 20, "the digest", 0.5)
    subject, text = published(stack)[0]["Subject"], published(stack)[0]["Message"]
    assert "20 fixed" in subject and "180 parked" in subject
    assert "1 tripped" in subject and "… and 191 more" in text and f"parapet breaker reset {SCOPE.format(account)} --release" in text

    listed = stack.parapet("breaker", "list", check=True).stdout
    assert SCOPE.format(account) in listed and "open" in listed
    mark = stack.tap.mark()
    assert own_mutations(stack, mark) == [] and len(published(stack)) == 1
    assert counts(stack) == {"fixed": 20, "parked": 180}
    assert len(own_mutations(stack)) == 40

    before = stack.redis.client().time()
    reset = stack.parapet("breaker", "reset", SCOPE.format(account), "--release", "--pace", "5/s", check=True)
    assert "180 parked units come back at 5/s" in reset.stdout
    wait_fixed(stack, groups, 180)
    wait_idle(stack)
    assert_narrowed_once(stack, groups)
    assert_whole(stack, places, others=False)
    assert stack.redis.client().zcard("parapet:v1:parked") == 0
    assert counts(stack) == {"fixed": 200}
    assert_pace(stack, mark, before[0] + before[1] / 1e6)
    assert_journal_closed(stack)


def assert_pace(stack, mark, begun):
    """The n-th action after the release began no sooner than n - 1 fifths of a second later: never faster, in no part of
    it, however late some came."""
    begins = sorted(call["time"] for call in own_mutations(stack, mark, operation="Authorize*"))
    assert len(begins) == 180
    early = [(n, round(at - begun - n / 5, 3)) for n, at in enumerate(begins) if at < begun + n / 5 - 0.02]
    assert not early, f"{len(early)} actions came before their turn: {early[:5]}"


def test_hold_parks_even_the_first_and_trip_and_list_agree(stack):
    account = stack.ids[0]
    places = stack.plant_everywhere([], 3, [account])
    start_collector(stack)
    start_worker(stack)
    stack.parapet("breaker", "hold", SCOPE.format(account), "--reason", "change freeze", check=True)
    open_to_internet(stack, places)
    stack.wait_until(lambda: counts(stack) == {"parked": 3}, 60, lambda: f"3 parked: {counts(stack)}")
    wait_idle(stack)
    assert effects(stack) == {}
    held = stack.parapet("breaker", "list", check=True).stdout
    assert "held" in held and "change freeze" in held
    # Closed without a release, what is parked stays so.
    stack.parapet("breaker", "reset", SCOPE.format(account), check=True)
    assert "3" in stack.parapet("status", check=True).stdout.split("parked")[1].splitlines()[0]
    assert counts(stack) == {"parked": 3} and effects(stack) == {}
    stack.parapet("breaker", "reset", SCOPE.format(account), "--release", "--pace", "100/s", check=True)
    wait_fixed(stack, [group for _, _, group in places], 60)
    assert_whole(stack, places, others=False)


def test_what_stands_parked_is_judged_again_when_it_comes_back(stack):
    account, region = stack.ids[0], "us-east-1"
    kept, mended = stack.plant(account, region, count=2)
    start_collector(stack)
    start_worker(stack)
    stack.parapet("breaker", "hold", SCOPE.format(account), check=True)
    open_to_internet(stack, [(account, region, kept), (account, region, mended)])
    stack.wait_until(lambda: counts(stack) == {"parked": 2}, 60, lambda: f"2 parked: {counts(stack)}")
    stack.stranger(account).client("ec2", region).revoke_security_group_ingress(GroupId=mended, IpPermissions=[SSH])
    stack.parapet("breaker", "reset", SCOPE.format(account), "--release", "--pace", "100/s", check=True)
    stack.wait_until(
        lambda: statuses(stack) == {kept: "fixed", mended: "closed"}, 60, lambda: f"one fixed, one closed: {statuses(stack)}"
    )
    assert_narrowed_once(stack, [kept])


def test_what_was_answered_meanwhile_is_looked_at_not_parked_again(stack):
    """A worker parks what it still waits for while another one ends the same event's action, and the breaker is open when
    it comes back: it is looked at, since only a violation that is there may be told as parked."""
    account, region = stack.ids[0], "us-east-1"
    start_collector(stack)
    limits = {**UNLIMITED, "breaker.override": "ssh-open-to-internet=1/10m"}
    start_worker(stack, **limits)
    done, other = stack.plant(account, region, count=2)
    open_to_internet(stack, [(account, region, done)])
    wait_fixed(stack, [done], 60)
    open_to_internet(stack, [(account, region, other)])
    stack.wait_until(lambda: counts(stack) == {"fixed": 1, "parked": 1}, 60, lambda: f"one parked: {counts(stack)}")
    redis = stack.redis.client()
    (subject, packed), = redis.hgetall("parapet:v1:parked:units").items()
    intents = [record["value"] for record in stack.topic("parapet.actions") if record["value"]["kind"] == "intent"]
    event = next(intent["trigger"] for intent in intents if intent["resource"] == done)

    def comes_back():
        mine = subject.replace(other, done)
        redis.hset("parapet:v1:parked:units", mine, json.dumps({**json.loads(packed), "id": done, "event_id": event}))
        redis.zadd("parapet:v1:parked", {mine: redis.time()[0] * 1000})
        return mine

    mine = comes_back()
    stack.wait_until(lambda: redis.zscore("parapet:v1:parked", mine) is None, 30, "it is looked at, and done")
    assert statuses(stack) == {done: "fixed", other: "parked"} and counts(stack) == {"fixed": 1, "parked": 1}
    stack.direct(account).client("ec2", region).authorize_security_group_ingress(GroupId=done, IpPermissions=[SSH])
    comes_back()
    stack.wait_until(lambda: counts(stack) == {"parked": 2}, 30, lambda: f"what is there is parked: {counts(stack)}")
    assert_narrowed_once(stack, [done])


def test_a_backlog_of_old_events_is_one_look_a_resource(stack):
    """Sixty events of an hour ago, of three groups: each group is looked at about once, and put right once."""
    account, region = stack.ids[0], "us-east-1"
    groups = stack.plant(account, region, [SSH], count=3)
    stack.send(region, [storms.event(account, region, group, age=3600) for group in groups * 20])
    start_collector(stack)
    worker = start_worker(stack)
    wait_fixed(stack, groups, 60)
    wait_idle(stack)
    assert_narrowed_once(stack, groups)
    assert worker.metric("parapet_events_total", outcome="old") == 60
    looks = [call for call in stack.calls(operation="DescribeSecurityGroups") if call["params"].get("GroupIds")]
    assert len(looks) < 30, len(looks)  # one, one under the lease, one to verify, of each; some came while it was away
    assert stack.redis.client().zcard("parapet:v1:parked") == 0


def test_failures_open_it_and_probes_close_it_again(stack):
    """AWS refuses every change in an account: the breakers of account and guardrail open by the share of failures, are
    probed after their cooldown, open again for the probe that fails, and close behind the probes that end well."""
    account = stack.ids[0]
    scopes = ("ssh-open-to-internet", f"account:{account}")
    start_collector(stack)
    limits = {"breaker.failures": "4/8", "breaker.cooldown": "10s", "breaker.probes": 2, "park.retry": "2s"}
    start_worker(stack, threads=1, **UNLIMITED, **limits)
    stack.tap.fault({"mutating": True, "account": account, "role": f"*{stack.role}"}, error="deny")
    places = stack.plant_everywhere([SSH], 12, [account])
    storms.strike(stack, places)
    refused = lambda: len(stack.calls(kind="mutating", account=account, role=f"*{stack.role}"))  # noqa: E731
    stack.wait_until(lambda: counts(stack) == {"failed": 4, "parked": 8}, 60, lambda: f"4 failed: {counts(stack)}", 0.1)
    assert refused() == 4  # one call of each action, and no fifth
    assert {state_of(stack, scope) for scope in scopes} <= {"open", "half-open"}

    stack.wait_until(lambda: refused() > 4, 60, lambda: f"a probe: {counts(stack)}", 0.2)
    opened = lambda: all(state_of(stack, scope) == "open" for scope in scopes)  # noqa: E731
    stack.wait_until(opened, 30, "the probe's failure to open them", 0.1)
    assert refused() <= 4 + 2 * 2, "more was sent than the probes of two cooldowns"
    failed = refused()
    stack.tap.clear_faults()
    closed = lambda: all(state_of(stack, scope) == "closed" for scope in scopes)  # noqa: E731
    stack.wait_until(closed, 60, lambda: f"probes to close them: {counts(stack)}", 0.2)
    stack.parapet("breaker", "reset", "organization", "--release", "--pace", "50/s", check=True)
    stack.wait_until(lambda: counts(stack).get("parked", 0) == 0, 90, lambda: f"none parked: {counts(stack)}", 0.3)
    wait_idle(stack)
    # What AWS refused stands as failed; all the others were only put off.
    fixed = [group for group, status in statuses(stack).items() if status == "fixed"]
    assert 0 < counts(stack).get("failed", 0) <= failed + 2 and counts(stack)["failed"] + len(fixed) == len(places)
    assert_narrowed_once(stack, fixed)


def test_a_share_of_the_resources_is_the_limit(stack):
    """Ten percent of an account's groups, which the sweep itself counts: a guardrail gone wrong changes no more."""
    account, region = stack.ids[0], "eu-west-1"
    groups = stack.plant(account, region, [SSH], count=30)
    stack.plant(account, region, count=30)
    start_collector(stack)
    share = {"breaker.account_share": 10, "breaker.share_least": 1}
    start_worker(stack, **{**UNLIMITED, **share})
    sweep(stack, [(account, region)])
    stack.wait_until(lambda: sum(counts(stack).values()) == 30, 60, lambda: f"thirty judged: {counts(stack)}", 0.3)
    wait_idle(stack)
    whole = len(stack.direct(account).client("ec2", region).describe_security_groups()["SecurityGroups"])
    print(f"\n{counts(stack)} of {whole} groups")
    assert whole >= 60 and 1 <= counts(stack)["fixed"] <= whole // 10
    assert counts(stack)["fixed"] + counts(stack)["parked"] == len(groups)
    assert len(effects(stack)) == counts(stack)["fixed"]


def state_of(stack, scope):
    """Of a breaker, as `parapet breaker list` has it; one that is not listed is closed."""
    listed = json.loads(stack.parapet("breaker", "list", "--output", "json", check=True).stdout)
    return next((one["state"] for one in listed if one["scope"] == scope), "closed")
