"""Every protocol's requests are signed so that an emulator which checks signatures and identity policies takes them."""

import json
import os
import subprocess
import urllib.request
from pathlib import Path

import boto3
import pytest
from stack.moto_server import Moto

PARAPET = Path(__file__).resolve().parents[2] / os.environ.get("BUILD", "build") / "parapet"
REGION = "eu-west-1"
ACCOUNT = "123456789012"  # moto's own
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
ODD = "a b+c=d&e/f~g:'(ü€)*!%41,;"  # what canonical forms get wrong

CALLS = [  # (operation, parameters); in order: later ones need what earlier ones made
    # query
    ("sts.GetCallerIdentity", {}),
    ("iam.CreatePolicy", {"PolicyName": "p", "PolicyDocument": json.dumps(EVERYTHING), "Description": "a b+c=d&e/f~'(x)*!%41"}),
    ("sns.CreateTopic", {"Name": "topic", "Tags": [{"Key": "odd", "Value": ODD}]}),
    # ec2
    ("ec2.DescribeSecurityGroups", {"Filters": [{"Name": "group-name", "Values": ["default", ODD]}]}),
    ("ec2.CreateVpc", {"CidrBlock": "10.1.0.0/16", "TagSpecifications": [{"ResourceType": "vpc", "Tags": [{"Key": "odd", "Value": ODD}]}]}),
    # json 1.0 and 1.1
    ("dynamodb.ListTables", {"Limit": 5}),
    ("sqs.CreateQueue", {"QueueName": "queue", "tags": {"odd": ODD}}),
    ("kms.ListKeys", {}),
    ("ssm.PutParameter", {"Name": "/a/b", "Value": ODD, "Type": "String"}),
    ("logs.CreateLogGroup", {"logGroupName": "/group/one", "tags": {"odd": "ü €"}}),
    # rest-json: paths and queries to be made canonical
    ("lambda.ListFunctions", {"MaxItems": 3}),
    ("guardduty.CreateDetector", {"Enable": True, "Tags": {"odd": ODD}}),
    ("apigateway.CreateRestApi", {"name": ODD}),
    # rest-xml; S3 has path rules of its own
    ("s3.CreateBucket", {"Bucket": "bucket", "CreateBucketConfiguration": {"LocationConstraint": REGION}}),
    # moto refuses boto3's signatures, too, of keys with +=&'()*! and of slashes in queries: tests/conformance has those.
    ("s3.PutObject", {"Bucket": "bucket", "Key": "a b/c d.txt", "Body": "aGVsbG8=", "Metadata": {"one": "two words"}}),
    ("s3.PutObject", {"Bucket": "bucket", "Key": "plain", "Body": "aGVsbG8=", "Metadata": {"one": "two  words"}}),
    ("s3.GetObject", {"Bucket": "bucket", "Key": "a b/c d.txt"}),
    ("s3.PutObject", {"Bucket": "bucket", "Key": "double//slash/../up/.", "Body": ""}),
    ("s3.ListObjectsV2", {"Bucket": "bucket", "Prefix": "a b"}),
    ("s3.PutBucketTagging", {"Bucket": "bucket", "Tagging": {"TagSet": [{"Key": "odd", "Value": ODD}]}}),
    ("s3.GetBucketTagging", {"Bucket": "bucket"}),
    ("route53.ListHostedZones", {"MaxItems": "5"}),
    ("route53.CreateHostedZone", {"Name": "example.com.", "CallerReference": "one two"}),
    ("cloudfront.ListDistributions", {}),
]


@pytest.fixture(scope="module")
def strict(tmp_path_factory):
    """moto that checks signatures; {url, key, secret} of a user who may do everything, and the role that it may assume."""
    moto = Moto(tmp_path_factory.mktemp("moto"))
    moto.launch()
    try:
        moto.wait_ready()
        url = moto.urls[0]
        iam = boto3.client("iam", endpoint_url=url, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
        user = iam.create_user(UserName="operator")["User"]
        iam.put_user_policy(UserName="operator", PolicyName="all", PolicyDocument=json.dumps(EVERYTHING))
        trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": user["Arn"]}}
        iam.create_role(RoleName="worker", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))
        iam.put_role_policy(RoleName="worker", PolicyName="all", PolicyDocument=json.dumps(EVERYTHING))
        key = iam.create_access_key(UserName="operator")["AccessKey"]
        reset = urllib.request.Request(f"{url}/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"}, method="POST")
        urllib.request.urlopen(reset, timeout=30).read()
        yield {"url": url, "key": key["AccessKeyId"], "secret": key["SecretAccessKey"]}
    finally:
        moto.stop()


def call(strict, operation, params, *more, secret=None):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PARAPET_"))}
    environment |= {
        "AWS_ENDPOINT_URL": strict["url"],
        "AWS_ACCESS_KEY_ID": strict["key"],
        "AWS_SECRET_ACCESS_KEY": secret or strict["secret"],
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    command = [PARAPET, "aws", operation, json.dumps(params), "--region", REGION, "--output", "json", *more]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_wrong_signature_is_refused(strict):
    for operation, params in ("sts.GetCallerIdentity", {}), ("s3.ListBuckets", {}), ("ec2.DescribeVpcs", {}):
        refused = call(strict, operation, params, secret="w" * 40)
        assert refused.returncode == 6, (operation, refused.stdout, refused.stderr)  # denied
        assert "SignatureDoesNotMatch" in refused.stderr or "AuthFailure" in refused.stderr, refused.stderr
        assert "w" * 40 not in refused.stderr


def test_every_protocol_is_accepted(strict):
    failed = {}
    for operation, params in CALLS:
        done = call(strict, operation, params)
        if done.returncode != 0:
            failed[f"{operation} {params}"] = done.stderr
    assert not failed


def test_an_assumed_role_signs_with_its_token(strict):
    for operation, params in ("ec2.DescribeVpcs", {}), ("s3.ListBuckets", {}), ("kms.ListKeys", {}), ("route53.ListHostedZones", {}):
        done = call(strict, operation, params, "--account", ACCOUNT, "--role", "worker")
        assert done.returncode == 0, (operation, done.stderr)
    who = json.loads(call(strict, "sts.GetCallerIdentity", {}, "--account", ACCOUNT, "--role", "worker").stdout)
    assert ":assumed-role/worker/" in who["Arn"]
