"""Undo: an action, or all of a range, is taken back; what somebody changed since is left alone, and told."""

import json
import os
import threading

from spine import GUARDRAIL, HTTPS, SSH, findings, lag, own_mutations, start_worker, statuses, sweep, wait_fixed
from stack import permission
from stack.cloud import in_threads

MANY = int(os.environ.get("PARAPET_UNDO_ACTIONS") or 100)
NAMES = ("SecurityGroupRuleId", "SecurityGroupRuleArn")  # what AWS chooses anew


def image(stack, place):
    """The group and its rules as boto3 shows them, without the names that AWS gives to rules; order says nothing."""
    account, region, group = place
    client = stack.direct(account).client("ec2", region)
    resource = client.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
    rules = client.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])["SecurityGroupRules"]
    bare = [{key: value for key, value in rule.items() if key not in NAMES} for rule in rules]
    return json.dumps([ordered(resource), ordered(bare)], sort_keys=True)


def ordered(value):
    if isinstance(value, dict):
        return {key: ordered(member) for key, member in value.items()}
    if isinstance(value, list):
        return sorted((ordered(member) for member in value), key=lambda member: json.dumps(member, sort_keys=True))
    return value


def actions(stack, *more):
    """{resource: the action} as `parapet actions list` shows them."""
    listed = json.loads(stack.parapet("actions", "list", "--limit", "10000", "--output", "json", *more, check=True).stdout)
    return {action["resource"]: action for action in listed}


def undo(stack, *words, check=True, timeout=300):
    done = stack.parapet("undo", *words, "--reason", "a test", "--output", "json", timeout=timeout)
    if check:
        assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout) if done.stdout else done.stderr


def wait_done(stack):
    """Until all messages are finished; no collector brings new ones."""
    stack.wait_until(lambda: lag(stack) == 0, 60, lambda: f"no lag: {lag(stack)}", 0.3)


def test_undo_restores_every_field_and_the_next_sweep_leaves_it(stack):
    account, region = stack.ids[0], "eu-west-1"
    group = stack.plant(account, region, [HTTPS, permission("tcp", (0, 65535))])[0]
    place = (account, region, group)
    client = stack.direct(account).client("ec2", region)
    for rule in stack.rules(*place):  # descriptions come back, too
        if rule["FromPort"] == 0:
            client.update_security_group_rule_descriptions_ingress(
                GroupId=group, SecurityGroupRuleDescriptions=[{"SecurityGroupRuleId": rule["SecurityGroupRuleId"], "Description": "mine"}]
            )
    before = image(stack, place)
    start_worker(stack)
    sweep(stack, [(account, region)])
    wait_fixed(stack, [group], 60)
    assert image(stack, place) != before
    action = actions(stack)[group]
    assert action["guardrail"] == GUARDRAIL and action["status"] == "fixed"
    shown = json.loads(stack.parapet("actions", "show", action["action"], check=True).stdout)
    assert shown["before"]["resource"]["GroupId"] == group and len(shown["calls"]) == 4 and "after" in shown

    mark = stack.tap.mark()
    planned = undo(stack, action["action"], "--dry-run")
    assert planned["counts"] == {"planned": 1} and own_mutations(stack, mark) == []
    assert stack.parapet("exceptions", "list", "--output", "json", check=True).stdout.strip() == "[]"

    assert undo(stack, action["action"], "--for", "2h")["counts"] == {"undone": 1}
    assert image(stack, place) == before
    # Reverse order: what was revoked last came back first.
    assert [call["operation"] for call in own_mutations(stack, mark)] == ["AuthorizeSecurityGroupIngress"] + [
        "RevokeSecurityGroupIngress"
    ] * 3
    held = json.loads(stack.parapet("exceptions", "list", "--output", "json", check=True).stdout)
    assert len(held) == 1 and held[0]["guardrail"] == GUARDRAIL and held[0]["resource"].endswith(group)
    assert statuses(stack)[group] == "excepted"

    mark = stack.tap.mark()
    sweep(stack, [(account, region)])
    wait_done(stack)
    assert own_mutations(stack, mark) == [] and image(stack, place) == before
    assert "undone" in findings(stack)[group][-2]["note"] and statuses(stack)[group] == "excepted"

    again = undo(stack, action["action"], check=False)
    assert again["counts"] == {"refused": 1} and "undone at" in again["actions"][0]["reason"]
    assert actions(stack)[group]["undone"]["by"].startswith("unproven:")
    records = [m["value"] for m in stack.topic("parapet.actions")]
    assert [r["verb"] for r in records if r["kind"] == "operator"] == ["undo"] * 3
    own = [r for r in records if r.get("undoes") == action["action"]]
    assert {r["kind"] for r in own} == {"intent", "outcome", "result", "verified"}
    assert own[-1]["status"] == "restored"


def test_undo_of_many_refuses_just_those_changed_since_and_says_what(stack):
    account = stack.ids[1]
    changed_count = max(4, MANY // 25)
    places = stack.plant_everywhere([HTTPS, SSH], MANY, [account], ["eu-west-1", "us-east-1"])
    images = dict(zip(places, in_threads(lambda place: image(stack, place), places)))
    start_worker(stack)
    sweep(stack, [(account, "eu-west-1"), (account, "us-east-1")])
    wait_fixed(stack, [group for _, _, group in places], 240)
    wait_done(stack)
    changed = places[:: MANY // changed_count][:changed_count]
    for n, (owner, region, group) in enumerate(changed):
        client = stack.stranger(owner).client("ec2", region)
        if n % 2:
            client.create_tags(Resources=[group], Tags=[{"Key": "team", "Value": "blue"}])
        else:
            client.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission("tcp", (8080, 8080))])
    touched = {place: image(stack, place) for place in changed}

    done = undo(stack, "--guardrail", GUARDRAIL, "--account", account, "--since", "2h", check=False)
    assert done["counts"] == {"undone": MANY - len(changed), "refused": len(changed)}
    refused = {one["resource"]: one for one in done["actions"] if one["outcome"] == "refused"}
    assert set(refused) == {group for _, _, group in changed}
    for n, place in enumerate(changed):
        told = json.dumps(refused[place[2]])
        assert "changed since" in told and ("team" if n % 2 else "8080") in told
    after = dict(zip(places, in_threads(lambda place: image(stack, place), places)))
    wrong = [place for place in places if after[place] != (touched[place] if place in touched else images[place])]
    assert not wrong, f"{len(wrong)} are not what they were: {after[wrong[0]]} {images[wrong[0]]}"
    excepted = json.loads(stack.parapet("exceptions", "list", "--output", "json", check=True).stdout)
    assert len(excepted) == MANY - len(changed)


def test_an_undo_that_its_worker_did_not_survive_is_finished_by_another(stack):
    account, region = stack.ids[0], "eu-west-1"
    group = stack.plant(account, region, [HTTPS, permission("tcp", (0, 65535))])[0]
    place = (account, region, group)
    before = image(stack, place)
    first = start_worker(stack)
    sweep(stack, [(account, region)])
    wait_fixed(stack, [group], 60)
    wait_done(stack)
    action = actions(stack)[group]["action"]
    # Its second call hangs; killed in it, nobody knows whether it was made.
    stack.tap.fault({"service": "ec2", "operation": "RevokeSecurityGroupIngress"}, delay_ms=30000, count=1)
    mark = stack.tap.mark()
    answers = []
    asker = threading.Thread(target=lambda: answers.append(undo(stack, action)))
    asker.start()
    stack.wait_until(lambda: own_mutations(stack, mark), 30, "the undo's first call")
    stack.wait_until(lambda: "sequence\":2" in "".join(stack.redis.client().hvals("parapet:v1:intents")), 10, "its second")
    first.kill()
    start_worker(stack)
    asker.join(120)
    assert answers and answers[0]["counts"] == {"undone": 1}
    assert image(stack, place) == before


def test_undo_needs_no_redis_that_remembers(stack):
    account, region = stack.ids[0], "eu-west-1"
    group = stack.plant(account, region, [HTTPS, SSH])[0]
    place = (account, region, group)
    before = image(stack, place)
    start_worker(stack)
    sweep(stack, [(account, region)])
    wait_fixed(stack, [group], 60)
    wait_done(stack)
    stack.redis.client().flushall()
    action = stack.wait_until(lambda: actions(stack).get(group), 60, "the action, from the topic", 1)
    assert action is None or action["status"] == "fixed"
    assert undo(stack, "--account", account, "--since", "1h")["counts"] == {"undone": 1}
    assert image(stack, place) == before
    assert undo(stack, "--account", account, "--since", "1h")["counts"] == {}


def test_a_stop_stops_undo_and_its_lane_has_its_own_limit(stack):
    account, region = stack.ids[0], "eu-west-1"
    groups = stack.plant(account, region, [HTTPS, SSH], count=3)
    start_worker(stack, **{"breaker.undo_actions": 2})
    sweep(stack, [(account, region)])
    wait_fixed(stack, groups, 60)
    wait_done(stack)
    mark = stack.tap.mark()
    stack.parapet("stop", "--reason", "incident", check=True)
    refused = undo(stack, "--guardrail", GUARDRAIL, "--since", "1h", check=False)
    assert refused["counts"] == {"refused": 3} and "stopped" in refused["actions"][0]["reason"]
    assert own_mutations(stack, mark) == []
    stack.parapet("resume", check=True)
    done = undo(stack, "--guardrail", GUARDRAIL, "--since", "1h", check=False)
    assert done["counts"] == {"undone": 2, "refused": 1}
    held = [one for one in done["actions"] if one["outcome"] == "refused"][0]
    assert 'breaker "undo" is open' in held["reason"]
    stack.parapet("breaker", "reset", "undo", check=True)
    assert undo(stack, held["action"])["counts"] == {"undone": 1}


def test_what_cannot_be_asked_for_is_said(stack):
    assert "--reason is missing" in stack.parapet("undo", "a-1").stderr
    assert "which action?" in stack.parapet("undo", "--reason", "x").stderr
    assert "--since is a time" in stack.parapet("undo", "--since", "yesterday", "--account", "1", "--reason", "x").stderr
    start_worker(stack)
    unknown = undo(stack, "a-nobody", check=False)
    assert unknown["counts"] == {"refused": 1} and "no action a-nobody" in unknown["actions"][0]["reason"]
    assert "which actions?" in undo(stack, "--since", "1h", check=False)
