"""Further events that wake a guardrail of rows.py: what is wrong is made past the tap, in one account alone, and then the
one call that is told of.  And those whose call moto does not have."""

import dataclasses

from . import DEV, GLOBAL, REGION, STRANGER, TWIN, Row, numbers
from .ec2 import database, database_is_public, from_a_prefix_list, instance, prefix_list_that_grew, tokens_are_optional
from .iam import has_power, powerful_instance
from .monitoring import (
    alarms_switched_off, new_trail, no_trail_is_left, nobody_would_hear, nothing_is_recorded, put_recorder,
    recorder_stopped, switch_alarms_off, trail_leaves_something_out, trail_stands_still, watched_group,
)  # fmt: skip
from .networks import gateway_attached, stranger_is_attached
from .policies import (
    FOUR, bucket_acl, bucket_acl_is_open, key_is_open, new_bucket, open_policy, queue_is_open, queue_policy, topic,
    topic_is_open,
)  # fmt: skip


def woken(make, call):
    """What `make` breaks, and then the call, which only gives cause to look."""

    def made(client, bad):
        one = make(client.quietly, bad)
        call(client, one)
        return one

    return made


# ---- buckets ----


def _open_bucket(client, bad):
    client("s3control").call("DELETE")  # what the account blocks is not open
    return bucket_acl(client, bad)


def _bucket(event, operation, **more):
    made = woken(_open_bucket, lambda client, name: getattr(client("s3"), operation)(Bucket=name, **more))
    return Row("bucket-public", event, made, bucket_acl_is_open)


def _bucket_made_open(client, _):
    client.quietly("s3control").call("DELETE")
    return new_bucket(client, ACL="public-read")


def _account_opened(event, call):
    """What the account blocked it blocks no more.  (In prod that is put right as well, and either might be first.)"""

    def opened(client, _):
        client.quietly("s3control").put(**dict.fromkeys(FOUR, True))
        call(client("s3control"))

    return Row("bucket-public", event, woken(_open_bucket, opened), bucket_acl_is_open, GLOBAL, fixes=False, account=DEV)


# ---- databases ----


def _database_modified(client, bad):
    name = database(client.quietly, False)
    client("rds").modify_db_instance(DBInstanceIdentifier=name.title(), PubliclyAccessible=bad, ApplyImmediately=True)
    return name


def _database_from(event, operation, source, target="DBInstanceIdentifier", **more):
    """Of a private one's data a public one is made."""

    def made(client, bad):
        rds, old, new = client.quietly("rds"), database(client.quietly, False), f"Catalogue-{next(numbers)}"
        rds.create_db_snapshot(DBSnapshotIdentifier=old, DBInstanceIdentifier=old)
        getattr(client("rds"), operation)(**{source: old, target: new}, PubliclyAccessible=bad, **more)
        return new.lower()

    return Row("database-public", event, made, database_is_public)


# ---- instances and networks ----


def _options_loosened(client, _):
    one = instance(client.quietly, False)
    options = {"HttpTokens": "optional", "HttpEndpoint": "enabled", "HttpPutResponseHopLimit": 2}
    client("ec2").modify_instance_metadata_options(InstanceId=one, **options)
    return one


def _profile_replaced(client, one):
    """By itself: moto goes on showing the old one."""
    mine = [{"Name": "instance-id", "Values": [one]}]
    (found,) = client("ec2").describe_iam_instance_profile_associations(Filters=mine)["IamInstanceProfileAssociations"]
    client("ec2").replace_iam_instance_profile_association(
        AssociationId=found["AssociationId"], IamInstanceProfile={"Arn": found["IamInstanceProfile"]["Arn"]}
    )


def _ssh_list_that_grew(client, bad):
    return prefix_list_that_grew(client, bad, 22)


def _gateway(client):
    return client.quietly("ec2").create_transit_gateway()["TransitGateway"]["TransitGatewayId"]


def _gateway_peers(client, _):
    client("ec2").create_transit_gateway_peering_attachment(
        TransitGatewayId=_gateway(client), PeerTransitGatewayId=_gateway(client.of(STRANGER)), PeerAccountId=STRANGER,
        PeerRegion=REGION,
    )  # fmt: skip


def _network_attached(client, _):
    ec2 = client.quietly("ec2")
    network = ec2.create_vpc(CidrBlock="10.255.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=network, CidrBlock="10.255.0.0/24")["Subnet"]["SubnetId"]
    client("ec2").create_transit_gateway_vpc_attachment(TransitGatewayId=_gateway(client), VpcId=network, SubnetIds=[subnet])


# ---- policies ----


def _key_made_open(client, bad):
    return client("kms").create_key(Policy=open_policy("kms:*", bad))["KeyMetadata"]["KeyId"]


def _topic_made_open(client, bad):
    policy = {"Policy": open_policy("sns:Publish", bad)}
    return client("sns").create_topic(Name=f"catalogue-{next(numbers)}", Attributes=policy)["TopicArn"]


def _topic_let_in(client, arn):
    client("sns").add_permission(TopicArn=arn, Label="b", AWSAccountId=[TWIN], ActionName=["Publish"])


def _queue_let_in(client, name):
    url = client("sqs").get_queue_url(QueueName=name)["QueueUrl"]
    client("sqs").add_permission(QueueUrl=url, Label="b", AWSAccountIds=[TWIN], Actions=["SendMessage"])


# ---- what watches ----


def _trail_made_without_validation(client, bad):
    return new_trail(client, EnableLogFileValidation=not bad)


def _trail_never_started(client, bad):
    return new_trail(client, logging=not bad)


def _trail_narrowed(client, _):
    """The last one sees its own Region alone."""
    for one in client("cloudtrail").describe_trails()["trailList"]:
        client.quietly("cloudtrail", one["HomeRegion"]).delete_trail(Name=one["Name"])
    client("cloudtrail", REGION).update_trail(Name=new_trail(client.quietly), IsMultiRegionTrail=False)
    return "trails"


def _trail_made_unheard(client, _):
    group, of_group = watched_group(client)
    switch_alarms_off(client.quietly, group)
    return new_trail(client, **of_group)


def _alarms(event, call):
    """They are switched off; which trail a call concerns that has nothing to do with it, the sweep finds."""
    return Row("trail-alarms-missing", event, woken(alarms_switched_off, call), nobody_would_hear)


def _another_group(client):
    name = f"catalogue-{next(numbers)}"
    client.quietly("logs").create_log_group(logGroupName=name)
    return name


def _filter_put(client, _):
    values = [{"metricName": "Other", "metricNamespace": "Other", "metricValue": "1"}]
    client("logs").put_metric_filter(
        logGroupName=_another_group(client), filterName="other", filterPattern="{ $.a = x }", metricTransformations=values
    )


def _alarm_put(client, _):
    client("cloudwatch").put_metric_alarm(
        AlarmName="other", MetricName="Other", Namespace="Other", Statistic="Sum", Period=300, Threshold=1,
        EvaluationPeriods=1, ComparisonOperator="GreaterThanOrEqualToThreshold",
    )  # fmt: skip


def _alarm_deleted(client, _):
    _alarm_put(client.quietly, _)
    client("cloudwatch").delete_alarms(AlarmNames=["other"])


def _another_topic(client):
    return client.quietly("sns").create_topic(Name=f"catalogue-{next(numbers)}")["TopicArn"]


def _unsubscribed(client, _):
    endpoint = f"arn:aws:sqs:{REGION}:{TWIN}:other"
    made = client.quietly("sns").subscribe(TopicArn=_another_topic(client), Protocol="sqs", Endpoint=endpoint)
    client("sns").unsubscribe(SubscriptionArn=made["SubscriptionArn"])


def _channel_deleted(client, _):
    for channel in client("config").describe_delivery_channels()["DeliveryChannels"]:
        client("config").delete_delivery_channel(DeliveryChannelName=channel["name"])


def _recorder_put(client, _):
    for recorder in client("config").describe_configuration_recorders()["ConfigurationRecorders"]:
        put_recorder(client("config"), recorder["name"])


TAGS = {"TagSet": [{"Key": "team", "Value": "web"}]}
OWNERSHIP = {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
NO_BLOCK = dict.fromkeys(FOUR, False)

WAKES = [
    _bucket("PutBucketWebsite", "put_bucket_website", WebsiteConfiguration={"IndexDocument": {"Suffix": "index.html"}}),
    _bucket("PutBucketPublicAccessBlock", "put_public_access_block", PublicAccessBlockConfiguration=NO_BLOCK),
    _bucket("DeleteBucketPublicAccessBlock", "delete_public_access_block"),
    _bucket("PutBucketOwnershipControls", "put_bucket_ownership_controls", OwnershipControls=OWNERSHIP),
    _bucket("DeleteBucketOwnershipControls", "delete_bucket_ownership_controls"),
    _bucket("PutBucketTagging", "put_bucket_tagging", Tagging=TAGS),
    _bucket("DeleteBucketTagging", "delete_bucket_tagging"),
    Row("bucket-public", "CreateBucket", _bucket_made_open, bucket_acl_is_open),
    _account_opened("PutAccountPublicAccessBlock", lambda account: account.put(**NO_BLOCK)),
    _account_opened("DeleteAccountPublicAccessBlock", lambda account: account.call("DELETE")),
    Row("database-public", "ModifyDBInstance", _database_modified, database_is_public),
    _database_from("CreateDBInstanceReadReplica", "create_db_instance_read_replica", "SourceDBInstanceIdentifier"),
    _database_from("RestoreDBInstanceFromDBSnapshot", "restore_db_instance_from_db_snapshot", "DBSnapshotIdentifier"),
    _database_from("RestoreDBInstanceToPointInTime", "restore_db_instance_to_point_in_time", "SourceDBInstanceIdentifier",
                   "TargetDBInstanceIdentifier", UseLatestRestorableTime=True),
    Row("instance-metadata-v1", "ModifyInstanceMetadataOptions", _options_loosened, tokens_are_optional),
    Row("instance-powerful", "ReplaceIamInstanceProfileAssociation", woken(powerful_instance, _profile_replaced), has_power),
    Row("ssh-open-to-internet", "ModifyManagedPrefixList", _ssh_list_that_grew, from_a_prefix_list),
    Row("transit-gateway-with-strangers", "CreateTransitGatewayPeeringAttachment", woken(gateway_attached, _gateway_peers),
        stranger_is_attached, fixes=False),
    Row("transit-gateway-with-strangers", "CreateTransitGatewayVpcAttachment", woken(gateway_attached, _network_attached),
        stranger_is_attached, fixes=False),
    Row("key-policy-public", "CreateKey", _key_made_open, key_is_open),
    Row("topic-policy-public", "CreateTopic", _topic_made_open, topic_is_open),
    Row("topic-policy-public", "AddPermission", woken(topic, _topic_let_in), topic_is_open),
    Row("queue-policy-public", "AddPermission", woken(queue_policy, _queue_let_in), queue_is_open),
    Row("trail-stopped", "CreateTrail", _trail_never_started, trail_stands_still),
    Row("trail-weakened", "CreateTrail", _trail_made_without_validation, trail_leaves_something_out),
    Row("no-trail", "UpdateTrail", _trail_narrowed, no_trail_is_left, GLOBAL),
    Row("trail-alarms-missing", "CreateTrail", _trail_made_unheard, nobody_would_hear),
    _alarms("UpdateTrail", lambda client, name: client("cloudtrail").update_trail(Name=name, IncludeGlobalServiceEvents=True)),
    _alarms("PutMetricFilter", _filter_put),
    _alarms("DeleteLogGroup", lambda client, _: client("logs").delete_log_group(logGroupName=_another_group(client))),
    _alarms("PutMetricAlarm", _alarm_put),
    _alarms("DeleteAlarms", _alarm_deleted),
    _alarms("Unsubscribe", _unsubscribed),
    _alarms("DeleteTopic", lambda client, _: client("sns").delete_topic(TopicArn=_another_topic(client))),
    Row("config-off", "DeleteDeliveryChannel", woken(recorder_stopped, _channel_deleted), nothing_is_recorded),
    Row("config-off", "PutConfigurationRecorder", woken(recorder_stopped, _recorder_put), nothing_is_recorded),
]


# ---- without a cloud ----


@dataclasses.dataclass
class Recorded:
    """An event as CloudTrail writes it, of a call that cannot be made here."""

    guardrails: tuple
    service: str
    event: str
    why: str
    detail: dict
    ids: list  # what it is to name; none: its account and Region are swept

    def __str__(self):
        return self.event


def _new_dialect(event, **parameters):
    """EC2's newer operations (tests/support/stack/tap/cloudtrail.py)"""
    return {"requestParameters": {f"{event}Request": parameters}, "responseElements": {f"{event}Response": {"requestId": "r"}}}


RECORDED = [
    Recorded(("ssh-open-to-internet", "sensitive-ports-open-to-internet"), "ec2", "RestoreManagedPrefixListVersion",
             "moto does not have it",
             _new_dialect("RestoreManagedPrefixListVersion", PrefixListId="pl-1", PreviousVersion=1, CurrentVersion=2), []),
    Recorded(("transit-gateway-with-strangers",), "ec2", "AcceptTransitGatewayVpcAttachment", "moto does not have it",
             _new_dialect("AcceptTransitGatewayVpcAttachment", TransitGatewayAttachmentId="tgw-attach-1"), []),
    Recorded(("database-public",), "rds", "RestoreDBInstanceFromS3", "moto does not have it",
             {"requestParameters": {"dBInstanceIdentifier": "Shop", "engine": "mysql", "publiclyAccessible": True},
              "responseElements": {"dBInstanceIdentifier": "shop", "publiclyAccessible": True}}, ["shop"]),
]  # fmt: skip
