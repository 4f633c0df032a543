"""A fight: a script that opens the rule again after every fix is left alone after some rounds, and named."""

from spine import (
    GUARDRAIL, NARROW, SSH, assert_journal_closed, counts, effects, findings, open_to_internet,
    published, sns_topic, start_collector, start_worker, sweep, wait_fixed, wait_idle,
)  # fmt: skip

TERRAFORM = "APN/1.0 HashiCorp/1.0 Terraform/1.9.5 (+https://www.terraform.io) terraform-provider-aws/5.70.0"
ROUNDS = 3


def fixes(number):
    """The effects of so many fixes: the rule for the known range is made by the first, and is there already later."""
    return NARROW + NARROW[1:] * (number - 1)


def test_what_is_opened_again_after_every_fix_is_left_alone_and_named(stack):
    account, region = stack.ids[0], "eu-west-1"
    group, other = stack.plant(account, region, count=2)
    topic = sns_topic(stack)
    start_collector(stack)
    start_worker(stack, patience="500ms,2s", **{"notice.sns_topic": topic, "notice.window": "2s", "fight.rounds": ROUNDS})
    opponent = stack.stranger(account).client("ec2", region, user_agent=TERRAFORM)

    def open_again():
        opponent.authorize_security_group_ingress(GroupId=group, IpPermissions=[SSH])

    def last():
        records = findings(stack).get(group, [])
        return [record["status"] for record in records]

    for number in range(1, ROUNDS + 1):
        open_again()
        stack.wait_until(lambda: last().count("fixed") == number, 60, lambda: f"round {number}: {last()}", 0.3)
        wait_idle(stack)
    open_again()
    stack.wait_until(lambda: last()[-1] == "fought", 60, lambda: f"a fight: {last()}", 0.3)
    note = findings(stack)[group][-1]["note"]
    for word in (f"fixed {ROUNDS} times", f"arn:aws:iam::{account}:user/mallory", "Terraform", "0.0.0.0/0", "fights reset"):
        assert word in note, (word, note)

    # Nothing more is done to it, whether an event or a sweep brings it up; other resources are still put right.
    opponent.revoke_security_group_ingress(GroupId=group, IpPermissions=[SSH])
    open_again()
    sweep(stack, [(account, region)])
    open_to_internet(stack, [(account, region, other)])
    wait_fixed(stack, [other], 60)
    wait_idle(stack)
    assert effects(stack) == {group: fixes(ROUNDS), other: NARROW}
    assert last()[-1] == "fought" and counts(stack) == {"fought": 1, "fixed": 1}
    assert_told_once(stack)

    listed = stack.parapet("fights", "list", check=True).stdout
    assert f"{GUARDRAIL}|" in listed and group in listed and "Terraform" in listed and "mallory" in listed
    subject = next(iter(stack.redis.client().hkeys("parapet:v1:fights:records")))
    stack.parapet("fights", "reset", subject, check=True)
    sweep(stack, [(account, region)])
    stack.wait_until(lambda: last()[-1] == "fixed", 60, lambda: f"fixed after the reset: {last()}", 0.3)
    assert effects(stack)[group] == fixes(ROUNDS + 1)
    assert_journal_closed(stack)


def assert_told_once(stack):
    """One notice says that it is fought over."""

    def told():
        return [text["Message"] for text in published(stack) if "fought" in text["Message"]]

    stack.wait_until(lambda: told(), 30, lambda: f"a notice: {published(stack)}", 0.5)
    assert len(told()) == 1, told()
    assert "Terraform" in told()[0]


def test_different_people_are_no_fight(stack):
    """Three administrators who each open it once: the fourth is put right as well."""
    account, region = stack.ids[0], "eu-west-1"
    (group,) = stack.plant(account, region)
    start_collector(stack)
    start_worker(stack, patience="500ms,2s", **{"fight.rounds": 2})
    people = [stack.stranger(account), stack.role_session(account, role="admin-a"), stack.role_session(account, role="admin-b")]
    for number, person in enumerate(people, 1):
        person.client("ec2", region).authorize_security_group_ingress(GroupId=group, IpPermissions=[SSH])
        stack.wait_until(
            lambda: [r["status"] for r in findings(stack).get(group, [])].count("fixed") == number, 60, f"round {number}", 0.3
        )
        wait_idle(stack)
    assert effects(stack) == {group: fixes(3)}
