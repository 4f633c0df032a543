"""parapet aws: the client at the operator's hand, against the emulator that checks signatures."""

import json

from stack import REGIONS

REGION = REGIONS[0]


def run(stack, *arguments, **more):
    return stack.parapet("aws", *arguments, "--region", REGION, log__level="error", **more)


def test_reads_and_changes_in_an_account_by_its_role(stack):
    account = stack.ids[0]
    made = run(
        stack, "ec2.CreateVpc", '{"CidrBlock": "10.77.0.0/16"}', "--account", account, "--output", "json"
    )
    assert made.returncode == 0, made.stderr
    vpc = json.loads(made.stdout)["Vpc"]["VpcId"]
    asked = {"VpcIds": [vpc]}
    read = run(stack, "ec2.DescribeVpcs", "-", "--account", account, "--output", "json", stdin=json.dumps(asked))
    assert read.returncode == 0, read.stderr
    assert [row["CidrBlock"] for row in json.loads(read.stdout)["Vpcs"]] == ["10.77.0.0/16"]
    table = run(stack, "ec2.DescribeVpcs", json.dumps(asked), "--account", account)
    assert "CidrBlock" in table.stdout and "10.77.0.0/16" in table.stdout
    elsewhere = run(stack, "ec2.DescribeVpcs", json.dumps(asked), "--account", stack.ids[1])
    assert elsewhere.returncode == 7  # not in that account
    assert "InvalidVpcID.NotFound (missing)" in elsewhere.stderr


def test_pages_are_put_together_or_counted(stack):
    account = stack.ids[0]
    s3 = stack.direct(account).client("s3", REGION)
    s3.create_bucket(Bucket="paged", **({} if REGION == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": REGION}}))
    names = [f"object-{n:02}" for n in range(7)]
    for name in names:
        s3.put_object(Bucket="paged", Key=name, Body=b"")
    words = ["s3.ListObjectsV2", '{"Bucket": "paged", "MaxKeys": 3}', "--account", account, "--output", "json"]
    mark = stack.tap.mark()
    whole = json.loads(run(stack, *words, check=True).stdout)
    assert [item["Key"] for item in whole["Contents"]] == names
    assert "NextContinuationToken" not in whole and "IsTruncated" not in whole
    assert len(stack.calls(mark, operation="ListObjectsV2")) == 3
    one = json.loads(run(stack, *words, "--no-paginate", check=True).stdout)
    assert len(one["Contents"]) == 3 and one["NextContinuationToken"]
    some = run(stack, *words, "--max-items", "4", check=True)
    assert len(json.loads(some.stdout)["Contents"]) == 4
    assert "there is more" in some.stderr


def test_dry_run_sends_nothing_and_shows_no_secret(stack):
    mark = stack.tap.mark()
    hub = stack.users[0]
    shown = run(
        stack, "ec2.DeleteVpc", '{"VpcId": "vpc-1"}', "--account", stack.ids[0], "--dry-run", "--output", "json", check=True
    )
    request = json.loads(shown.stdout)
    assert request["method"] == "POST" and "Action=DeleteVpc" in request["body"]
    assert request["headers"]["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=****/")
    assert request["headers"]["Authorization"].endswith("Signature=****")
    assert request["headers"]["X-Amz-Security-Token"] == "****"
    assert request["assumes"].startswith(f"arn:aws:iam::{stack.ids[0]}:role/")
    assert hub["key"] not in shown.stdout + shown.stderr and hub["secret"] not in shown.stdout + shown.stderr
    assert not stack.calls(mark)


def test_errors_have_a_class_and_an_exit_code(stack):
    account = ["--account", stack.ids[0]]
    cases = [
        (["ec2.DescribeVpx"], 7, "did you mean"),
        (["ec2.DescribeVpcs", '{"Filter": 1}'], 2, "Filters"),
        (["ec2.DescribeVpcs", "{"], 2, "parameters"),
        (["ec2.DescribeVpcs", "@/nonexistent"], 2, "cannot be read"),
        (["iam.GetRole", '{"RoleName": "nobody"}', *account], 7, "NoSuchEntity (missing)"),
    ]
    for words, code, text in cases:
        result = run(stack, *words)
        assert result.returncode == code, (words, result.stderr)
        assert text in result.stderr
    error = run(stack, "iam.GetRole", '{"RoleName": "nobody"}', *account, "--output", "json")
    assert json.loads(error.stderr)["error"]["code"] == "NoSuchEntity"
