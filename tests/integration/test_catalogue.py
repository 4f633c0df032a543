"""The catalogue on the stack: each guardrail finds what is broken, by event and by sweep, fixes it, verifies the fix, and
leaves the right twin alone; a dev account only hears of it; what the journal holds as inverse brings the old state back.

One stack serves all rows.  A row breaks something in the prod account and in the dev account, and makes the nearly same,
but right, thing in a second prod account, in which nothing may then happen at all."""

import dataclasses
import itertools
import json
import re
import time
from typing import Callable

import pytest
from botocore import xform_name
from stack.environment import Stack

PROD, TWIN, DEV = "000000000101", "000000000102", "000000000103"
REGION, GLOBAL = "eu-west-1", "us-east-1"
KNOWN = "203.0.113.0/24"
_numbers = itertools.count(1)


@dataclasses.dataclass
class Row:
    guardrail: str
    make: Callable  # (client(service), bad) → id of the resource; bad: as the guardrail finds it, else the right twin
    broken: Callable  # (client(service), id) → is it as the guardrail finds it?
    region: str = REGION
    fixes: bool = True  # False: people are told, in every environment
    old: bool = False  # what is made is made 120 days ago

    def __str__(self):
        return f"{self.guardrail}-{self.make.__name__}"


# ---- security groups ----


def _group(client, permission):
    ec2 = client("ec2")
    group = ec2.create_security_group(GroupName=f"catalogue-{next(_numbers)}", Description="catalogue")["GroupId"]
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])
    return group


def _ingress(client, group):
    found = client("ec2").describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])
    return [rule for rule in found["SecurityGroupRules"] if not rule["IsEgress"]]


def _tcp(first, last, cidr):
    return {"IpProtocol": "tcp", "FromPort": first, "ToPort": last, "IpRanges": [{"CidrIp": cidr}]}


def remote_desktop(client, bad):
    return _group(client, _tcp(3389, 3389, "0.0.0.0/0" if bad else "10.0.0.0/8"))


def database_port(client, bad):
    return _group(client, _tcp(5400, 5500, "0.0.0.0/0") if bad else _tcp(5433, 5500, "0.0.0.0/0"))


def from_everywhere(port):
    return lambda client, group: any(
        rule["FromPort"] <= port <= rule["ToPort"] and rule.get("CidrIpv4") == "0.0.0.0/0" for rule in _ingress(client, group)
    )


def everything_inside(client, bad):
    return _group(client, {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]} if bad else _tcp(443, 443, "10.0.0.0/8"))


def everything_is_open(client, group):
    return any(rule["IpProtocol"] == "-1" for rule in _ingress(client, group))


# ---- EC2 ----


def instance(client, bad):
    options = {"HttpTokens": "optional" if bad else "required", "HttpEndpoint": "enabled", "HttpPutResponseHopLimit": 2}
    made = client("ec2").run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1, MetadataOptions=options)
    return made["Instances"][0]["InstanceId"]


def _options(client, one):
    return client("ec2").describe_instances(InstanceIds=[one])["Reservations"][0]["Instances"][0]["MetadataOptions"]


def tokens_are_optional(client, one):
    options = _options(client, one)
    assert options["HttpPutResponseHopLimit"] == 2 and options["HttpEndpoint"] == "enabled", options
    return options["HttpTokens"] != "required"


def encryption_default(client, bad):
    client("ec2").enable_ebs_encryption_by_default()
    if bad:
        client("ec2").disable_ebs_encryption_by_default()
    return "ebs-defaults"


def default_is_off(client, _):
    return not client("ec2").get_ebs_encryption_by_default()["EbsEncryptionByDefault"]


def _volume(client, encrypted):
    return client("ec2").create_volume(AvailabilityZone=f"{REGION}a", Size=1, Encrypted=encrypted)["VolumeId"]


def volume(client, bad):
    return _volume(client, not bad)


def volume_is_clear(client, one):
    return not client("ec2").describe_volumes(VolumeIds=[one])["Volumes"][0]["Encrypted"]


def snapshot(client, bad):
    one = client("ec2").create_snapshot(VolumeId=_volume(client, True))["SnapshotId"]
    whom = {"GroupNames": ["all"]} if bad else {"UserIds": ["222222222222"]}
    client("ec2").modify_snapshot_attribute(
        SnapshotId=one, Attribute="createVolumePermission", OperationType="add", **whom
    )
    return one


def snapshot_is_public(client, one):
    found = client("ec2").describe_snapshot_attribute(SnapshotId=one, Attribute="createVolumePermission")
    return {"Group": "all"} in found["CreateVolumePermissions"]


def image(client, bad):
    ec2 = client("ec2")
    machine = ec2.run_instances(
        ImageId="ami-12c6146b", MinCount=1, MaxCount=1, MetadataOptions={"HttpTokens": "required", "HttpEndpoint": "enabled"}
    )
    one = ec2.create_image(InstanceId=machine["Instances"][0]["InstanceId"], Name=f"catalogue-{next(_numbers)}")["ImageId"]
    whom = {"Group": "all"} if bad else {"UserId": "222222222222"}
    ec2.modify_image_attribute(ImageId=one, LaunchPermission={"Add": [whom]})
    return one


def image_is_public(client, one):
    return client("ec2").describe_images(ImageIds=[one])["Images"][0]["Public"]


def database(client, bad):
    name = f"catalogue-{next(_numbers)}"
    client("rds").create_db_instance(
        DBInstanceIdentifier=name, DBInstanceClass="db.t3.micro", Engine="postgres", AllocatedStorage=20,
        MasterUsername="ann", MasterUserPassword="not-a-secret-1", PubliclyAccessible=bad,
    )  # fmt: skip
    return name


def database_is_public(client, one):
    return client("rds").describe_db_instances(DBInstanceIdentifier=one)["DBInstances"][0]["PubliclyAccessible"]


# ---- IAM ----


def access_key(client, bad):
    """The stack's clock for it stands 120 days back; the twin's is used now."""
    user = f"user-{next(_numbers)}"
    client("iam").create_user(UserName=user)
    key = client("iam").create_access_key(UserName=user)["AccessKey"]["AccessKeyId"]
    # A second time switched on: that is the event of this guardrail.
    client("iam").update_access_key(UserName=user, AccessKeyId=key, Status="Inactive" if not bad else "Active")
    return user


def key_is_active(client, user):
    return any(key["Status"] == "Active" for key in client("iam").list_access_keys(UserName=user)["AccessKeyMetadata"])


def _user_with_password(client):
    user = f"user-{next(_numbers)}"
    client("iam").create_user(UserName=user)
    return user


def console_user(client, bad):
    user = _user_with_password(client)
    if not bad:
        device = client("iam").create_virtual_mfa_device(VirtualMFADeviceName=user)["VirtualMFADevice"]["SerialNumber"]
        codes = {"AuthenticationCode1": "123456", "AuthenticationCode2": "654321"}
        client("iam").enable_mfa_device(UserName=user, SerialNumber=device, **codes)
    client("iam").create_login_profile(UserName=user, Password="not-a-secret-1A!")
    return user


def nothing_asks_for_a_second_factor(client, user):
    names = client("iam").list_user_policies(UserName=user)["PolicyNames"]
    return not client("iam").list_mfa_devices(UserName=user)["MFADevices"] and names == []


def powerful_instance(client, bad):
    name, iam = f"role-{next(_numbers)}", client("iam")
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=_policy({"Service": "ec2.amazonaws.com"}, "sts:AssumeRole"))
    action = {"NotAction": ["iam:*", "organizations:*"]} if bad else {"Action": "s3:*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": "*", **action}]})
    arn = iam.create_policy(PolicyName=name, PolicyDocument=document)["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=name, PolicyArn=arn)
    profile = iam.create_instance_profile(InstanceProfileName=name, Path="/web/")["InstanceProfile"]["Arn"]
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    made = client("ec2").run_instances(
        ImageId="ami-12c6146b", MinCount=1, MaxCount=1, IamInstanceProfile={"Arn": profile},
        MetadataOptions={"HttpTokens": "required", "HttpEndpoint": "enabled"},
    )  # fmt: skip
    return made["Instances"][0]["InstanceId"]


def has_power(client, one):
    machine = client("ec2").describe_instances(InstanceIds=[one])["Reservations"][0]["Instances"][0]
    name = machine["IamInstanceProfile"]["Arn"].rsplit("/", 1)[1]
    arn = client("iam").list_attached_role_policies(RoleName=name)["AttachedPolicies"][0]["PolicyArn"]
    document = client("iam").get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]["Document"]
    return "NotAction" in document["Statement"][0]


# ---- resource policies ----


def _policy(principal, action, **more):
    statement = {"Sid": "a", "Effect": "Allow", "Principal": principal, "Action": action, "Resource": "*", **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _open_policy(action, bad, resource="*"):
    more = {} if bad else {"Condition": {"StringEquals": {"aws:SourceAccount": TWIN}}}
    return _policy("*", action, Resource=resource, **more)


def _is_open(text):
    return any(s["Principal"] in ("*", {"AWS": "*"}) and not s.get("Condition") for s in json.loads(text)["Statement"])


def _bucket(client):
    name = f"catalogue-{next(_numbers)}"
    client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    return name


def bucket_policy(client, bad):
    name = _bucket(client)
    client("s3").put_bucket_policy(Bucket=name, Policy=_open_policy("s3:GetObject", bad, f"arn:aws:s3:::{name}/*"))
    return name


def bucket_policy_is_open(client, name):
    return _is_open(client("s3").get_bucket_policy(Bucket=name)["Policy"])


def bucket_acl(client, bad):
    name = _bucket(client)
    client("s3").put_bucket_acl(Bucket=name, ACL="public-read" if bad else "private")
    return name


def bucket_acl_is_open(client, name):
    grants = client("s3").get_bucket_acl(Bucket=name)["Grants"]
    assert [grant for grant in grants if grant["Permission"] == "FULL_CONTROL"], "the owner keeps the bucket"
    return any(grant["Grantee"].get("URI", "").endswith("/AllUsers") for grant in grants)


def key(client, bad):
    one = client("kms").create_key()["KeyMetadata"]["KeyId"]
    policy = json.loads(_policy({"AWS": "*"} if bad else {"AWS": f"arn:aws:iam::{TWIN}:root"}, "kms:*"))
    client("kms").put_key_policy(KeyId=one, PolicyName="default", Policy=json.dumps(policy))
    return one


def key_is_open(client, one):
    return _is_open(client("kms").get_key_policy(KeyId=one, PolicyName="default")["Policy"])


def topic(client, bad):
    arn = client("sns").create_topic(Name=f"catalogue-{next(_numbers)}")["TopicArn"]
    client("sns").set_topic_attributes(
        TopicArn=arn, AttributeName="Policy", AttributeValue=_open_policy("sns:Publish", bad, arn)
    )
    return arn


def topic_is_open(client, arn):
    return _is_open(client("sns").get_topic_attributes(TopicArn=arn)["Attributes"]["Policy"])


# ---- monitoring ----


def _trail(client, name):
    client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    client("cloudtrail").create_trail(Name=name, S3BucketName=name, IsMultiRegionTrail=True)
    client("cloudtrail").start_logging(Name=name)
    return name


def trail(client, bad):
    name = _trail(client, f"catalogue-{next(_numbers)}")
    if bad:
        client("cloudtrail").stop_logging(Name=name)
    return name


def trail_stands_still(client, name):
    return not client("cloudtrail").get_trail_status(Name=name)["IsLogging"]


def last_trail(client, bad):
    found = client("cloudtrail").describe_trails()["trailList"]
    names = [one["Name"] for one in found] or [_trail(client, f"catalogue-{next(_numbers)}")]
    for name in names if bad else []:
        client("cloudtrail").delete_trail(Name=name)
    return "trails"


def no_trail_is_left(client, _):
    return client("cloudtrail").describe_trails()["trailList"] == []


def _detector(client):
    found = client("guardduty").list_detectors()["DetectorIds"]
    return found[0] if found else client("guardduty").create_detector(Enable=True)["DetectorId"]


def suspended_detector(client, bad):
    client("guardduty").update_detector(DetectorId=_detector(client), Enable=not bad)
    return "guardduty"


def deleted_detector(client, bad):
    one = _detector(client)
    if bad:
        client("guardduty").delete_detector(DetectorId=one)
    return "guardduty"


def guardduty_is_off(client, _):
    found = client("guardduty").list_detectors()["DetectorIds"]
    return not found or client("guardduty").get_detector(DetectorId=found[0])["Status"] != "ENABLED"


ROWS = [
    Row("sensitive-ports-open-to-internet", remote_desktop, from_everywhere(3389)),
    Row("sensitive-ports-open-to-internet", database_port, from_everywhere(5432)),
    Row("all-ports-open-inside", everything_inside, everything_is_open),
    Row("instance-metadata-v1", instance, tokens_are_optional),
    Row("ebs-encryption-by-default", encryption_default, default_is_off),
    Row("volume-unencrypted", volume, volume_is_clear, fixes=False),
    Row("snapshot-public", snapshot, snapshot_is_public),
    Row("image-public", image, image_is_public),
    Row("database-public", database, database_is_public),
    Row("access-key-unused", access_key, key_is_active, GLOBAL, old=True),
    Row("console-user-without-mfa", console_user, nothing_asks_for_a_second_factor, GLOBAL),
    Row("instance-powerful", powerful_instance, has_power, fixes=False),
    Row("bucket-public", bucket_policy, bucket_policy_is_open),
    Row("bucket-public", bucket_acl, bucket_acl_is_open),
    Row("key-policy-public", key, key_is_open),
    Row("topic-policy-public", topic, topic_is_open),
    Row("trail-stopped", trail, trail_stands_still),
    Row("no-trail", last_trail, no_trail_is_left, fixes=False),
    Row("guardduty-off", suspended_detector, guardduty_is_off),
    Row("guardduty-off", deleted_detector, guardduty_is_off, GLOBAL),
]


# ---- the stack ----


@pytest.fixture(scope="module")
def cloud():
    accounts = [{"id": PROD, "environment": "prod"}, {"id": TWIN, "environment": "prod"}, {"id": DEV, "environment": "dev"}]
    with Stack(accounts=accounts, regions=[REGION, GLOBAL], guardrails=None, faketime=True) as stack:
        stack.start_worker(patience="1s,4s", **{"breaker.account_actions": 0, "breaker.organization_actions": 0})
        stack.start_collector(**{"sqs.wait": "1s"})
        yield stack
        assert all(program.running() for program in stack.programs)


@pytest.fixture
def events(cloud, request):
    """Whether the event, or a sweep, is to tell."""
    cloud.tap.events(on=request.param)
    yield request.param
    cloud.tap.events(on=True)


def seen(stack, row):
    """{(account, resource): [statuses of its findings]} of the row's guardrail"""
    found = {}
    for message in stack.topic("parapet.findings"):
        record = message["value"]
        if record["guardrail"] == row.guardrail:
            found.setdefault((record["account"], record["resource"]), []).append(record["status"])
    return found


def sweep(stack, row):
    kind = json.loads(json.dumps(RESOURCES[row.guardrail]))
    now = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
    requests = []
    for account in (PROD, TWIN, DEV):
        body = {
            "kind": "sweep", "id": f"{now}/{next(_numbers)}", "tick": now, "resource": kind, "account": account,
            "region": row.region, "guardrails": [row.guardrail],
        }  # fmt: skip
        requests.append((f"{account}/{row.region}", body))
    stack.produce("parapet.sweeps", requests)


def _resources():
    from stack.environment import ROOT

    kinds = {}
    for path in (ROOT / "worker" / "playbooks" / "guardrails").glob("*.yaml"):
        kinds[path.stem] = re.search(r"^resource: (\S+)$", path.read_text(), re.M).group(1)
    return kinds


RESOURCES = _resources()


def own_mutations(stack, since):
    return stack.mutations(since, role="arn:aws:iam::*:role/parapet-worker")


def make(stack, row):
    """{account: id} of what the row makes, by a stranger; the past is long ago where the row says so."""
    made = {}
    for account in (PROD, TWIN, DEV):
        caller = stack.stranger(account)
        if row.old:
            stack.moto_time("-120d")
            time.sleep(1.2)
        made[account] = row.make(lambda service, who=caller: who.client(service, row.region), account != TWIN)
    if row.old:
        stack.moto_time("+0d")
        time.sleep(1.2)
    return made


def actions(stack):
    return {message["value"]["action"] for message in stack.topic("parapet.actions")}


def undo(stack, row, account, earlier):
    """Makes the calls that the journal holds as inverses, the last first; not those of the earlier actions."""
    inverses = []
    for message in stack.topic("parapet.actions"):
        record = message["value"]
        if record["kind"] == "outcome" and record["guardrail"] == row.guardrail and record["account"] == account:
            if record["call"].get("outcome") == "applied" and record["action"] not in earlier:
                inverses.append((record["time"], record["call"]["sequence"], record["call"]["inverse"]))
    assert inverses
    for _, _, calls in sorted(inverses, key=lambda one: one[:2], reverse=True):
        for call in calls:
            service, operation = call["call"].split(".")
            getattr(stack.direct(account).client(service, row.region), xform_name(operation))(**call["with"])


def swept(stack):
    return stack.programs[0].metric("parapet_sweeps_total", outcome="done")


def add_exception(stack, row, resource):
    added = stack.parapet(
        "exceptions", "add", "--guardrail", row.guardrail, "--account", PROD, "--resource", resource,
        "--owner", "ann@example.com", "--reason", "undone", "--for", "1h", check=True,
    )  # fmt: skip
    return added.stdout.split()[0]


@pytest.mark.parametrize("events", [True, False], ids=["event", "sweep"], indirect=True)
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_guardrail(cloud, row, events):
    stack = cloud

    def client(account):
        return lambda service: stack.direct(account).client(service, row.region)

    earlier, mark = actions(stack), stack.tap.mark()
    before = seen(stack, row)
    made = make(stack, row)
    if row.old and events:  # the event that tells of an old key comes now
        for account in (PROD, DEV):
            iam = stack.stranger(account).client("iam", row.region)
            for key in iam.list_access_keys(UserName=made[account])["AccessKeyMetadata"]:
                iam.update_access_key(UserName=made[account], AccessKeyId=key["AccessKeyId"], Status="Active")
    if not events:
        assert row.broken(client(PROD), made[PROD])
        sweep(stack, row)
    wanted = "fixed" if row.fixes else "open"

    def news(account):
        key = (account, made[account])
        return seen(stack, row).get(key, [])[len(before.get(key, [])) :]

    stack.wait_until(lambda: wanted in news(PROD), 30, lambda: f"{wanted}: {seen(stack, row)}", 0.3)
    stack.wait_until(lambda: "open" in news(DEV), 30, lambda: f"dev open: {seen(stack, row)}", 0.3)
    # Verified by us as well; dev as it was; nothing done in the twin's account or in dev's.
    assert row.broken(client(PROD), made[PROD]) != row.fixes
    assert row.broken(client(DEV), made[DEV])
    assert not row.broken(client(TWIN), made[TWIN])
    assert news(TWIN) == []
    mine = own_mutations(stack, mark)
    assert {call["account"] for call in mine} == ({PROD} if row.fixes else set()), mine
    if not row.fixes:
        return

    # Once more: there is nothing left to do.
    def sweep_changes_nothing():
        done, mark = swept(stack), stack.tap.mark()
        sweep(stack, row)
        stack.wait_until(lambda: swept(stack) >= done + 3, 20, "the sweeps to end")
        assert own_mutations(stack, mark) == []

    sweep_changes_nothing()
    # Undone, under an exception: what was there is there again, and is left so while the exception holds.
    number = add_exception(stack, row, made[PROD])
    undo(stack, row, PROD, earlier)
    assert row.broken(client(PROD), made[PROD])
    sweep_changes_nothing()
    assert row.broken(client(PROD), made[PROD])
    stack.parapet("exceptions", "remove", number, check=True)
    sweep(stack, row)
    stack.wait_until(lambda: not row.broken(client(PROD), made[PROD]), 20, "the fix once the exception is gone", 0.3)
