"""The CloudTrail tap: what it tells, whom it refuses, what it can break."""

import json
import time

import pytest
from botocore.exceptions import ClientError
from stack import ROLE, permission
from stack.cloud import Caller

REGION = "eu-west-1"


@pytest.fixture
def account(stack):
    return stack.ids[0]


@pytest.fixture
def ec2(stack, account):
    return stack.stranger(account).client("ec2", REGION)


@pytest.fixture
def group(stack, account):
    return stack.plant(account, REGION)[0]


def last_event(stack):
    """The newest CloudTrail record and its envelope."""
    envelope = stack.tap.emitted()[-1]
    return envelope["detail"], envelope


def code_of(call, *arguments, **parameters):
    with pytest.raises(ClientError) as caught:
        call(*arguments, **parameters)
    return caught.value.response["Error"]["Code"], caught.value.response["ResponseMetadata"]["HTTPStatusCode"]


# ---- the record of a security group's change, in EC2's old dialect ----

# What boto3 is given → what the event says of it: (permission, requestParameters' item, rule's fields)
AUTHORIZED = {
    "ipv4": (
        permission("tcp", (22, 22), "0.0.0.0/0"),
        {"ipProtocol": "tcp", "fromPort": 22, "toPort": 22, "ipRanges": {"items": [{"cidrIp": "0.0.0.0/0"}]}},
        {"ipProtocol": "tcp", "fromPort": 22, "toPort": 22, "cidrIpv4": "0.0.0.0/0"},
    ),
    "ipv6": (
        permission("tcp", (0, 65535), "::/0"),
        {"ipProtocol": "tcp", "fromPort": 0, "toPort": 65535, "ipv6Ranges": {"items": [{"cidrIpv6": "::/0"}]}},
        {"ipProtocol": "tcp", "fromPort": 0, "toPort": 65535, "cidrIpv6": "::/0"},
    ),
    "every protocol has no ports in the request and -1 in the rule": (
        permission("-1", None, "0.0.0.0/0"),
        {"ipProtocol": "-1", "ipRanges": {"items": [{"cidrIp": "0.0.0.0/0"}]}},
        {"ipProtocol": "-1", "fromPort": -1, "toPort": -1, "cidrIpv4": "0.0.0.0/0"},
    ),
    "icmp's type and code are in the ports": (
        permission("icmp", (8, -1), "0.0.0.0/0"),
        {"ipProtocol": "icmp", "fromPort": 8, "toPort": -1, "ipRanges": {"items": [{"cidrIp": "0.0.0.0/0"}]}},
        {"ipProtocol": "icmp", "fromPort": 8, "toPort": -1, "cidrIpv4": "0.0.0.0/0"},
    ),
    "a description": (
        {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "TLS"}]},
        {"ipProtocol": "tcp", "fromPort": 22, "toPort": 22,
         "ipRanges": {"items": [{"cidrIp": "0.0.0.0/0", "description": "TLS"}]}},
        {"ipProtocol": "tcp", "fromPort": 22, "toPort": 22, "cidrIpv4": "0.0.0.0/0", "description": "TLS"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", AUTHORIZED)
def test_authorize(stack, account, ec2, group, case):
    given, requested, made = AUTHORIZED[case]
    answer = ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[given])
    detail, envelope = last_event(stack)
    rule_id = answer["SecurityGroupRules"][0]["SecurityGroupRuleId"]
    empty = {name: {} for name in ("groups", "ipRanges", "ipv6Ranges", "prefixListIds")}
    assert detail["requestParameters"] == {"groupId": group, "ipPermissions": {"items": [{**empty, **requested}]}}
    rules = detail["responseElements"]["securityGroupRuleSet"]["items"]
    arn = f"arn:aws:ec2:{REGION}:{account}:security-group-rule/{rule_id}"
    assert rules == [
        {"groupOwnerId": account, "groupId": group, "securityGroupRuleId": rule_id, "isEgress": False,
         "securityGroupRuleArn": arn, **made}
    ]  # fmt: skip
    assert detail["responseElements"]["_return"] is True
    assert detail["requestID"] == detail["responseElements"]["requestId"] == answer["ResponseMetadata"]["RequestId"]
    assert (detail["eventSource"], detail["eventName"]) == ("ec2.amazonaws.com", "AuthorizeSecurityGroupIngress")
    assert (detail["awsRegion"], detail["recipientAccountId"], detail["readOnly"]) == (REGION, account, False)
    assert "errorCode" not in detail
    assert {
        name: envelope[name] for name in ("version", "detail-type", "source", "account", "region", "resources")
    } == {
        "version": "0",
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.ec2",
        "account": account,
        "region": REGION,
        "resources": [],
    }


def test_authorize_with_several_permissions_tells_every_rule(stack, ec2, group):
    permissions = [permission(), permission(cidr="::/0"), permission("-1", None, "10.0.0.0/8")]
    permissions[0]["IpRanges"].append({"CidrIp": "192.0.2.0/24"})
    answer = ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=permissions)
    detail, _ = last_event(stack)
    rules = detail["responseElements"]["securityGroupRuleSet"]["items"]
    assert [r["securityGroupRuleId"] for r in rules] == [r["SecurityGroupRuleId"] for r in answer["SecurityGroupRules"]]
    assert [r.get("cidrIpv4") or r["cidrIpv6"] for r in rules] == ["0.0.0.0/0", "192.0.2.0/24", "::/0", "10.0.0.0/8"]
    assert len(detail["requestParameters"]["ipPermissions"]["items"]) == 3


def test_authorize_is_all_or_nothing(stack, account, ec2, group):
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission()])
    code = code_of(
        ec2.authorize_security_group_ingress, GroupId=group, IpPermissions=[permission(cidr="::/0"), permission()]
    )
    assert code == ("InvalidPermission.Duplicate", 400)
    assert len(stack.rules(account, REGION, group)) == 1


def test_authorize_in_the_legacy_form(stack, ec2, group):
    ec2.authorize_security_group_ingress(GroupId=group, IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp="0.0.0.0/0")
    assert last_event(stack)[0]["requestParameters"] == {
        "groupId": group,
        "ipPermissions": {},
        "ipProtocol": "tcp",
        "fromPort": 22,
        "toPort": 22,
        "cidrIp": "0.0.0.0/0",
    }


def test_authorize_egress_and_a_referenced_group(stack, account, ec2, group):
    pair = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "UserIdGroupPairs": [{"GroupId": group}]}
    ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[pair])
    rule = last_event(stack)[0]["responseElements"]["securityGroupRuleSet"]["items"][0]
    assert rule["isEgress"] is True
    assert rule["referencedGroupInfo"] == {"groupId": group, "userId": account}


def test_rule_tags_are_told(stack, ec2, group):
    tags = [{"ResourceType": "security-group-rule", "Tags": [{"Key": "parapet:run", "Value": "r1"}]}]
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission()], TagSpecifications=tags)
    detail, _ = last_event(stack)
    assert detail["requestParameters"]["tagSpecificationSet"] == {
        "items": [{"resourceType": "security-group-rule", "tags": [{"key": "parapet:run", "value": "r1"}]}]
    }
    rule = detail["responseElements"]["securityGroupRuleSet"]["items"][0]
    assert rule["tagSet"] == {"items": [{"key": "parapet:run", "value": "r1"}]}


def test_revoke_by_rule_id(stack, account, ec2, group):
    made = ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission()])["SecurityGroupRules"]
    rule_id = made[0]["SecurityGroupRuleId"]
    answer = ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[rule_id])
    assert [rule["SecurityGroupRuleId"] for rule in answer["RevokedSecurityGroupRules"]] == [rule_id]
    detail, _ = last_event(stack)
    assert detail["requestParameters"]["securityGroupRuleIds"] == {"items": [{"securityGroupRuleId": rule_id}]}
    assert detail["requestParameters"]["ipPermissions"] == {}
    revoked = detail["responseElements"]["revokedSecurityGroupRuleSet"]["items"]
    assert revoked == [
        {"securityGroupRuleId": rule_id, "groupId": group, "isEgress": False, "ipProtocol": "tcp", "fromPort": 22,
         "toPort": 22, "cidrIpv4": "0.0.0.0/0"}
    ]  # fmt: skip
    assert stack.rules(account, REGION, group) == []


def test_revoke_of_an_unknown_rule_id(ec2, group):
    code = code_of(ec2.revoke_security_group_ingress, GroupId=group, SecurityGroupRuleIds=["sgr-00000000000000000"])
    assert code == ("InvalidSecurityGroupRuleId.NotFound", 400)


# ---- the new dialect ----


def test_modify_of_one_rule_is_an_object(stack, ec2, group):
    rule_id = _authorized(ec2, group, permission())
    wanted = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIpv4": "10.0.0.0/8", "Description": "office"}
    ec2.modify_security_group_rules(
        GroupId=group, SecurityGroupRules=[{"SecurityGroupRuleId": rule_id, "SecurityGroupRule": wanted}]
    )
    detail, _ = last_event(stack)
    assert detail["requestParameters"] == {
        "ModifySecurityGroupRulesRequest": {
            "GroupId": group,
            "SecurityGroupRule": {"SecurityGroupRuleId": rule_id, "SecurityGroupRule": wanted, "tag": 1},
        }
    }
    response = detail["responseElements"]["ModifySecurityGroupRulesResponse"]
    assert response["return"] is True and response["requestId"] == detail["requestID"]


def test_modify_of_several_rules_is_an_array_and_numbers_are_converted(stack, account, ec2, group):
    ids = [_authorized(ec2, group, permission(cidr=cidr)) for cidr in ("10.0.0.0/8", "::/0")]
    changes = [
        {"SecurityGroupRuleId": ids[0], "SecurityGroupRule": {"IpProtocol": "-1", "CidrIpv4": "0.0.0.0/0"}},
        {"SecurityGroupRuleId": ids[1],
         "SecurityGroupRule": {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 2, "CidrIpv6": "fd00::/8"}},
    ]  # fmt: skip
    ec2.modify_security_group_rules(GroupId=group, SecurityGroupRules=changes)
    rules = last_event(stack)[0]["requestParameters"]["ModifySecurityGroupRulesRequest"]["SecurityGroupRule"]
    assert [rule["tag"] for rule in rules] == [1, 2]
    assert rules[0]["SecurityGroupRule"]["IpProtocol"] == -1  # as AWS's converter leaves it
    true_state = {rule["SecurityGroupRuleId"]: rule for rule in stack.rules(account, REGION, group)}
    assert true_state[ids[0]]["CidrIpv4"] == "0.0.0.0/0" and true_state[ids[0]]["FromPort"] == -1
    assert true_state[ids[1]]["CidrIpv6"] == "fd00::/8" and true_state[ids[1]]["ToPort"] == 2


def _authorized(ec2, group, given):
    made = ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[given])
    return made["SecurityGroupRules"][0]["SecurityGroupRuleId"]


# ---- other changes ----


def test_create_group_tags_and_instances(stack, ec2):
    group = ec2.create_security_group(GroupName="g", Description="d")["GroupId"]
    detail, _ = last_event(stack)
    assert detail["requestParameters"] == {"groupName": "g", "groupDescription": "d"}
    assert detail["responseElements"]["groupId"] == group and detail["responseElements"]["_return"] is True
    ec2.create_tags(Resources=[group], Tags=[{"Key": "a", "Value": "b"}])
    detail, _ = last_event(stack)
    assert detail["requestParameters"] == {
        "resourcesSet": {"items": [{"resourceId": group}]},
        "tagSet": {"items": [{"key": "a", "value": "b"}]},
    }
    assert detail["responseElements"] == {"requestId": detail["requestID"], "_return": True}


def test_other_services(stack, account):
    mallory = stack.stranger(account)
    mallory.client("iam").create_user(UserName="eve")
    made = mallory.client("iam").create_access_key(UserName="eve")["AccessKey"]
    detail, envelope = last_event(stack)
    assert envelope["source"] == "aws.iam" and envelope["region"] == "us-east-1"
    assert detail["requestParameters"] == {"userName": "eve"}
    assert detail["responseElements"]["accessKey"]["accessKeyId"] == made["AccessKeyId"]
    assert made["SecretAccessKey"] not in json.dumps(envelope)
    eve = Caller(stack.tap.url, account, made["AccessKeyId"], made["SecretAccessKey"])
    assert eve.client("sts").get_caller_identity()["Arn"] == f"arn:aws:iam::{account}:user/eve"
    bucket = mallory.client("s3", REGION)
    bucket.create_bucket(Bucket="b-1", CreateBucketConfiguration={"LocationConstraint": REGION})
    bucket.put_public_access_block(Bucket="b-1", PublicAccessBlockConfiguration={"BlockPublicAcls": True})
    detail, _ = last_event(stack)
    assert detail["eventName"] == "PutBucketPublicAccessBlock"
    assert detail["requestParameters"]["bucketName"] == "b-1" and detail["requestParameters"]["publicAccessBlock"] == ""
    before = len(stack.tap.emitted())
    bucket.put_object(Bucket="b-1", Key="k", Body=b"x")  # a data event
    assert bucket.get_object(Bucket="b-1", Key="k")["Body"].read() == b"x"
    assert len(stack.tap.emitted()) == before


def test_an_answer_of_rds_is_told_without_its_wrapper(stack, account):
    stack.stranger(account).client("rds", REGION).create_db_instance(
        DBInstanceIdentifier="Shop", DBInstanceClass="db.t3.micro", Engine="postgres", AllocatedStorage=20,
        MasterUsername="ann", MasterUserPassword="not-a-secret-1",
    )  # fmt: skip
    detail, _ = last_event(stack)
    assert detail["requestParameters"]["dBInstanceIdentifier"] == "Shop"
    assert detail["responseElements"]["dBInstanceIdentifier"] == "shop"


def test_global_services_are_told_in_us_east_1_only(stack):
    stack.stranger().client("iam", "eu-west-1").create_user(UserName="eve")
    assert stack.tap.queue_depth("us-east-1") == (1, 0)
    assert stack.tap.queue_depth("eu-west-1") == (0, 0)


def test_reads_make_no_event(stack, ec2):
    ec2.describe_security_groups()
    assert stack.tap.emitted() == [] and stack.tap.queue_depth(REGION) == (0, 0)


FAILED = {
    "Client.InvalidPermission.Duplicate": lambda ec2, group: ec2.authorize_security_group_ingress(
        GroupId=group, IpPermissions=[permission()]
    ),
    "Client.InvalidPermission.NotFound": lambda ec2, group: ec2.revoke_security_group_ingress(
        GroupId=group, IpPermissions=[permission("udp")]
    ),
    "Client.InvalidGroup.NotFound": lambda ec2, group: ec2.delete_security_group(GroupId="sg-00000000"),
    "Client.DryRunOperation": lambda ec2, group: ec2.delete_security_group(GroupId=group, DryRun=True),
}


@pytest.mark.parametrize("code", FAILED)
def test_failed_calls_are_told_with_their_error(stack, ec2, group, code):
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission()])
    with pytest.raises(ClientError):
        FAILED[code](ec2, group)
    detail, _ = last_event(stack)
    assert detail["errorCode"] == code and detail["errorMessage"]
    assert detail["responseElements"] is None


# ---- who ----


def test_identity_of_a_user(stack, account, ec2):
    ec2.create_security_group(GroupName="g", Description="d")
    identity = last_event(stack)[0]["userIdentity"]
    assert identity["type"] == "IAMUser" and identity["arn"] == f"arn:aws:iam::{account}:user/mallory"
    assert identity["userName"] == "mallory" and identity["accountId"] == account


def test_identity_of_a_role_session(stack, account):
    arn = f"arn:aws:iam::{account}:role/engines/parapet-worker"
    session = stack.hub().assume(arn, "parapet-run-7", SourceIdentity="parapet")
    session.client("ec2", REGION).create_security_group(GroupName="g", Description="d")
    identity = last_event(stack)[0]["userIdentity"]
    assert identity["type"] == "AssumedRole"
    assert identity["arn"] == f"arn:aws:sts::{account}:assumed-role/parapet-worker/parapet-run-7"  # loses the path
    issuer = identity["sessionContext"]["sessionIssuer"]
    assert issuer["arn"] == arn and issuer["userName"] == "parapet-worker"
    assert identity["principalId"] == f"{issuer['principalId']}:parapet-run-7"
    assert identity["sessionContext"]["sourceIdentity"] == "parapet"
    assert identity["accessKeyId"] == session.key


def test_accounts_are_separate(stack):
    first, second = stack.ids[:2]
    group = stack.stranger(first).client("ec2", REGION).create_security_group(GroupName="g", Description="d")["GroupId"]
    other = stack.role_session(second).client("ec2", REGION)
    assert code_of(other.describe_security_groups, GroupIds=[group])[0] == "InvalidGroup.NotFound"
    same = stack.role_session(first).client("ec2", REGION)
    assert same.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["OwnerId"] == first


def test_assume_role_is_checked(stack, account):
    hub = stack.hub()
    arn = f"arn:aws:iam::{account}:role/{ROLE}"
    sts = hub.client("sts")
    assert code_of(sts.assume_role, RoleArn="arn:aws:iam::000000000001:role/x", RoleSessionName="ss") == (
        "AccessDenied",
        403,
    )
    assert code_of(sts.assume_role, RoleArn=arn, RoleSessionName="ss", Policy="{}")[0] == "MalformedPolicyDocument"
    long = json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["a:" + "b" * 2048], "Resource": "*"}]}
    )
    assert code_of(sts.assume_role, RoleArn=arn, RoleSessionName="ss", Policy=long)[0] in (
        "PackedPolicyTooLarge",
        "ValidationError",
    )
    chained = stack.role_session(account).client("sts")
    assert code_of(chained.assume_role, RoleArn=arn, RoleSessionName="ss", DurationSeconds=7200)[0] == "ValidationError"
    assert chained.get_caller_identity()["Arn"] == f"arn:aws:sts::{account}:assumed-role/{ROLE}/parapet"


def test_wrong_keys_and_signatures(stack, account):
    good = stack.stranger(account)
    nobody = Caller(stack.tap.url, account, "AKIANOBODYNOBODYNOBO", "x")
    assert code_of(nobody.client("ec2", REGION).describe_vpcs) == ("AuthFailure", 401)
    assert code_of(nobody.client("iam").list_users) == ("InvalidClientTokenId", 403)
    assert code_of(nobody.client("sqs").list_queues) == ("UnrecognizedClientException", 400)
    forged = Caller(stack.tap.url, account, good.key, "wrong")
    assert code_of(forged.client("iam").list_users) == ("SignatureDoesNotMatch", 403)
    session = stack.role_session(account)
    without_token = Caller(stack.tap.url, account, session.key, session.secret)
    assert code_of(without_token.client("ec2", REGION).describe_vpcs) == ("AuthFailure", 401)


# ---- session policies ----


def _policy(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


READS = {"Effect": "Allow", "Action": "ec2:Describe*", "Resource": "*"}


def test_session_policy_refuses_what_it_does_not_allow(stack, account, group):
    reader = stack.role_session(account, policy=_policy(READS)).client("ec2", REGION)
    reader.describe_security_groups(GroupIds=[group])
    code = code_of(reader.authorize_security_group_ingress, GroupId=group, IpPermissions=[permission()])
    assert code == ("UnauthorizedOperation", 403)
    assert last_event(stack)[0]["errorCode"] == "Client.UnauthorizedOperation"
    assert stack.calls(kind="mutating")[-1]["session_policy"] == "ec2:AuthorizeSecurityGroupIngress"
    assert stack.rules(account, REGION, group) == []


def test_deny_wins_and_other_services_refuse_in_their_words(stack, account):
    deny = {"Effect": "Deny", "Action": ["ec2:DescribeVpcs"], "Resource": "*"}
    session = stack.role_session(account, policy=_policy({"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}, deny))
    session.client("ec2", REGION).describe_subnets()
    assert code_of(session.client("ec2", REGION).describe_vpcs)[0] == "UnauthorizedOperation"
    assert code_of(session.client("iam").list_users) == ("AccessDenied", 403)
    assert code_of(session.client("s3", REGION).list_buckets) == ("AccessDenied", 403)
    assert code_of(session.client("events", REGION).list_rules) == ("AccessDeniedException", 400)
    assert session.client("sts").get_caller_identity()["Account"] == account


def test_region_condition(stack, account):
    allow = {**READS, "Condition": {"StringEquals": {"aws:RequestedRegion": ["us-east-1"]}}}
    session = stack.role_session(account, policy=_policy(allow))
    session.client("ec2", "us-east-1").describe_vpcs()
    assert code_of(session.client("ec2", REGION).describe_vpcs)[0] == "UnauthorizedOperation"


# ---- what moto cannot do ----


def test_html_becomes_an_error_of_the_protocol(stack, account, ec2):
    assert code_of(ec2.describe_vpc_block_public_access_options) == ("InvalidAction", 400)
    assert stack.calls()[-1]["emulator"] == "not implemented"
    mallory = stack.stranger(account)
    code, status = code_of(mallory.client("accessanalyzer", REGION).list_analyzers)
    assert (code, status) == ("UnknownOperationException", 404)
    assert stack.calls()[-1]["emulator"] == "not implemented"


# ---- the record of calls ----


def test_calls_are_recorded_and_counted(stack, account, ec2, group):
    mark = stack.tap.mark()
    ec2.describe_security_groups()
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission()])
    call = stack.calls(mark, kind="mutating")[0]
    assert (call["service"], call["operation"]) == ("ec2", "AuthorizeSecurityGroupIngress")
    assert (call["account"], call["region"], call["status"], call["error"]) == (account, REGION, 200, None)
    assert call["principal"].endswith(":user/mallory") and call["params"]["GroupId"] == group
    assert stack.tap.counts(mark) == {"ec2.DescribeSecurityGroups": 1, "ec2.AuthorizeSecurityGroupIngress": 1}
    assert len(stack.calls(mark, operation="Describe*")) == 1
    assert len({one["request_id"] for one in stack.calls()}) == len(stack.calls())
    assert stack.mutations(mark) == [call]


def test_sns_messages_are_recorded(stack):
    sns = stack.hub().client("sns", REGION)
    topic = sns.create_topic(Name="notices")["TopicArn"]
    sns.publish(TopicArn=topic, Subject="s", Message="what happened")
    call = stack.calls(service="sns", operation="Publish")[0]
    assert call["params"] == {"TopicArn": topic, "Subject": "s", "Message": "what happened"} and call["kind"] == "data"


def test_no_secret_is_in_the_records(stack, account):
    session = stack.role_session(account)
    session.client("ec2", REGION).describe_vpcs()
    text = json.dumps(stack.calls()) + json.dumps(stack.tap.emitted()) + stack.tap.process.log()
    assert session.secret not in text and session.token not in text


# ---- events ----


def test_events_can_be_off_late_and_twice(stack, ec2):
    stack.tap.events(on=False)
    ec2.create_security_group(GroupName="a", Description="d")
    assert stack.tap.queue_depth(REGION) == (0, 0)
    stack.tap.events(on=True, copies=2)
    ec2.create_security_group(GroupName="b", Description="d")
    stack.wait_until(lambda: stack.tap.queue_depth(REGION) == (2, 0), 5, "two copies")
    stack.tap.events(copies=1, delay=0.8)
    ec2.create_security_group(GroupName="c", Description="d")
    assert stack.tap.queue_depth(REGION) == (2, 0)
    stack.wait_until(lambda: stack.tap.queue_depth(REGION) == (3, 0), 10, "the late event")


# ---- faults ----

ONCE = {"total_max_attempts": 1}
THROTTLED = {
    # protocol: (service, call, code and status)
    "ec2": ("ec2", "describe_vpcs", ("RequestLimitExceeded", 503)),
    "query": ("iam", "list_users", ("Throttling", 400)),
    "json": ("sqs", "list_queues", ("ThrottlingException", 400)),
    "s3": ("s3", "list_buckets", ("SlowDown", 503)),
}


@pytest.mark.parametrize("protocol", THROTTLED)
def test_throttling_in_each_protocol(stack, account, protocol):
    service, name, expected = THROTTLED[protocol]
    call = getattr(stack.stranger(account).client(service, REGION, retries=ONCE), name)
    stack.tap.fault(error="throttle", count=1)
    assert code_of(call) == expected
    call()  # used up


def test_a_rule_matches_what_it_names(stack):
    first, second = stack.ids[:2]
    number = stack.tap.fault({"service": "ec2", "account": first, "region": REGION, "mutating": False}, error="deny")
    one, two = stack.stranger(first), stack.stranger(second)
    assert code_of(one.client("ec2", REGION).describe_vpcs)[0] == "UnauthorizedOperation"
    one.client("ec2", "us-east-1").describe_vpcs()
    one.client("ec2", REGION).create_security_group(GroupName="g", Description="d")
    two.client("ec2", REGION).describe_vpcs()
    assert [(rule["id"], rule["hits"]) for rule in stack.tap.faults()] == [(number, 1)]
    stack.tap.clear_faults(number)
    one.client("ec2", REGION).describe_vpcs()


def test_rules_end_after_count_or_time(stack, account):
    ec2 = stack.stranger(account).client("ec2", REGION, retries=ONCE)
    stack.tap.fault({"service": "ec2"}, error="unavailable", after=1, count=2)
    outcomes = [_outcome(ec2.describe_vpcs) for _ in range(4)]
    assert outcomes == ["ok", "Unavailable", "Unavailable", "ok"]
    stack.tap.clear_faults()
    stack.tap.fault({"service": "ec2"}, error="internal", seconds=0.5)
    assert _outcome(ec2.describe_vpcs) == "InternalError"
    stack.wait_until(lambda: _outcome(ec2.describe_vpcs) == "ok", 5, "end of the fault")


def _outcome(call):
    try:
        call()
        return "ok"
    except ClientError as error:
        return error.response["Error"]["Code"]
    except Exception as error:
        return type(error).__name__


def test_a_wrong_rule_is_refused(stack):
    with pytest.raises(ValueError, match="typo"):
        stack.tap.fault({"typo": "ec2"}, error="deny")
    with pytest.raises(ValueError, match="no effect"):
        stack.tap.fault({"service": "ec2"}, count=1)


def test_delay(stack, ec2):
    ec2.describe_vpcs()
    stack.tap.fault({"service": "ec2"}, delay_ms=300, count=1)
    started = time.monotonic()
    ec2.describe_vpcs()
    assert time.monotonic() - started >= 0.3
    assert stack.calls()[-1]["delay"] == 0.3


def test_own_error_and_garbage(stack, account):
    ec2 = stack.stranger(account).client("ec2", REGION, retries=ONCE)
    stack.tap.fault({"service": "ec2"}, error={"code": "VcpuLimitExceeded", "message": "no", "status": 400}, count=1)
    assert _outcome(ec2.describe_vpcs) == "VcpuLimitExceeded"
    stack.tap.fault({"service": "ec2"}, body="<html>It works!", status=503, count=1)
    assert _outcome(ec2.describe_vpcs) not in ("ok", "VcpuLimitExceeded")


@pytest.mark.parametrize("when, made", [("before", 0), ("after", 1)])
def test_cut_connections(stack, account, group, when, made):
    ec2 = stack.stranger(account).client("ec2", REGION, retries=ONCE)
    stack.tap.fault({"mutating": True}, cut=when, count=1)
    with pytest.raises(Exception):
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission()])
    assert len(stack.rules(account, REGION, group)) == made
    stack.wait_until(lambda: stack.calls(kind="mutating"), 5, "the record")
    assert stack.calls(kind="mutating")[-1]["error"] == "ConnectionCut"
    assert len(stack.mutations()) == made
    assert len(stack.tap.emitted()) == made


def test_denied_account(stack):
    first, second = stack.ids[:2]
    stack.tap.deny_account(first)
    with pytest.raises(ClientError, match="AccessDenied"):
        stack.role_session(first)
    stack.role_session(second)


# ---- reads that lag ----


def _seen(ec2, group):
    rules = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])["SecurityGroupRules"]
    by_rules = sum(1 for rule in rules if not rule["IsEgress"])
    by_group = len(ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissions"])
    everything = ec2.describe_security_groups()["SecurityGroups"]
    by_list = next(len(one["IpPermissions"]) for one in everything if one["GroupId"] == group)
    return by_rules, by_group, by_list


def test_stale_reads_show_the_state_before_the_change(stack, account, ec2, group):
    stack.tap.fault({"service": "ec2"}, stale=2)
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission()])
    assert _seen(ec2, group) == (0, 0, 0)
    assert len(stack.rules(account, REGION, group)) == 1
    assert all("stale" in call for call in stack.calls(kind="read"))
    stack.wait_until(lambda: _seen(ec2, group) == (1, 1, 1), 10, "the change to show")


def test_a_stale_read_of_several_groups_shows_each_as_it_was(stack, account, ec2, group):
    other = stack.plant(account, REGION, [permission()])[0]
    seen = lambda: {  # noqa: E731
        one["GroupId"]: len(one["IpPermissions"])
        for one in ec2.describe_security_groups(GroupIds=[group, other])["SecurityGroups"]
    }
    rules = lambda: [  # noqa: E731
        rule["GroupId"]
        for rule in ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group, other]}])["SecurityGroupRules"]
        if not rule["IsEgress"]
    ]  # fmt: skip
    stack.tap.fault({"service": "ec2"}, stale=2)
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission()])
    assert seen() == {group: 0, other: 1} and rules() == [other]
    assert not [call for call in stack.calls(kind="read") if "stale_miss" in call]
    stack.wait_until(lambda: seen() == {group: 1, other: 1} and sorted(rules()) == sorted([group, other]), 10, "the change to show")
    assert code_of(ec2.describe_security_groups, GroupIds=[group, "sg-0123456789abcdef0"])[0] == "InvalidGroup.NotFound"


def test_stale_reads_cover_several_changes_and_leave_other_groups_alone(stack, account, ec2, group):
    other = stack.plant(account, REGION, [permission(), permission(cidr="::/0")])[0]
    stack.tap.fault({"service": "ec2"}, stale=3)
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission()])
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission("udp")])
    assert _seen(ec2, group)[:2] == (0, 0)
    rules = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [other]}])["SecurityGroupRules"]
    assert sum(1 for rule in rules if not rule["IsEgress"]) == 2
    stack.tap.clear_faults()
    assert _seen(ec2, group) == (2, 2, 2)
