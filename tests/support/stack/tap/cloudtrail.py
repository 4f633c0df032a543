"""The record that CloudTrail would write of a call, in EventBridge's envelope.

EC2 is shown in two dialects.  The old one: lowerCamel names as in EC2's XML, lists as X.items[], an empty list as {},
"_return".  The new one (operations of about 2017 and later): requestParameters.<Op>Request with the request's own
names, responseElements.<Op>Response; both went through an XML-to-JSON converter, so that a list of one is an object,
text that looks like a number or a boolean is one, and an element of a request's list carries "tag", its position.
The shapes were taken from public CloudTrail samples; where those show nothing, the model's names are used."""

import datetime
import re
import uuid

from botocore.parsers import create_parser

from .identity import utc

GLOBAL_SERVICES = {"iam", "organizations", "route53", "cloudfront", "sts-global"}

NEW_DIALECT = re.compile(
    r"ModifySecurityGroupRules|.*ManagedPrefixList.*|.*IamInstanceProfileAssociation|(Associate|Disassociate)Iam.*"
    r"|.*TransitGateway.*|.*FlowLogs|.*NatGateway|.*VpcEndpoint.*|ModifyInstanceMetadata.*|.*LaunchTemplate.*|.*Fleet.*"
    r"|.*EbsEncryptionByDefault|.*SnapshotBlockPublicAccess|.*ImageBlockPublicAccess|.*VpcBlockPublicAccess.*"
    r"|.*SecurityGroupVpc|.*TrafficMirror.*|.*ClientVpn.*|.*CapacityReservation.*"
)

# Names of a list and of its scalar elements in the old dialect, where the model does not tell.
OLD_LISTS = {
    "TagSpecifications": ("tagSpecificationSet", None),
    "Resources": ("resourcesSet", "resourceId"),
    "Tags": ("tagSet", None),
    "InstanceIds": ("instancesSet", "instanceId"),
    "SecurityGroupIds": ("groupSet", "groupId"),
    "Groups": ("groupSet", "groupId"),
    "SecurityGroupRuleIds": ("securityGroupRuleIds", "securityGroupRuleId"),
    "NetworkInterfaces": ("networkInterfaceSet", None),
    "BlockDeviceMappings": ("blockDeviceMapping", None),
}
# The one list that is a plain array under its own name.
TAGS_OF_SPECIFICATION = ("TagSpecifications", "Tags")
# Lists that are there, empty, even when the request has none.
PERMISSION_LISTS = ("groups", "ipRanges", "ipv6Ranges", "prefixListIds")
WITH_PERMISSIONS = re.compile(r"(Authorize|Revoke)SecurityGroup(Ingress|Egress)")

# S3's event names differ from its API's.
S3_EVENTS = {
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "DeletePublicAccessBlock": "DeleteBucketPublicAccessBlock",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
    "PutBucketLifecycleConfiguration": "PutBucketLifecycle",
    "PutBucketAccelerateConfiguration": "PutAccelerateConfiguration",
}
S3_CONTROL_EVENTS = {
    "PutPublicAccessBlock": "PutAccountPublicAccessBlock",
    "DeletePublicAccessBlock": "DeleteAccountPublicAccessBlock",
}
SECRETS = re.compile(r"(?i)(secretaccesskey|password|sessiontoken|secretstring|privatekey|plaintext)")
OMITTED_OVER = 100_000  # bytes; CloudTrail replaces longer fields


def lower(name):
    return name[:1].lower() + name[1:]


def upper(name):
    return name[:1].upper() + name[1:]


def _scalar(value):
    if isinstance(value, datetime.datetime):
        return int(value.timestamp() * 1000)
    if isinstance(value, (bytes, bytearray)):
        return value.decode("utf-8", "replace")
    return value


# ---- EC2, old dialect -----------------------------------------------------------------------------------------


def _old(value, shape, path=()):
    if shape.type_name == "structure":
        return {
            _old_name(name, shape.members[name], path): _old(member, shape.members[name], (*path, name))
            for name, member in value.items()
            if name in shape.members
        }
    if shape.type_name == "list":
        if path == TAGS_OF_SPECIFICATION:
            return [_old(item, shape.member, path) for item in value]
        if not value:
            return {}
        return {"items": [_old_item(item, shape, path) for item in value]}
    return _scalar(value)


def _old_name(name, shape, path):
    if (*path, name) == TAGS_OF_SPECIFICATION:
        return "tags"
    if shape.type_name == "list" and name in OLD_LISTS:
        return OLD_LISTS[name][0]
    return lower(shape.serialization.get("name", name))


def _old_item(item, shape, path):
    if shape.member.type_name in ("structure", "list"):
        return _old(item, shape.member, path)
    name = OLD_LISTS.get(path[-1], (None, None))[1]
    return {name or lower(re.sub(r"(Ids|s)$", lambda m: "Id" if m.group(1) == "Ids" else "", path[-1])): _scalar(item)}


def _old_request(operation, parameters, shape):
    shown = _old(parameters, shape)
    if WITH_PERMISSIONS.fullmatch(operation.name):
        permissions = shown.setdefault("ipPermissions", {})
        for permission in permissions.get("items", []):
            for name in PERMISSION_LISTS:
                permission.setdefault(name, {})
    if operation.name == "RunInstances":
        counts = {name: shown.pop(name) for name in ("imageId", "minCount", "maxCount") if name in shown}
        shown["instancesSet"] = {"items": [counts]}
    return shown


def _old_response(operation, result, shape, request_id):
    shown = {"requestId": request_id}
    for name, value in _old(result, shape).items():
        shown["_return" if name == "return" else name] = value
    if operation.name == "CreateSecurityGroup":
        shown["_return"] = True  # not in the model, but in the samples
    for rules in ("securityGroupRuleSet", "revokedSecurityGroupRuleSet"):
        for item in shown.get(rules, {}).get("items", []):
            if item.get("tagSet") == {}:
                del item["tagSet"]
    return shown


# ---- EC2, new dialect -----------------------------------------------------------------------------------------


def _converted(value):
    """What the XML-to-JSON converter makes of a scalar."""
    if isinstance(value, datetime.datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, str):
        if value in ("true", "false"):
            return value == "true"
        if re.fullmatch(r"-?(0|[1-9]\d{0,17})", value):
            return int(value)
    return value


def _single(items):
    return items[0] if len(items) == 1 else items


def _new_request(value, shape):
    if shape.type_name == "structure":
        members = [(name, shape.members[name]) for name in value if name in shape.members]
        return {_new_name(name, member): _new_request(value[name], member) for name, member in members}
    if shape.type_name == "list":
        return _single([_tagged(item, shape.member, position) for position, item in enumerate(value, 1)])
    return _converted(value)


def _new_name(name, shape):
    return upper(shape.serialization.get("queryName") or shape.serialization.get("name", name))


def _tagged(item, shape, position):
    if shape.type_name == "structure":
        return {**_new_request(item, shape), "tag": position}
    return {"tag": position, "content": _converted(item)}


def _new_response(value, shape):
    if shape.type_name == "structure":
        return {
            lower(shape.members[name].serialization.get("name", name)): _new_response(member, shape.members[name])
            for name, member in value.items()
            if name in shape.members
        }
    if shape.type_name == "list":
        return {"item": _single([_new_response(item, shape.member) for item in value])} if value else ""
    return _converted(value)


# ---- other services -------------------------------------------------------------------------------------------


def _plain(value):
    if isinstance(value, dict):
        return {lower(name): _plain(member) for name, member in value.items() if not SECRETS.search(name)}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, datetime.datetime):
        return value.strftime("%b %-d, %Y %-I:%M:%S %p")
    return _scalar(value)


def _s3_request(operation, parameters, host, query):
    import json

    shown = {"bucketName": parameters.get("Bucket"), "Host": host}
    for name in query:
        shown[name] = ""
    for name, value in parameters.items():
        if name == "Policy":
            try:
                shown["bucketPolicy"] = json.loads(value)
            except ValueError:
                shown["bucketPolicy"] = value
        elif name == "ACL":
            shown["x-amz-acl"] = [value]
        elif isinstance(value, dict):
            shown[name] = {key: _scalar(item) for key, item in value.items()}
        elif name == "AccountId":
            shown["accountId"] = value
    if shown["bucketName"] is None:
        del shown["bucketName"]
    return shown


# ---- the record -----------------------------------------------------------------------------------------------


def parse_response(operation, status, headers, body):
    parser = create_parser(operation.protocol)
    result = parser.parse({"status_code": status, "headers": headers, "body": body}, operation.model.output_shape)
    result.pop("ResponseMetadata", None)
    return result


def _request_parameters(call):
    shape = call.operation.model.input_shape
    if call.operation.service == "ec2":
        parameters = {name: value for name, value in call.parameters.items() if name != "DryRun"}
        if NEW_DIALECT.fullmatch(call.operation.name):
            return {f"{call.operation.name}Request": _new_request(parameters, shape)}
        return _old_request(call.operation, parameters, shape)
    if call.operation.service in ("s3", "s3control"):
        return _s3_request(call.operation, call.parameters, call.host, call.query_names)
    return _plain(call.parameters) or None


def _response_elements(call, status, headers, body):
    shape = call.operation.model.output_shape
    if call.operation.service in ("s3", "s3control"):
        return None
    result = parse_response(call.operation, status, headers, body) if shape is not None else {}
    if call.operation.service == "rds" and len(result) == 1:
        (result,) = result.values()  # shown are the members of the DBInstance, not itself
    if call.operation.service == "ec2":
        if NEW_DIALECT.fullmatch(call.operation.name):
            shown = {"xmlns": "http://ec2.amazonaws.com/doc/2016-11-15/", "requestId": call.request_id}
            if shape is not None:
                shown.update(_new_response(result, shape))
            return {f"{call.operation.name}Response": shown}
        if shape is None:
            return {"requestId": call.request_id, "_return": True}
        return _old_response(call.operation, result, shape, call.request_id)
    return _plain(result) or None


def _event_name(operation):
    table = {"s3": S3_EVENTS, "s3control": S3_CONTROL_EVENTS}.get(operation.service, {})
    return table.get(operation.name, operation.name)


def _limited(value):
    if value is not None and len(repr(value)) > OMITTED_OVER:
        return {"omitted": True, "originalSize": len(repr(value)), "reason": "Record is too large"}
    return value


def home_region(call):
    """Where CloudTrail records the call: global services in us-east-1."""
    return "us-east-1" if call.operation.service in GLOBAL_SERVICES else call.region


def record(call, status, headers, body, code, message):
    """The CloudTrail record of a finished call; code and message are None where it succeeded."""
    source = "s3" if call.operation.service == "s3control" else call.operation.signing_name
    event = {
        "eventVersion": "1.11",
        "userIdentity": call.principal.identity(),
        "eventTime": utc(call.time),
        "eventSource": f"{source}.amazonaws.com",
        "eventName": _event_name(call.operation),
        "awsRegion": home_region(call),
        "sourceIPAddress": call.source_ip,
        "userAgent": call.user_agent,
    }
    if code:
        event["errorCode"] = (
            f"{'Server' if status >= 500 else 'Client'}.{code}" if call.operation.service == "ec2" else code
        )
        event["errorMessage"] = message
    event["requestParameters"] = _limited(_request_parameters(call))
    event["responseElements"] = None if code else _limited(_response_elements(call, status, headers, body))
    event.update(
        {
            "requestID": call.request_id,
            "eventID": str(uuid.uuid4()),
            "readOnly": False,
            "eventType": "AwsApiCall",
            "managementEvent": True,
            "recipientAccountId": call.principal.account,
            "eventCategory": "Management",
            "tlsDetails": {
                "tlsVersion": "TLSv1.3",
                "cipherSuite": "TLS_AES_128_GCM_SHA256",
                "clientProvidedHostHeader": f"{call.operation.signing_name}.{call.region}.amazonaws.com",
            },
        }
    )
    return event


def envelope(event):
    """EventBridge's envelope around a record, as the rule's target receives it."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws." + event["eventSource"].partition(".")[0],
        "account": event["recipientAccountId"],
        "time": event["eventTime"],
        "region": event["awsRegion"],
        "resources": [],
        "detail": event,
    }
