"""2,900 real CloudTrail records of simulated attacks (Stratus Red Team), replayed against an emulator in which what they
touched exists as far as moto can make it: which attack each guardrail caught, and that reading alone changes nothing.

What the records name is made in moto as it was right after the attack; ids that moto deals out are put into the records
in place of the real ones."""

import collections
import gzip
import json
import os
from pathlib import Path

import pytest
from spine import SSH, lag
from stack.environment import ROOT, Stack

ACCOUNT, REGION = "123837392027", "us-east-1"
DATA = Path(os.environ.get("PARAPET_REFERENCE_DATA") or ROOT.parent / "shared" / "data") / "cloudtrail" / "invictus"
KINDS = {"AwsServiceEvent": "AWS Service Event via CloudTrail", "AwsConsoleSignIn": "AWS Console Sign In via CloudTrail"}

# attack → (the records' event names, guardrails that catch it, why none does)
ATTACKS = {
    "sign in without a second factor": ("CreateLoginProfile ConsoleLogin", {"console-user-without-mfa"}, ""),
    "select nothing in a trail": ("PutEventSelectors", {"trail-weakened"}, ""),
    "delete the trails": ("DeleteTrail", {"no-trail"}, ""),
    "stop a trail": ("StopLogging", set(), "the calls failed"),
    "open port 22 to the Internet": ("AuthorizeSecurityGroupIngress", {"ssh-open-to-internet"}, ""),
    "start instances": ("RunInstances", {"instance-metadata-v1"}, ""),
    "make a volume": ("CreateVolume", {"volume-unencrypted"}, ""),
    "share an image with an account": ("ModifyImageAttribute", set(), "shared with an account, not public"),
    "share a snapshot with an account": ("ModifySnapshotAttribute", set(), "shared with an account, not public"),
    "share a database snapshot with an account": ("ModifyDBSnapshotAttribute", set(), "shared with an account, not public"),
    "let another account into a bucket": ("PutBucketPolicy", set(), "one account, not everybody"),
    "a key for another user": ("CreateAccessKey", set(), "a new key is no finding"),
    "trust another account in a role": ("UpdateAssumeRolePolicy", set(), "no guardrail looks at trust"),
    "delete flow logs": ("DeleteFlowLogs", set(), "no guardrail looks at flow logs"),
    "leave the organization": ("LeaveOrganization", set(), "the call failed"),
}  # fmt: skip


def records():
    found = []
    for path in sorted((DATA / "CloudTrail").iterdir()):
        text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        found += json.loads(text)["Records"]
    return sorted(found, key=lambda record: record["eventTime"])


def enveloped(record):
    """As EventBridge hands it on."""
    return {
        "version": "0", "id": record["eventID"], "detail-type": KINDS.get(record["eventType"], "AWS API Call via CloudTrail"),
        "source": "aws." + record["eventSource"].partition(".")[0], "account": record["recipientAccountId"],
        "time": record["eventTime"], "region": record["awsRegion"], "resources": [], "detail": record,
    }  # fmt: skip


def make_cloud(stack, found):
    """What the records name, as the attacks left it; {real id: moto's}."""
    client, ids = stack.direct(ACCOUNT).client, {}
    ec2, iam, s3, trails = client("ec2", REGION), client("iam"), client("s3", REGION), client("cloudtrail", REGION)
    for record in (record for record in found if not record.get("errorCode")):
        asked, got = record.get("requestParameters") or {}, record.get("responseElements") or {}
        name = record["eventName"]
        if name == "AuthorizeSecurityGroupIngress" and asked["groupId"] not in ids:
            ids[asked["groupId"]] = stack.plant(ACCOUNT, REGION, [SSH])[0]
        elif name == "RunInstances":
            real = got["instancesSet"]["items"][0]["instanceId"]
            options = {"HttpTokens": "optional", "HttpEndpoint": "enabled"}
            made = ec2.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1, MetadataOptions=options)
            ids[real] = made["Instances"][0]["InstanceId"]
        elif name == "CreateVolume":
            ids[got["volumeId"]] = ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=1, Encrypted=False)["VolumeId"]
        elif name == "CreateSnapshot":
            made = ec2.create_snapshot(VolumeId=ids[asked["volumeId"]])["SnapshotId"]
            share = {"Attribute": "createVolumePermission", "OperationType": "add", "UserIds": ["012345678912"]}
            ec2.modify_snapshot_attribute(SnapshotId=made, **share)
            ids[got["snapshotId"]] = made
        elif name == "CreateUser":
            iam.create_user(UserName=asked["userName"])
        elif name == "CreateLoginProfile":
            iam.create_login_profile(UserName=asked["userName"], Password="not-a-secret-1A!")
        elif name == "CreateBucket":
            s3.create_bucket(Bucket=asked["bucketName"])
        elif name == "PutBucketPolicy":
            s3.put_bucket_policy(Bucket=asked["bucketName"], Policy=json.dumps(asked["bucketPolicy"]))
        elif name == "PutEventSelectors" and not asked["eventSelectors"][0]["includeManagementEvents"]:
            trails.create_trail(Name=asked["trailName"], S3BucketName=bucket_of(found, asked["trailName"]))
            nothing = {"ReadWriteType": "ReadOnly", "IncludeManagementEvents": False,
                       "DataResources": [{"Type": "AWS::S3::Object", "Values": []}]}  # fmt: skip
            trails.put_event_selectors(TrailName=asked["trailName"], EventSelectors=[nothing])
    return ids


def bucket_of(found, trail):
    made = next(r for r in found if r["eventName"] == "CreateTrail" and r["requestParameters"]["name"] == trail)
    return made["requestParameters"]["s3BucketName"]


def with_ids(record, ids):
    text = json.dumps(enveloped(record))
    for real, moto in ids.items():
        text = text.replace(real, moto)
    return text


def own_mutations(stack):
    return stack.mutations(role="arn:aws:iam::*:role/parapet-worker")


@pytest.fixture(scope="module")
def cloud():
    if not DATA.exists():
        pytest.skip(f"the recorded attacks are not here: {DATA}")
    with Stack(accounts=[ACCOUNT], regions=[REGION], guardrails=None) as stack:
        unlimited = {"breaker.account_actions": 0, "breaker.organization_actions": 0}
        stack.start_worker(patience="1s,2s", **unlimited)
        stack.start_collector(**{"sqs.wait": "1s"})
        yield stack
        assert all(program.running() for program in stack.programs)


def replay(stack, bodies):
    stack.send(REGION, bodies)
    stack.wait_queues_empty(120)
    stack.wait_until(lambda: lag(stack) == 0, 120, lambda: f"no lag: {lag(stack)}", 0.5)


def table(caught):
    lines = [f"{'attack':<44}{'records':>8}  caught by"]
    for attack, (_, _, why) in ATTACKS.items():
        count, by = caught[attack]
        lines.append(f"{attack:<44}{count:>8}  {', '.join(sorted(by)) or '- ' + why}")
    return "\n".join(lines)


def test_which_attack_is_caught_and_that_reading_changes_nothing(cloud, capsys):
    stack, found = cloud, records()
    assert len(found) == 2900
    ids = make_cloud(stack, found)

    # The 2,326 records of reading come first, over a cloud full of violations: nothing of it is touched, or even found.
    reads = [record for record in found if record.get("readOnly")]
    assert len(reads) == 2326
    replay(stack, [with_ids(record, ids) for record in reads])
    assert own_mutations(stack) == [] and stack.topic("parapet.findings") == []
    assert stack.redis.client().zcard("parapet:v1:parked") == 0

    changes = [record for record in found if not record.get("readOnly")]
    replay(stack, [with_ids(record, ids) for record in changes])
    names = {record["eventID"]: record["eventName"] for record in changes}
    findings = [message["value"] for message in stack.topic("parapet.findings")]
    began = {message["value"]["trigger"] for message in stack.topic("parapet.actions") if "trigger" in message["value"]}
    # What was done was done because of a change, or of the sweep that one asked for.
    assert own_mutations(stack) and all(one in names or one.startswith("sweep") for one in began), began

    seen = collections.defaultdict(set)
    for finding in findings:
        if finding["status"] in ("open", "fixed"):
            seen[finding["guardrail"]].add(finding["resource"])
    caught = {}
    for attack, (events, guardrails, _) in ATTACKS.items():
        of = [record for record in changes if record["eventName"] in events.split()]
        caught[attack] = len(of), {guardrail for guardrail in guardrails if guardrail in seen}
    with capsys.disabled():
        print("\n" + table(caught))
        print(f"{len(found)} records: {len(findings)} findings told, {len(own_mutations(stack))} calls changed something")
    assert {attack: by for attack, (_, by) in caught.items()} == {attack: by for attack, (_, by, _) in ATTACKS.items()}
    # Each of what exists is found, none of what is only shared; and what could be put right is.
    users = {r["requestParameters"]["userName"] for r in changes if r["eventName"] == "CreateLoginProfile"}
    assert seen["console-user-without-mfa"] == users
    assert "snapshot-public" not in seen and "bucket-public" not in seen and "image-public" not in seen
    group = next(moto for real, moto in ids.items() if real.startswith("sg-"))
    assert not [rule for rule in stack.rules(ACCOUNT, REGION, group) if rule.get("CidrIpv4") == "0.0.0.0/0"]
