"""Words of the language that only a whole stack can show: settle, retry, role and run, and a playbook that goes bad while
the worker runs."""

import pytest
import yaml
from spine import GUARDRAIL, HTTPS, SSH, assert_journal_closed, findings, start_collector, start_worker, statuses, wait_fixed, wait_idle
from stack import ROOT, permission

REGION = "eu-west-1"
CATALOGUE = ROOT / "worker" / "playbooks"


@pytest.fixture
def playbooks(stack, tmp_path):
    """A directory of playbooks that a test changes: {name: document}, written by its call."""
    kinds = {"group": CATALOGUE / "resources" / "ec2-security-group.yaml", "ssh": CATALOGUE / "guardrails" / f"{GUARDRAIL}.yaml"}
    documents = {name: yaml.safe_load(path.read_text()) for name, path in kinds.items()}

    def write(**more):
        for name, document in {**documents, **more}.items():
            text = document if isinstance(document, str) else yaml.safe_dump(document, sort_keys=False)
            (tmp_path / f"{name}.new").write_text(text)
            (tmp_path / f"{name}.new").rename(tmp_path / f"{name}.yaml")
        return tmp_path

    write.documents = documents
    return write


def stranger(stack):
    return stack.stranger(stack.ids[0]).client("ec2", REGION)


def opened(stack, group):
    stranger(stack).authorize_security_group_ingress(GroupId=group, IpPermissions=[SSH])


def test_a_new_resource_is_left_to_settle_and_never_forgotten(stack, playbooks):
    guardrail = playbooks.documents["ssh"]
    guardrail["settle"] = "10s"
    pattern = {"source": ["aws.ec2"], "detail": {"eventName": ["CreateSecurityGroup"], "errorCode": [{"exists": False}]}}
    guardrail["trigger"]["events"].append({"pattern": pattern, "ids": "detail.responseElements.groupId", "creates": True})
    start_worker(stack, playbooks=playbooks())
    start_collector(stack)
    mark = stack.tap.mark()
    group = stranger(stack).create_security_group(GroupName="young", Description="young")["GroupId"]
    stack.wait_until(lambda: stack.redis.client().zcard("parapet:v1:parked") == 1, 30, "the group is left to settle")
    opened(stack, group)
    wait_fixed(stack, [group], 60)
    calls = stack.calls(mark)
    created = next(call["time"] for call in calls if call["operation"] == "CreateSecurityGroup")
    first = min(call["time"] for call in stack.mutations(mark, role="*parapet-worker*"))
    assert first - created >= 9, first - created  # an event's time has whole seconds
    wait_idle(stack)
    assert stack.redis.client().zcard("parapet:v1:parked") == 0
    # One that is old is not waited for.
    old = stack.plant(stack.ids[0], REGION, [HTTPS])[0]
    opened(stack, old)
    wait_fixed(stack, [group, old], 8)


def test_a_step_assumes_its_role_and_waits_for_what_passes_with_time(stack, playbooks):
    """IAM's changes take a while to be known everywhere: what is denied at first is allowed in the end.  The change by the
    other role is recognised as our own."""
    guardrail = playbooks.documents["ssh"]
    revoke = guardrail["remediate"][0]["do"][1]
    assert revoke["call"] == "ec2.RevokeSecurityGroupIngress"
    revoke.update(role="network-hands", retry={"on": ["UnauthorizedOperation"], "for": "1m"})
    guardrail["trigger"]["events"][0]["pattern"]["detail"]["eventName"].append("RevokeSecurityGroupIngress")
    worker = start_worker(stack, playbooks=playbooks())
    start_collector(stack)
    group = stack.plant(stack.ids[0], REGION, [HTTPS])[0]
    stack.tap.fault({"operation": "RevokeSecurityGroupIngress"}, error="deny", count=3)
    mark = stack.tap.mark()
    opened(stack, group)
    wait_fixed(stack, [group], 60)
    revokes = [call for call in stack.calls(mark, operation="RevokeSecurityGroupIngress")]
    assert [call["status"] for call in revokes] == [403, 403, 403, 200]
    assert {call["role"].split("/")[-1] for call in revokes} == {"network-hands"}
    authorize = stack.calls(mark, operation="AuthorizeSecurityGroupIngress", role="*parapet-worker*")
    assert len(authorize) == 1 and authorize[0]["status"] == 200
    stack.wait_until(lambda: worker.metric("parapet_own_events_total") >= 2, 30, "both own events are recognised")
    wait_idle(stack)
    assert len(stack.mutations(mark)) == 3  # the stranger's and two of ours
    assert [record["status"] for record in findings(stack)[group]] == ["fixed"]
    assert_journal_closed(stack)


WORKFLOW = """
workflow: close-rules
version: 1
title: Takes rules away
inputs: {group: {type: text}, rules: {type: list}}
steps:
  - each: $inputs.rules
    as: gone
    do:
      - call: ec2.RevokeSecurityGroupIngress
        with: {GroupId: "${$inputs.group}", SecurityGroupRuleIds: ["${$gone.SecurityGroupRuleId}"]}
        undo:
          - call: ec2.AuthorizeSecurityGroupIngress
            with: {GroupId: "${$inputs.group}", IpPermissions: ["${rule_permission($gone)}"]}
tests:
  - {name: closes, with: {group: sg-1, rules: [{SecurityGroupRuleId: sgr-1}]}, expect: {calls: [{call: ec2.RevokeSecurityGroupIngress}]}}
"""


def test_a_guardrail_runs_a_workflow_in_the_same_action(stack, playbooks):
    playbooks.documents["ssh"]["remediate"] = [{"run": "close-rules", "with": {"group": "${$id}", "rules": "${$finding}"}}]
    directory = playbooks(workflow=WORKFLOW)
    start_worker(stack, playbooks=directory)
    start_collector(stack)
    group = stack.plant(stack.ids[0], REGION, [HTTPS])[0]
    stranger(stack).authorize_security_group_ingress(GroupId=group, IpPermissions=[SSH, permission("tcp", (22, 22), "::/0")])
    wait_fixed(stack, [group], 60)
    assert {rule["FromPort"] for rule in stack.rules(stack.ids[0], REGION, group)} == {443}
    calls = [m["value"]["call"] for m in stack.topic("parapet.actions") if m["value"]["kind"] == "outcome"]
    assert {call["path"] for call in calls} == {"/remediate/0/run/steps/0/do/0"}
    assert len({m["value"]["action"] for m in stack.topic("parapet.actions")}) == 1
    assert all(call["inverse"][0]["with"]["GroupId"] == group for call in calls) and len(calls) == 2
    assert_journal_closed(stack)


def test_a_playbook_that_goes_bad_is_refused_and_the_others_run_on(stack, playbooks):
    """Without a restart; the hash of the bundle in force is in every action."""
    other = yaml.safe_load(yaml.safe_dump(playbooks.documents["ssh"]))
    other.update(guardrail="other-port", params={**other["params"], "ports": [2222]}, tests=[
        {"name": "found", "resource": {"GroupId": "sg-1"}, "expect": "finding",
         "rules": [{"IsEgress": False, "IpProtocol": "tcp", "FromPort": 2222, "ToPort": 2222, "CidrIpv4": "0.0.0.0/0"}]},
        {"name": "not", "resource": {"GroupId": "sg-1"}, "rules": [], "expect": "nothing"},
    ])  # fmt: skip
    directory = playbooks(other=other)
    worker = start_worker(stack, **{"playbooks": directory, "playbooks.reload": "1s"})
    start_collector(stack)
    first = stack.plant(stack.ids[0], REGION, [HTTPS])[0]
    opened(stack, first)
    wait_fixed(stack, [first], 60)
    playbooks(other="guardrail: other-port\nversion: 1\n")
    stack.wait_until(lambda: "playbook refused" in worker.log_tail(200), 20, "the bad playbook is refused")
    stack.wait_until(lambda: "playbooks reloaded" in worker.log_tail(200), 20, "the others are reloaded")
    second = stack.plant(stack.ids[0], REGION, [HTTPS])[0]
    opened(stack, second)
    wait_fixed(stack, [first, second], 60)
    assert statuses(stack) == {first: "fixed", second: "fixed"}
    hashes = {}
    for message in stack.topic("parapet.actions"):
        hashes.setdefault(message["value"]["resource"], set()).add(message["value"]["bundle"])
    assert len(hashes[first]) == len(hashes[second]) == 1 and hashes[first] != hashes[second]
