"""The catalogue on the stack: each guardrail finds what is broken, by event and by sweep, fixes it, verifies the fix, and
leaves the right twin alone; a dev account only hears of it; what the journal holds as inverse brings the old state back.

One stack serves all rows.  A row breaks something in the prod account and in the dev account, and makes the nearly same,
but right, thing in a second prod account, in which nothing may then happen at all."""

import dataclasses
import http.client
import itertools
import json
import re
import shutil
import time
from typing import Callable

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from stack.environment import ROOT, Stack

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
    look: Callable = None  # (client(service), id) → all of it that the fix may change, for the comparison after the undo
    told: Callable = None  # (evidence of the finding, client(service), id) → does it tell what it should?

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


def ingress(client, group):
    """The rules without what is new each time: their ids, and the ARN that holds it."""
    rules = [{k: v for k, v in rule.items() if "SecurityGroupRule" not in k} for rule in _ingress(client, group)]
    return sorted(json.dumps(rule, sort_keys=True) for rule in rules)


def _tcp(first, last, cidr):
    return {"IpProtocol": "tcp", "FromPort": first, "ToPort": last, "IpRanges": [{"CidrIp": cidr}]}


def remote_desktop(client, bad):
    return _group(client, _tcp(3389, 3389, "0.0.0.0/0" if bad else "10.0.0.0/8"))


def database_port(client, bad):
    return _group(client, _tcp(5400, 5500, "0.0.0.0/0") if bad else _tcp(5433, 5500, "0.0.0.0/0"))


def described_rule(client, bad):
    """A rule with a description and tags, both of which an undo brings back."""
    ec2 = client("ec2")
    group = ec2.create_security_group(GroupName=f"catalogue-{next(_numbers)}", Description="catalogue")["GroupId"]
    source = {"CidrIp": "0.0.0.0/0" if bad else KNOWN, "Description": "for the migration"}
    ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 23, "IpRanges": [source]}],
        TagSpecifications=[{"ResourceType": "security-group-rule", "Tags": [{"Key": "ticket", "Value": "12"}]}],
    )
    return group


def _prefix_list(client, cidr):
    return client("ec2").create_managed_prefix_list(
        PrefixListName=f"catalogue-{next(_numbers)}", MaxEntries=5, AddressFamily="IPv4", Entries=[{"Cidr": cidr}]
    )["PrefixList"]  # fmt: skip


def _by_list(made):
    return {"IpProtocol": "tcp", "FromPort": 3389, "ToPort": 3389, "PrefixListIds": [{"PrefixListId": made["PrefixListId"]}]}


def prefix_list(client, bad):
    return _group(client, _by_list(_prefix_list(client, "128.0.0.0/1" if bad else KNOWN)))


def prefix_list_that_grew(client, bad):
    """The group is right when it is made; the list that it names is changed afterwards."""
    made = _prefix_list(client, KNOWN)
    group = _group(client, _by_list(made))
    client("ec2").modify_managed_prefix_list(
        PrefixListId=made["PrefixListId"], CurrentVersion=1, AddEntries=[{"Cidr": "0.0.0.0/0" if bad else "192.0.2.0/24"}]
    )
    return group


def from_a_prefix_list(client, group):
    """A list that holds the Internet, still or again."""
    lists = [rule["PrefixListId"] for rule in _ingress(client, group) if "PrefixListId" in rule]
    read = client("ec2").get_managed_prefix_list_entries
    return any(entry["Cidr"].endswith(("/0", "/1")) for one in lists for entry in read(PrefixListId=one)["Entries"])


def exposed_instance(client, bad):
    """An instance with a public address in a VPC that has a way to the Internet (moto's default VPC has none)."""
    ec2 = client("ec2")
    vpc = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"]
    main = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "association.main", "Values": ["true"]}]
    table = ec2.describe_route_tables(Filters=main)["RouteTables"][0]
    if not any("GatewayId" in route and route["GatewayId"].startswith("igw-") for route in table["Routes"]):
        gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
        ec2.create_route(RouteTableId=table["RouteTableId"], DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    group = ec2.create_security_group(GroupName=f"catalogue-{next(_numbers)}", Description="catalogue")["GroupId"]
    machine = ec2.run_instances(
        ImageId="ami-12c6146b", MinCount=1, MaxCount=1, SecurityGroupIds=[group],
        MetadataOptions={"HttpTokens": "required", "HttpEndpoint": "enabled"},
    )["Instances"][0]["InstanceId"]  # fmt: skip
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    ec2.associate_address(AllocationId=address, InstanceId=machine)
    ec2.authorize_security_group_ingress(
        GroupId=group, IpPermissions=[_tcp(3306, 3306, "0.0.0.0/0" if bad else "10.0.0.0/8")]
    )
    return group


def names_the_instance(evidence, client, group):
    found = client("ec2").describe_instances(Filters=[{"Name": "instance.group-id", "Values": [group]}])
    machine = found["Reservations"][0]["Instances"][0]
    reachable = evidence[0]["Reachable"][0]
    assert evidence[0]["Exposure"] == "reachable", evidence
    return (reachable["InstanceId"], reachable["Address"]) == (machine["InstanceId"], machine["PublicIpAddress"])


def says_not_attached(evidence, client, group):
    return [rule["Exposure"] for rule in evidence] == ["not attached"]


def two_halves_inside(client, bad):
    group = _group(client, _tcp(0, 32767, "10.0.0.0/8"))
    client("ec2").authorize_security_group_ingress(
        GroupId=group, IpPermissions=[_tcp(32768, 65535 if bad else 65534, "10.0.0.0/8")]
    )
    return group


def halves_are_open(client, group):
    return {32767, 65535} <= {rule["ToPort"] for rule in _ingress(client, group)}


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


def database_snapshot(client, bad):
    name = f"catalogue-{next(_numbers)}"
    client("rds").create_db_instance(
        DBInstanceIdentifier=name, DBInstanceClass="db.t3.micro", Engine="postgres", AllocatedStorage=20,
        MasterUsername="ann", MasterUserPassword="not-a-secret-1", PubliclyAccessible=False,
    )  # fmt: skip
    client("rds").create_db_snapshot(DBSnapshotIdentifier=name, DBInstanceIdentifier=name)
    client("rds").modify_db_snapshot_attribute(
        DBSnapshotIdentifier=name, AttributeName="restore", ValuesToAdd=["all" if bad else "222222222222"]
    )
    return name


def snapshot_may_be_restored_by_all(client, one):
    found = client("rds").describe_db_snapshot_attributes(DBSnapshotIdentifier=one)["DBSnapshotAttributesResult"]
    return any("all" in attribute["AttributeValues"] for attribute in found["DBSnapshotAttributes"])


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


def _instance_with_role(client, action, principal):
    name, iam = f"role-{next(_numbers)}", client("iam")
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=_policy(principal, "sts:AssumeRole"))
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


POWER = {"NotAction": ["iam:*", "organizations:*"]}


def powerful_instance(client, bad):
    return _instance_with_role(client, POWER if bad else {"Action": "s3:*"}, {"Service": "ec2.amazonaws.com"})


def powerful_shared_role(client, bad):
    """A function has the role as well: that is for people to sort out."""
    both = {"Service": ["ec2.amazonaws.com", "lambda.amazonaws.com"]}
    return _instance_with_role(client, POWER if bad else {"Action": "s3:*"}, both)


def has_power(client, one):
    machine = client("ec2").describe_instances(InstanceIds=[one])["Reservations"][0]["Instances"][0]
    name = machine["IamInstanceProfile"]["Arn"].rsplit("/", 1)[1]
    arn = client("iam").list_attached_role_policies(RoleName=name)["AttachedPolicies"][0]["PolicyArn"]
    document = client("iam").get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]["Document"]
    restricted = client("iam").list_role_policies(RoleName=name)["PolicyNames"]
    return "NotAction" in document["Statement"][0] and not restricted


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


def bucket(client, name):
    """What the fix may change: policy, access list, block."""
    s3, errors = client("s3"), client("s3").exceptions.ClientError

    def read(operation, key):
        try:
            return getattr(s3, operation)(Bucket=name)[key]
        except errors as error:
            return error.response["Error"]["Code"]

    policy = read("get_bucket_policy", "Policy")
    parsed = json.loads(policy) if policy.startswith("{") else policy
    return parsed, read("get_bucket_acl", "Grants"), read("get_public_access_block", "PublicAccessBlockConfiguration")


class AccountBlock:
    """The account's Block Public Access; boto3 would put the account's id before the host's name."""

    def __init__(self, url, account, key, secret):
        self.url, self.account, self.key = url, account, Credentials(key, secret)

    def call(self, method, body=""):
        headers = {"x-amz-account-id": self.account, "x-moto-account-id": self.account, "Host": self.url.split("//")[1]}
        request = AWSRequest(method, f"{self.url}/v20180820/configuration/publicAccessBlock", data=body, headers=headers)
        request.headers["x-amz-content-sha256"] = SigV4Auth(self.key, "s3", GLOBAL).payload(request)
        SigV4Auth(self.key, "s3", GLOBAL).add_auth(request)
        connection = http.client.HTTPConnection(self.url.split("//")[1], timeout=30)
        connection.request(method, "/v20180820/configuration/publicAccessBlock", body, dict(request.headers))
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        assert answer.status < 300 or answer.status == 404, text
        return text if answer.status < 300 else None

    def put(self, **flags):
        body = "".join(f"<{name}>{str(on).lower()}</{name}>" for name, on in flags.items())
        space = "http://awss3control.amazonaws.com/doc/2018-08-20/"
        self.call("PUT", f'<PublicAccessBlockConfiguration xmlns="{space}">{body}</PublicAccessBlockConfiguration>')

    def get(self):
        return self.call("GET")


FOUR = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


def account_block(client, bad):
    client("s3control").put(**{name: not bad or name != "RestrictPublicBuckets" for name in FOUR})
    return "account"


def no_account_block(client, bad):
    client("s3control").put(**dict.fromkeys(FOUR, True))
    if bad:
        client("s3control").call("DELETE")
    return "account"


def account_lets_the_public_in(client, _):
    return (client("s3control").get() or "").count(">true<") != 4


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


def _trail(client, bucket=True, **more):
    name = f"catalogue-{next(_numbers)}"
    client("s3", REGION).create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    settings = {"IsMultiRegionTrail": True, "EnableLogFileValidation": True, "IncludeGlobalServiceEvents": True, **more}
    client("cloudtrail", REGION).create_trail(Name=name, S3BucketName=name, **settings)
    client("cloudtrail", REGION).start_logging(Name=name)
    return name


def trail(client, bad):
    name = _trail(client)
    if bad:
        client("cloudtrail").stop_logging(Name=name)
    return name


def trail_stands_still(client, name):
    return not client("cloudtrail").get_trail_status(Name=name)["IsLogging"]


def trail_without_validation(client, bad):
    name = _trail(client)
    client("cloudtrail").update_trail(Name=name, EnableLogFileValidation=not bad)
    return name


def trail_of_writes(client, bad):
    name = _trail(client)
    selector = {
        "ReadWriteType": "WriteOnly" if bad else "All", "IncludeManagementEvents": True,
        "DataResources": [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3"]}],
    }  # fmt: skip
    client("cloudtrail").put_event_selectors(TrailName=name, EventSelectors=[selector])
    return name


def _described(client, name):
    """(moto gives all trails, whatever names are asked for)"""
    return next(one for one in client("cloudtrail").describe_trails()["trailList"] if one["Name"] == name)


def trail_state(client, name):
    trail = _described(client, name)
    return trail, client("cloudtrail").get_event_selectors(TrailName=name)["EventSelectors"]


def trail_leaves_something_out(client, name):
    trail, selectors = trail_state(client, name)
    whole = trail["LogFileValidationEnabled"] and trail["IncludeGlobalServiceEvents"]
    return not whole or any(selector["ReadWriteType"] != "All" for selector in selectors)


METRICS = ("RootUsed", "TrailChanged", "SignInWithoutMFA")


def _trail_with_alarms(client):
    """A trail whose log group is watched as it should be."""
    group, client = f"catalogue-{next(_numbers)}", client.quietly
    logs, alarms, sns = client("logs"), client("cloudwatch"), client("sns")
    for old in client("cloudtrail").describe_trails(includeShadowTrails=False)["trailList"]:
        client("cloudtrail").delete_trail(Name=old["Name"])  # alarms are the account's: each of its trails wants them
    logs.create_log_group(logGroupName=group)
    topic = sns.create_topic(Name=group)["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:{TWIN}:{group}")
    for metric in METRICS:
        logs.put_metric_filter(
            logGroupName=group, filterName=metric, filterPattern="{ $.eventName = x }",
            metricTransformations=[{"metricName": metric, "metricNamespace": "Audit", "metricValue": "1"}],
        )  # fmt: skip
        alarms.put_metric_alarm(
            AlarmName=f"{group}-{metric}", MetricName=metric, Namespace="Audit", Statistic="Sum", Period=300, Threshold=1,
            EvaluationPeriods=1, ComparisonOperator="GreaterThanOrEqualToThreshold", AlarmActions=[topic],
        )  # fmt: skip
    arn = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"][0]["arn"]
    arn = arn if arn.endswith(":*") else arn + ":*"
    account = arn.split(":")[4]
    role = f"arn:aws:iam::{account}:role/trail"
    return group, _trail(client, CloudWatchLogsLogGroupArn=arn, CloudWatchLogsRoleArn=role)


def alarms_switched_off(client, bad):
    group, name = _trail_with_alarms(client)
    if bad:
        client("cloudwatch").disable_alarm_actions(AlarmNames=[f"{group}-{metric}" for metric in METRICS])
    return name


def filter_deleted(client, bad):
    group, name = _trail_with_alarms(client)
    if bad:
        client("logs").delete_metric_filter(logGroupName=group, filterName="RootUsed")
    return name


def _log_group(client, name):
    return _described(client, name)["CloudWatchLogsLogGroupArn"].split(":")[6]


def alarms_of(client, name):
    group = _log_group(client, name)
    found = client("cloudwatch").describe_alarms(AlarmNamePrefix=group)["MetricAlarms"]
    filters = client("logs").describe_metric_filters(logGroupName=group)["metricFilters"]
    metrics = {made["metricName"] for one in filters for made in one["metricTransformations"]}
    return {one["AlarmName"]: one["ActionsEnabled"] for one in found}, metrics


def nobody_would_hear(client, name):
    alarms, metrics = alarms_of(client, name)
    return not all(alarms.values()) or metrics != set(METRICS)


def last_trail(client, bad):
    found = client("cloudtrail").describe_trails()["trailList"]
    trails = [(one["Name"], one["HomeRegion"]) for one in found] or [(_trail(client), REGION)]
    *others, (last, home) = trails
    for name, region in others if bad else []:
        client.quietly("cloudtrail", region).delete_trail(Name=name)
    if bad:
        client("cloudtrail", home).delete_trail(Name=last)
    return "trails"


def no_trail_is_left(client, _):
    return client("cloudtrail").describe_trails()["trailList"] == []


def _recorder(client):
    config, name = client.quietly("config"), "main"
    if not config.describe_configuration_recorders()["ConfigurationRecorders"]:
        role = "arn:aws:iam::123456789012:role/config"
        group = {"allSupported": True, "includeGlobalResourceTypes": False}
        config.put_configuration_recorder(ConfigurationRecorder={"name": name, "roleARN": role, "recordingGroup": group})
    if not config.describe_delivery_channels()["DeliveryChannels"]:
        config.put_delivery_channel(DeliveryChannel={"name": name, "s3BucketName": "config-archive"})
    name = config.describe_configuration_recorders()["ConfigurationRecorders"][0]["name"]
    config.start_configuration_recorder(ConfigurationRecorderName=name)
    return name


def recorder_stopped(client, bad):
    name = _recorder(client)
    if bad:
        client("config").stop_configuration_recorder(ConfigurationRecorderName=name)
    return "config"


def config_deleted(client, bad):
    name, config = _recorder(client), client.quietly("config")
    if bad:  # what comes before is not told: it would be put right before the end
        config.stop_configuration_recorder(ConfigurationRecorderName=name)
        for channel in config.describe_delivery_channels()["DeliveryChannels"]:
            config.delete_delivery_channel(DeliveryChannelName=channel["name"])
        client("config").delete_configuration_recorder(ConfigurationRecorderName=name)
    return "config"


def nothing_is_recorded(client, _):
    statuses = client("config").describe_configuration_recorder_status()["ConfigurationRecordersStatus"]
    return not any(status["recording"] for status in statuses)


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
    Row("sensitive-ports-open-to-internet", remote_desktop, from_everywhere(3389), look=ingress, told=says_not_attached),
    Row("sensitive-ports-open-to-internet", database_port, from_everywhere(5432), look=ingress),
    Row("sensitive-ports-open-to-internet", exposed_instance, from_everywhere(3306), look=ingress, told=names_the_instance),
    Row("sensitive-ports-open-to-internet", prefix_list, from_a_prefix_list, look=ingress),
    Row("sensitive-ports-open-to-internet", prefix_list_that_grew, from_a_prefix_list, look=ingress),
    Row("ssh-open-to-internet", described_rule, from_everywhere(22), look=ingress),
    Row("all-ports-open-inside", everything_inside, everything_is_open, look=ingress),
    Row("all-ports-open-inside", two_halves_inside, halves_are_open, look=ingress),
    Row("instance-metadata-v1", instance, tokens_are_optional, look=_options),
    Row("ebs-encryption-by-default", encryption_default, default_is_off),
    Row("volume-unencrypted", volume, volume_is_clear, fixes=False),
    Row("snapshot-public", snapshot, snapshot_is_public),
    Row("image-public", image, image_is_public),
    Row("database-public", database, database_is_public),
    Row("database-snapshot-public", database_snapshot, snapshot_may_be_restored_by_all),
    Row("access-key-unused", access_key, key_is_active, GLOBAL, old=True),
    Row("console-user-without-mfa", console_user, nothing_asks_for_a_second_factor, GLOBAL),
    Row("instance-powerful", powerful_instance, has_power),
    Row("instance-powerful", powerful_shared_role, has_power, fixes=False),
    Row("bucket-public", bucket_policy, bucket_policy_is_open, look=bucket),
    Row("bucket-public", bucket_acl, bucket_acl_is_open, look=bucket),
    Row("account-public-access", account_block, account_lets_the_public_in, GLOBAL),
    Row("account-public-access", no_account_block, account_lets_the_public_in, GLOBAL),
    Row("key-policy-public", key, key_is_open),
    Row("topic-policy-public", topic, topic_is_open),
    Row("trail-stopped", trail, trail_stands_still),
    Row("trail-weakened", trail_without_validation, trail_leaves_something_out, look=trail_state),
    Row("trail-weakened", trail_of_writes, trail_leaves_something_out, look=trail_state),
    Row("trail-alarms-missing", alarms_switched_off, nobody_would_hear, look=alarms_of),
    Row("trail-alarms-missing", filter_deleted, nobody_would_hear, look=alarms_of),
    Row("no-trail", last_trail, no_trail_is_left, GLOBAL),
    Row("config-off", recorder_stopped, nothing_is_recorded),
    Row("config-off", config_deleted, nothing_is_recorded, GLOBAL),
    Row("guardduty-off", suspended_detector, guardduty_is_off),
    Row("guardduty-off", deleted_detector, guardduty_is_off, GLOBAL),
]

# What a site says for its own: without it these are left to people (the playbooks' own tests show that).
PARAMS = {
    "account-public-access": {"environments": {"prod": {"enforce": True}}},
    "no-trail": {"values": {"trail": "catalogue-audit", "bucket": "catalogue-archive"}},
    "config-off": {"values": {"bucket": "config-archive"}},
}


UNLIMITED = {
    "breaker.account_actions": 0, "breaker.organization_actions": 0, "breaker.undo_actions": 0,
    "fight.rounds": 0,  # the rows break the same account, Region or detector again and again
    "breaker.override": ",".join(f"{name}=1000/10m" for name in sorted({row.guardrail for row in ROWS})),
}  # fmt: skip


# ---- the stack ----


def with_params(stack):
    """The catalogue as shipped, and beside it what the site says."""
    directory = stack.directory / "playbooks"
    shutil.copytree(ROOT / "worker" / "playbooks", directory)
    for name, said in PARAMS.items():
        (directory / f"site-{name}.yaml").write_text(json.dumps({"params": name, **said}))
    return directory


def client_of(stack, caller, row):
    """client(service, region) of a stranger, or of moto itself (Direct); client.quietly: past the tap."""

    def client(service, region=row.region):
        if service != "s3control":
            return caller.client(service, region)
        direct = not hasattr(caller, "url")
        url = stack.moto.url_for(caller.account) if direct else caller.url
        return AccountBlock(url, caller.account, *(("direct", "direct") if direct else (caller.key, caller.secret)))

    client.quietly = client_of(stack, stack.direct(caller.account), row) if hasattr(caller, "url") else client
    return client


@pytest.fixture(scope="module")
def cloud():
    accounts = [{"id": PROD, "environment": "prod"}, {"id": TWIN, "environment": "prod"}, {"id": DEV, "environment": "dev"}]
    with Stack(accounts=accounts, regions=[REGION, GLOBAL], guardrails=None, faketime=True) as stack:
        stack.playbooks = with_params(stack)
        stack.direct(PROD).client("s3", GLOBAL).create_bucket(Bucket="catalogue-archive")
        stack.start_worker(patience="1s,4s", **UNLIMITED)
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


def evidence(stack, row, account, resource):
    """What the resource's last open finding of the row's guardrail shows."""
    for message in reversed(stack.topic("parapet.findings")):
        record = message["value"]
        if (record["guardrail"], record["account"], record["resource"], record["status"]) == (
            row.guardrail, account, resource, "open",
        ):  # fmt: skip
            return record["evidence"]
    return None


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
        made[account] = row.make(client_of(stack, caller, row), account != TWIN)
    if row.old:
        stack.moto_time("+0d")
    return made


def actions(stack):
    return {message["value"].get("action") for message in stack.topic("parapet.actions")}


def undo(stack, row, account, earlier):
    """Takes back, as an operator does, what the guardrail did in the account since the earlier actions."""
    mine = {}
    for message in sorted(stack.topic("parapet.actions"), key=lambda one: one["time"]):
        record = message["value"]
        if record["kind"] != "intent" or record["action"] in earlier:
            continue  # what operators did is told there as well
        if (record["guardrail"], record["account"]) == (row.guardrail, account):
            mine[record["action"]] = record["resource"]
    assert mine
    for action in reversed(mine):
        done = stack.parapet("undo", action, "--owner", "ann@example.com", "--reason", "undone", "--for", "1h")
        assert done.returncode == 0, done.stdout + done.stderr


def exceptions_of(stack, row):
    listed = json.loads(stack.parapet("exceptions", "list", "--output", "json", check=True).stdout)
    return [one["id"] for one in listed if one["guardrail"] == row.guardrail]


def swept(stack):
    return stack.programs[0].metric("parapet_sweeps_total", outcome="done")


@pytest.mark.parametrize("events", [True, False], ids=["event", "sweep"], indirect=True)
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_guardrail(cloud, row, events):
    stack = cloud

    def client(account):
        return client_of(stack, stack.direct(account), row)

    def look():
        return row.look(client(PROD), made[PROD]) if row.look else None

    earlier, mark = actions(stack), stack.tap.mark()
    before = seen(stack, row)
    made = make(stack, row)
    if row.old and events:  # the event that tells of an old key comes now
        for account in (PROD, DEV):
            iam = stack.stranger(account).client("iam", row.region)
            for key in iam.list_access_keys(UserName=made[account])["AccessKeyMetadata"]:
                iam.update_access_key(UserName=made[account], AccessKeyId=key["AccessKeyId"], Status="Active")
    was = None
    if not events:
        assert row.broken(client(PROD), made[PROD])
        was = look()
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
    if row.told:
        assert row.told(evidence(stack, row, DEV, made[DEV]), client(DEV), made[DEV])
    if not row.fixes:
        return

    # Once more: there is nothing left to do.
    def sweep_changes_nothing():
        done, mark = swept(stack), stack.tap.mark()
        sweep(stack, row)
        stack.wait_until(lambda: swept(stack) >= done + 3, 20, "the sweeps to end")
        assert own_mutations(stack, mark) == []

    sweep_changes_nothing()
    if events:
        return  # what follows does not depend on what told of it
    # Undone: an exception is there first; what was there is there again, and is left so while the exception holds.
    undo(stack, row, PROD, earlier)
    assert row.broken(client(PROD), made[PROD])
    assert look() == was
    sweep_changes_nothing()
    assert row.broken(client(PROD), made[PROD])
    numbers = exceptions_of(stack, row)
    assert numbers
    for number in numbers:
        stack.parapet("exceptions", "remove", number, check=True)
    sweep(stack, row)
    stack.wait_until(lambda: not row.broken(client(PROD), made[PROD]), 20, "the fix once the exception is gone", 0.3)
