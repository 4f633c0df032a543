"""Policies of buckets, keys, topics and queues, open to everybody and nearly so; what an account forbids all its buckets."""

import http.client
import json

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from . import GLOBAL, TWIN, numbers, policy_text


def open_policy(action, bad, resource="*"):
    more = {} if bad else {"Condition": {"StringEquals": {"aws:SourceAccount": TWIN}}}
    return policy_text("*", action, Resource=resource, **more)


def _is_open(text):
    return any(s["Principal"] in ("*", {"AWS": "*"}) and not s.get("Condition") for s in json.loads(text)["Statement"])


def new_bucket(client, **more):
    s3, name = client("s3"), f"catalogue-{next(numbers)}"
    if s3.meta.region_name != GLOBAL:
        more["CreateBucketConfiguration"] = {"LocationConstraint": s3.meta.region_name}
    s3.create_bucket(Bucket=name, **more)
    return name


def bucket_policy(client, bad):
    name = new_bucket(client)
    client("s3").put_bucket_policy(Bucket=name, Policy=open_policy("s3:GetObject", bad, f"arn:aws:s3:::{name}/*"))
    return name


def bucket_policy_is_open(client, name):
    return _is_open(client("s3").get_bucket_policy(Bucket=name)["Policy"])


def bucket_acl(client, bad):
    name = new_bucket(client)
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
    policy = json.loads(policy_text({"AWS": "*"} if bad else {"AWS": f"arn:aws:iam::{TWIN}:root"}, "kms:*"))
    client("kms").put_key_policy(KeyId=one, PolicyName="default", Policy=json.dumps(policy))
    return one


def key_is_open(client, one):
    return _is_open(client("kms").get_key_policy(KeyId=one, PolicyName="default")["Policy"])


def topic(client, bad):
    arn = client("sns").create_topic(Name=f"catalogue-{next(numbers)}")["TopicArn"]
    client("sns").set_topic_attributes(
        TopicArn=arn, AttributeName="Policy", AttributeValue=open_policy("sns:Publish", bad, arn)
    )
    return arn


def topic_is_open(client, arn):
    return _is_open(client("sns").get_topic_attributes(TopicArn=arn)["Attributes"]["Policy"])


def _queue(client, name):
    return client("sqs").get_queue_url(QueueName=name)["QueueUrl"]


def queue_policy(client, bad):
    name = f"catalogue-{next(numbers)}"
    url = client.quietly("sqs").create_queue(QueueName=name)["QueueUrl"]
    client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": open_policy("sqs:SendMessage", bad)})
    return name


def queue_made_open(client, bad):
    name = f"catalogue-{next(numbers)}"
    client("sqs").create_queue(QueueName=name, Attributes={"Policy": open_policy("sqs:SendMessage", bad)})
    return name


def queue(client, name):
    return client("sqs").get_queue_attributes(QueueUrl=_queue(client, name), AttributeNames=["All"])["Attributes"]


def queue_is_open(client, name):
    return _is_open(queue(client, name)["Policy"])


def account_flags(client, _):
    return client("s3control").get()


def key_policy(client, one):
    found = client("kms").get_key_policy(KeyId=one, PolicyName="default")["Policy"]
    return json.loads(found), client("kms").describe_key(KeyId=one)["KeyMetadata"]


def topic_policy(client, arn):
    found = client("sns").get_topic_attributes(TopicArn=arn)["Attributes"]
    return {**found, "Policy": json.loads(found["Policy"])}
