"""What reading costs, counted at the tap: guardrails share what they read, by event and by sweep."""

import json
import shutil

import pytest
from spine import HTTPS, ROLE_ARNS, SSH
from stack.cloud import in_threads
from stack.environment import ROOT, Stack

REGION = "eu-west-1"
PLAYBOOKS = ROOT / "tests" / "data" / "shared-reads"
GROUPS = 1000


@pytest.fixture(scope="module")
def cloud():
    """Eight guardrails on security groups, three of which an event matches; nobody changes anything."""
    with Stack(accounts=1, regions=[REGION]) as stack:
        shutil.copytree(PLAYBOOKS, stack.directory / "shared-reads")
        resources = ROOT / "worker" / "playbooks" / "resources"
        shutil.copy(resources / "ec2-security-group.yaml", stack.directory / "shared-reads")
        stack.playbooks = stack.directory / "shared-reads"
        yield stack


def reads(stack, mark):
    """Of the role that Parapet assumes in accounts; who it is, is asked of STS."""
    return {name: n for name, n in stack.tap.counts(mark, role=ROLE_ARNS).items() if not name.startswith("sts.")}


def plant_many(ec2):
    """By a client that tries again: so many calls at once are more than moto always takes."""

    def plant(number):
        made = ec2.create_security_group(GroupName=f"many-{number}", Description="planted")["GroupId"]
        ec2.authorize_security_group_ingress(GroupId=made, IpPermissions=[HTTPS])

    in_threads(plant, range(GROUPS), threads=4)


def test_an_event_that_three_guardrails_match_costs_one_describe_of_each_kind(cloud):
    account = cloud.ids[0]
    group = cloud.plant(account, REGION)[0]
    worker = cloud.start_worker(patience="60s")
    cloud.start_collector(**{"sqs.wait": "1s"})
    mark = cloud.tap.mark()
    ec2 = cloud.stranger(account).client("ec2", REGION)
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[SSH])
    cloud.wait_until(lambda: worker.metric("parapet_findings_total", status="open") == 3, 30, "three findings", 0.2)
    found = lambda: {m["value"]["guardrail"] for m in cloud.topic("parapet.findings")}  # noqa: E731
    cloud.wait_until(lambda: found() == {"shared-1", "shared-2", "shared-3"}, 20, found, 0.3)
    assert reads(cloud, mark) == {
        "ec2.DescribeSecurityGroups": 1, "ec2.DescribeSecurityGroupRules": 1, "ec2.DescribeNetworkInterfaces": 1,
    }  # fmt: skip
    cloud.stop_programs()


def test_a_sweep_of_1000_groups_by_8_guardrails_costs_the_pages_of_the_lists(cloud):
    account = cloud.ids[0]
    plant_many(cloud.direct(account).client("ec2", REGION))
    violating = cloud.plant(account, REGION, [SSH])
    mark = cloud.tap.mark()
    done = cloud.parapet("assess", "--output", "json", check=False)
    report = json.loads(done.stdout)
    assert report["resources"] >= GROUPS and report["unreadable"] == []
    # Every guardrail saw every group.
    assert {f["guardrail"] for f in report["findings"] if f["resource"] in violating} == {f"shared-{n}" for n in range(1, 9)}
    # moto answers each of these lists in one page, whatever is asked; AWS gives 1,000 groups or rules a page.  (A call that
    # a busy emulator cut off is made again; what was answered counts.)
    calls = [call for call in cloud.calls(mark, role=ROLE_ARNS, service="ec2") if call["status"] == 200]
    assert sorted((call["operation"], call.get("params", {}).get("NextToken")) for call in calls) == [
        ("DescribeNetworkInterfaces", None), ("DescribeSecurityGroupRules", None), ("DescribeSecurityGroups", None),
    ]  # fmt: skip


def test_more_guardrails_than_one_turn_has_room_for(cloud):
    """A turn looks for 32 guardrails at most; the others have the next one, and a reading of its own."""
    one = (PLAYBOOKS / "shared-1.yaml").read_text()
    for number in range(40):
        (cloud.playbooks / f"many-{number}.yaml").write_text(one.replace("shared-1", f"many-{number}"))
    group = cloud.plant(cloud.ids[0], REGION)[0]
    worker = cloud.start_worker(patience="60s")
    cloud.start_collector(**{"sqs.wait": "1s"})
    mark = cloud.tap.mark()
    cloud.stranger(cloud.ids[0]).client("ec2", REGION).authorize_security_group_ingress(GroupId=group, IpPermissions=[SSH])
    cloud.wait_until(lambda: worker.metric("parapet_findings_total", status="open") == 43, 30, "43 findings", 0.2)
    assert max(reads(cloud, mark).values()) == 2
    cloud.stop_programs()
