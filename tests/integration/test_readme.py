"""README's "Add a guardrail", by the letter: its YAML, its commands, and a worker that is running already."""

import json
import re
import shlex

import pytest
from stack.cloud import permission
from stack.environment import ROOT, Stack

REGION = "eu-west-1"
NAME = "rdp-open-to-internet"


def section():
    text = (ROOT / "README.md").read_text()
    return re.search(r"(?ms)^## Add a guardrail$(.*?)^## ", text).group(1)


def block(kind):
    """The first code block of the section that is of this kind ("": of none)."""
    return next(text for name, text in re.findall(r"(?ms)^```(\w*)\n(.*?)^```$", section()) if name == kind)


@pytest.fixture(scope="module")
def cloud():
    with Stack(accounts=1, regions=[REGION]) as stack:
        yield stack


def test_a_guardrail_from_nothing_by_the_readme_alone(cloud, tmp_path):
    worker = cloud.start_worker(**{"playbooks.reload": "1s", "patience": "1s,3s"})
    cloud.start_collector(**{"sqs.wait": "1s"})
    account = cloud.ids[0]
    group = cloud.plant(account, REGION)[0]
    rdp = permission("tcp", (3389, 3389))

    # Written where the README says, below the directory of playbooks that the worker runs with.
    path = cloud.playbooks / "guardrails" / f"{NAME}.yaml"
    assert re.search(r"`worker/playbooks/guardrails/NAME\.yaml`", section())
    path.write_text(block("yaml"))

    # Its commands: all of them run, at the playbooks in question.
    commands = [shlex.split(line, comments=True) for line in block("").splitlines() if line.strip()]
    assert [words[1] for words in commands] == ["playbooks", "test", "playbooks", "explain", "match", "iam", "assess"]
    event = tmp_path / "event.json"  # which a newcomer gets from CloudTrail
    event.write_text(json.dumps({
        "id": "e-1", "source": "aws.ec2", "detail-type": "AWS API Call via CloudTrail", "account": account, "region": REGION,
        "time": "2026-01-01T00:00:00Z", "detail": {"eventName": "RunInstances", "awsRegion": REGION},
    }))  # fmt: skip
    for words in commands:
        done = cloud.parapet(*[event if word in ("event.json", "events.jsonl.gz") else word for word in words[1:]])
        assert done.returncode == 0, (words, done.stdout, done.stderr)

    # The running worker takes it up by itself, and finds.
    cloud.wait_until(lambda: "playbooks reloaded" in worker.log(), 20, "the worker to reload", 0.3)
    ec2 = cloud.stranger(account).client("ec2", REGION)
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rdp])

    def found():
        return [(m["value"]["guardrail"], m["value"]["resource"], m["value"]["status"]) for m in cloud.topic("parapet.findings")]

    cloud.wait_until(lambda: found() == [(NAME, group, "open")], 30, lambda: f"its finding: {found()}", 0.3)
