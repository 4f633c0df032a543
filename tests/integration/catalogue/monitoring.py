"""Trails, alarms, recorders and detectors, weakened, stopped and deleted."""

from . import REGION, TWIN, numbers


def new_trail(client, logging=True, **more):
    """One for all Regions, of which its CreateTrail alone is told."""
    name, quietly = f"catalogue-{next(numbers)}", client.quietly
    quietly("s3", REGION).create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    settings = {"IsMultiRegionTrail": True, "EnableLogFileValidation": True, "IncludeGlobalServiceEvents": True, **more}
    client("cloudtrail", REGION).create_trail(Name=name, S3BucketName=name, **settings)
    if logging:
        quietly("cloudtrail", REGION).start_logging(Name=name)
    return name


def trail(client, bad):
    name = new_trail(client)
    if bad:
        client("cloudtrail").stop_logging(Name=name)
    return name


def trail_stands_still(client, name):
    return not client("cloudtrail").get_trail_status(Name=name)["IsLogging"]


def trail_without_validation(client, bad):
    name = new_trail(client)
    client("cloudtrail").update_trail(Name=name, EnableLogFileValidation=not bad)
    return name


def trail_of_writes(client, bad):
    name = new_trail(client)
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


def watched_group(client):
    """A log group that is watched as it should be, and no trail yet: (its name, what a trail says of it)"""
    group, client = f"catalogue-{next(numbers)}", client.quietly
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
    role = f"arn:aws:iam::{client.account}:role/trail"
    return group, {"CloudWatchLogsLogGroupArn": arn, "CloudWatchLogsRoleArn": role}


def _trail_with_alarms(client):
    group, of_group = watched_group(client)
    return group, new_trail(client.quietly, **of_group)


def switch_alarms_off(client, group):
    client("cloudwatch").disable_alarm_actions(AlarmNames=[f"{group}-{metric}" for metric in METRICS])


def alarms_switched_off(client, bad):
    group, name = _trail_with_alarms(client)
    if bad:
        switch_alarms_off(client, group)
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
    trails = [(one["Name"], one["HomeRegion"]) for one in found] or [(new_trail(client), REGION)]
    *others, (last, home) = trails
    for name, region in others if bad else []:
        client.quietly("cloudtrail", region).delete_trail(Name=name)
    if bad:
        client("cloudtrail", home).delete_trail(Name=last)
    return "trails"


def no_trail_is_left(client, _):
    return client("cloudtrail").describe_trails()["trailList"] == []


def put_recorder(config, name):
    role, group = "arn:aws:iam::123456789012:role/config", {"allSupported": True, "includeGlobalResourceTypes": False}
    config.put_configuration_recorder(ConfigurationRecorder={"name": name, "roleARN": role, "recordingGroup": group})


def _recorder(client):
    config, name = client.quietly("config"), "main"
    if not config.describe_configuration_recorders()["ConfigurationRecorders"]:
        put_recorder(config, name)
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


def trail_logs(client, name):
    return _described(client, name), client("cloudtrail").get_trail_status(Name=name)["IsLogging"]


def trails_of(client, _):
    return client("cloudtrail").describe_trails()["trailList"]


def recorder_of(client, _):
    config = client("config")
    statuses = [one["recording"] for one in config.describe_configuration_recorder_status()["ConfigurationRecordersStatus"]]
    recorders = config.describe_configuration_recorders()["ConfigurationRecorders"]
    return recorders, statuses, config.describe_delivery_channels()["DeliveryChannels"]


def detectors_of(client, _):
    guardduty = client("guardduty")
    found = [(one, guardduty.get_detector(DetectorId=one)) for one in guardduty.list_detectors()["DetectorIds"]]
    return [(one, shown["Status"], shown["FindingPublishingFrequency"], shown["Tags"]) for one, shown in found]
