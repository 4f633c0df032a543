"""Progressive enforcement: a version acts where it was let, and is a shadow elsewhere."""

import json

from spine import (
    GUARDRAIL, HTTPS, assert_narrowed_once, effects, findings, open_to_internet, own_mutations, start_collector, start_worker,
    statuses, sweep, wait_idle,
)  # fmt: skip


def set_stage(stack, stage, *more):
    stack.parapet("rollout", "set", GUARDRAIL, "--version", "1", "--stage", stage, *more, check=True)


def test_shadow_canary_units_all(stack):
    places = {account: stack.plant(account, "eu-west-1", [HTTPS])[0] for account in stack.ids}
    accounts = [dict(account) for account in stack.accounts]
    for number, account in enumerate(accounts):
        account["unit"] = "workloads/dev" if number == 1 else "workloads/prod"
        account["environment"] = "prod"
    stack.write_accounts(accounts)
    set_stage(stack, "shadow")
    start_collector(stack)
    start_worker(stack)
    groups = [(account, "eu-west-1", group) for account, group in places.items()]
    open_to_internet(stack, groups)
    stack.wait_until(lambda: set(statuses(stack).values()) == {"shadow"} and len(statuses(stack)) == len(groups), 60,
                     lambda: f"five shadows: {statuses(stack)}", 0.5)  # fmt: skip
    wait_idle(stack)
    assert effects(stack) == {} and own_mutations(stack) == []

    # It tells what it would have done, just as it does it later.
    first = places[stack.ids[0]]
    shadow = findings(stack)[first][-1]
    assert [call["call"].split(".")[1] for call in shadow["planned"]] == [
        "AuthorizeSecurityGroupIngress", "RevokeSecurityGroupIngress",
    ]  # fmt: skip
    assert all(call["with"]["GroupId"] == first for call in shadow["planned"])
    listed = json.loads(stack.parapet("findings", "--status", "shadow", "--output", "json", check=True).stdout)
    assert {row["resource"] for row in listed} == set(places.values()) and all(row["planned"] for row in listed)

    # Each stage lets in some more, and nobody else: the sweep finds them.
    stages = [
        (("canary", "--canaries", stack.ids[0]), {first}),
        (("units", "--canaries", stack.ids[0], "--units", "workloads/dev*"), {first, places[stack.ids[1]]}),
        (("all",), set(places.values())),
    ]
    for stage, fixed in stages:
        set_stage(stack, *stage)
        sweep(stack, [(account, "eu-west-1") for account in stack.ids])
        stack.wait_until(
            lambda fixed=fixed: {g for g, status in statuses(stack).items() if status == "fixed"} == fixed, 60,
            lambda: f"stage {stage}: {statuses(stack)}", 0.5,
        )  # fmt: skip
        wait_idle(stack)
        assert_narrowed_once(stack, fixed)
    made = [call for call in own_mutations(stack) if call["params"]["GroupId"] == first]
    assert [call["operation"] for call in made] == [call["call"].split(".")[1] for call in shadow["planned"]]


def test_a_rollout_survives_redis_and_a_newer_version_waits(stack):
    account = stack.ids[0]
    (group,) = stack.plant(account, "eu-west-1", [HTTPS])
    stack.parapet("rollout", "set", GUARDRAIL, "--version", "7", "--stage", "shadow", check=True)  # of a later version
    set_stage(stack, "shadow")
    stack.redis.client().flushall()
    start_collector(stack)
    start_worker(stack)
    open_to_internet(stack, [(account, "eu-west-1", group)])
    stack.wait_until(lambda: statuses(stack) == {group: "shadow"}, 60, lambda: f"a shadow: {statuses(stack)}", 0.5)
    assert effects(stack) == {}
    (row,) = json.loads(stack.parapet("rollout", "list", "--output", "json", check=True).stdout)
    assert (row["guardrail"], row["version"], row["stage"]) == (GUARDRAIL, 1, "shadow")
    # The record of version 7 says nothing against version 1, which acts as before.
    stack.parapet("rollout", "set", GUARDRAIL, "--version", "7", "--stage", "shadow", check=True)
    sweep(stack, [(account, "eu-west-1")])
    stack.wait_until(lambda: statuses(stack) == {group: "fixed"}, 60, lambda: f"fixed: {statuses(stack)}", 0.5)
    stack.parapet("rollout", "clear", GUARDRAIL, check=True)
    assert json.loads(stack.parapet("rollout", "list", "--output", "json", check=True).stdout) == []


def test_what_is_no_stage_is_refused(stack):
    for words, said in (
        (("--version", "1", "--stage", "everywhere"), "shadow, canary, units or all"),
        (("--stage", "all"), "--version is missing"),
        (("--version", "1", "--stage", "canary"), "needs --canaries"),
        (("--version", "1", "--stage", "canary", "--canaries", "prod"), "12 digits"),
        (("--version", "1", "--stage", "units"), "needs --units"),
    ):
        refused = stack.parapet("rollout", "set", GUARDRAIL, *words)
        assert refused.returncode == 2 and said in refused.stderr, refused.stderr
