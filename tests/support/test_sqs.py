"""The stack's SQS: what a collector relies on."""

import hashlib
import http.client
import json
import time
import urllib.parse

import pytest
from botocore.exceptions import ClientError
from stack.rates import sqs_rate

REGION = "eu-west-1"


@pytest.fixture
def sqs(stack):
    return stack.hub().client("sqs", REGION)


@pytest.fixture
def url(sqs):
    return sqs.create_queue(QueueName="q")["QueueUrl"]


@pytest.fixture(autouse=True)
def _empty(stack):
    yield
    stack.tap.reset(queues=True)


def code_of(call, **parameters):
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return caught.value.response["Error"]["Code"]


def _send(sqs, url, *bodies):
    entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies)]
    return sqs.send_message_batch(QueueUrl=url, Entries=entries)


def _receive(sqs, url, **more):
    return sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, **more).get("Messages", [])


def test_event_queues_are_in_every_region(stack):
    for region in stack.regions:
        client = stack.hub().client("sqs", region)
        assert client.get_queue_url(QueueName="parapet-events")["QueueUrl"] == stack.queue_url(region)
    stack.send("us-west-2", ['{"a": 1}'])
    assert _receive(stack.hub().client("sqs", "us-east-1"), stack.queue_url()) == []
    assert json.loads(_receive(stack.hub().client("sqs", "us-west-2"), stack.queue_url())[0]["Body"]) == {"a": 1}


def test_send_receive_delete(sqs, url):
    sent = sqs.send_message(QueueUrl=url, MessageBody="hello")
    assert sent["MD5OfMessageBody"] == hashlib.md5(b"hello").hexdigest()
    message = sqs.receive_message(QueueUrl=url, AttributeNames=["All"])["Messages"][0]
    assert message["Body"] == "hello" and message["MessageId"] == sent["MessageId"]
    assert message["MD5OfBody"] == hashlib.md5(b"hello").hexdigest()
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])  # again is no error
    assert _receive(sqs, url, VisibilityTimeout=0) == []


def test_visibility(sqs, url):
    _send(sqs, url, "a")
    first = _receive(sqs, url, VisibilityTimeout=1)[0]
    assert _receive(sqs, url) == []
    counts = sqs.get_queue_attributes(
        QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    )["Attributes"]
    assert counts == {"ApproximateNumberOfMessages": "0", "ApproximateNumberOfMessagesNotVisible": "1"}
    second = _receive(sqs, url, WaitTimeSeconds=5, AttributeNames=["ApproximateReceiveCount"])[
        0
    ]  # waits for its return
    assert second["Attributes"] == {"ApproximateReceiveCount": "2"}
    sqs.delete_message(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])  # the old handle no longer deletes
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=second["ReceiptHandle"], VisibilityTimeout=0)
    assert len(_receive(sqs, url)) == 1
    assert (
        code_of(sqs.change_message_visibility, QueueUrl=url, ReceiptHandle=first["ReceiptHandle"], VisibilityTimeout=1)
        == "MessageNotInflight"
    )


def test_visibility_is_extended(sqs, url):
    _send(sqs, url, "a")
    message = _receive(sqs, url, VisibilityTimeout=1)[0]
    entries = [{"Id": "1", "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 60}]
    assert sqs.change_message_visibility_batch(QueueUrl=url, Entries=entries)["Successful"] == [{"Id": "1"}]
    time.sleep(1.2)
    assert _receive(sqs, url) == []


def test_long_poll_wakes_at_once_and_ends_in_time(stack, sqs, url):
    started = time.monotonic()
    assert _receive(sqs, url, WaitTimeSeconds=1) == []
    assert 0.9 <= time.monotonic() - started < 5
    import threading

    threading.Timer(0.5, lambda: sqs.send_message(QueueUrl=url, MessageBody="late")).start()
    started = time.monotonic()
    assert [m["Body"] for m in _receive(sqs, url, WaitTimeSeconds=20)] == ["late"]
    assert time.monotonic() - started < 10


def test_batches(sqs, url):
    assert len(_send(sqs, url, *map(str, range(10)))["Successful"]) == 10
    got = _receive(sqs, url)
    assert sorted(m["Body"] for m in got) == sorted(map(str, range(10)))
    entries = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(got)]
    entries[3]["ReceiptHandle"] = "nonsense"
    result = sqs.delete_message_batch(QueueUrl=url, Entries=entries)
    assert len(result["Successful"]) == 9
    assert [(f["Id"], f["Code"], f["SenderFault"]) for f in result["Failed"]] == [("3", "ReceiptHandleIsInvalid", True)]


BAD_BATCHES = {
    "AWS.SimpleQueueService.BatchEntryIdsNotDistinct": [
        {"Id": "a", "MessageBody": "x"},
        {"Id": "a", "MessageBody": "y"},
    ],
    "AWS.SimpleQueueService.TooManyEntriesInBatchRequest": [{"Id": str(n), "MessageBody": "x"} for n in range(11)],
    "AWS.SimpleQueueService.EmptyBatchRequest": [],
    "AWS.SimpleQueueService.InvalidBatchEntryId": [{"Id": "no spaces", "MessageBody": "x"}],
    "AWS.SimpleQueueService.BatchRequestTooLong": [{"Id": str(n), "MessageBody": "x" * 300_000} for n in range(4)],
}


@pytest.mark.parametrize("code", BAD_BATCHES)
def test_bad_batches(sqs, url, code):
    assert code_of(sqs.send_message_batch, QueueUrl=url, Entries=BAD_BATCHES[code]) == code


def test_limits(sqs, url):
    sqs.send_message(QueueUrl=url, MessageBody="x" * 1048576)
    assert code_of(sqs.send_message, QueueUrl=url, MessageBody="x" * 1048577) == "InvalidParameterValue"
    assert code_of(sqs.send_message, QueueUrl=url, MessageBody="\x00") == "InvalidMessageContents"
    assert code_of(sqs.receive_message, QueueUrl=url, MaxNumberOfMessages=11) == "InvalidParameterValue"
    assert code_of(sqs.receive_message, QueueUrl=url, WaitTimeSeconds=21) == "InvalidParameterValue"


def test_missing_and_foreign_queues(stack, sqs, url):
    missing = "AWS.SimpleQueueService.NonExistentQueue"
    assert code_of(sqs.get_queue_url, QueueName="nope") == missing
    assert code_of(sqs.receive_message, QueueUrl=url + "nope") == missing
    foreign = stack.stranger(stack.ids[0]).client("sqs", REGION)
    assert code_of(foreign.receive_message, QueueUrl=url) == "AccessDeniedException"
    assert any(one.endswith("/q") for one in sqs.list_queues(QueueNamePrefix="q")["QueueUrls"])


def test_purge(sqs, url):
    _send(sqs, url, "a", "b")
    sqs.purge_queue(QueueUrl=url)
    assert _receive(sqs, url) == []


def test_message_attributes(sqs, url):
    # boto3 itself checks MD5OfMessageAttributes against what it sent.
    attributes = {"kind": {"DataType": "String", "StringValue": "x"}, "n": {"DataType": "Number", "StringValue": "1"}}
    sqs.send_message(QueueUrl=url, MessageBody="m", MessageAttributes=attributes)
    assert _receive(sqs, url, MessageAttributeNames=["All"])[0]["MessageAttributes"] == attributes


def test_query_protocol(stack, sqs, url):
    _send(sqs, url, "<&>")
    text = _query(stack, {"Action": "ReceiveMessage", "QueueUrl": url, "MaxNumberOfMessages": "10"})
    assert "<Message><MessageId>" in text and "<Body>&lt;&amp;&gt;</Body>" in text
    handle = text.partition("<ReceiptHandle>")[2].partition("<")[0]
    batch = "DeleteMessageBatchRequestEntry.1."
    text = _query(
        stack, {"Action": "DeleteMessageBatch", "QueueUrl": url, batch + "Id": "1", batch + "ReceiptHandle": handle}
    )
    assert "<DeleteMessageBatchResultEntry><Id>1</Id></DeleteMessageBatchResultEntry>" in text
    text = _query(stack, {"Action": "GetQueueUrl", "QueueName": "nope"})
    assert "<Code>AWS.SimpleQueueService.NonExistentQueue</Code>" in text


def _query(stack, parameters):
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    hub = stack.hub()
    body = urllib.parse.urlencode({"Version": "2012-11-05", **parameters})
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    request = AWSRequest("POST", stack.tap.url + "/", headers, body)
    SigV4Auth(Credentials(hub.key, hub.secret), "sqs", REGION).add_auth(request)
    connection = http.client.HTTPConnection("127.0.0.1", stack.tap.port, timeout=30)
    connection.request("POST", "/", body, dict(request.headers))
    text = connection.getresponse().read().decode()
    connection.close()
    return text


def test_it_keeps_up(stack):
    # A thousand a second on an idle machine (stack.py rates); a busy one gets a wide margin here.
    assert sqs_rate(stack, 1000) > 100
