"""SQS: standard queues in memory, JSON and query protocol.

Messages are delivered at least once, in no promised order; a received message is hidden until its visibility ends, and
its receipt handle then stops working (AWS: it may; here it does, so that a late delete shows)."""

import asyncio
import hashlib
import heapq
import itertools
import json
import re
import time
import uuid
from xml.sax.saxutils import escape

from .errors import Refusal

MAXIMUM_BYTES = 1024 * 1024
MAXIMUM_IN_FLIGHT = 120_000
DEFAULTS = {"VisibilityTimeout": "30", "DelaySeconds": "0", "ReceiveMessageWaitTimeSeconds": "0",
            "MessageRetentionPeriod": "345600", "MaximumMessageSize": str(MAXIMUM_BYTES)}  # fmt: skip
_INVALID = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def missing_queue():
    return Refusal(
        code="AWS.SimpleQueueService.NonExistentQueue", message="The specified queue does not exist.", status=400
    )


def invalid(code, message):
    return Refusal(code=code, message=message, status=400)


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()


def _attributes_md5(attributes):
    """MD5OfMessageAttributes, as the SQS guide describes it."""
    digest = hashlib.md5()

    def add(data):
        digest.update(len(data).to_bytes(4, "big") + data)

    for name in sorted(attributes):
        value = attributes[name]
        add(name.encode())
        add(value["DataType"].encode())
        if value["DataType"].startswith("Binary"):
            import base64

            digest.update(b"\x02")
            add(base64.b64decode(value["BinaryValue"]))
        else:
            digest.update(b"\x01")
            add(value["StringValue"].encode())
    return digest.hexdigest()


class Message:
    __slots__ = ("id", "body", "attributes", "sent", "first_received", "receives", "handle", "hidden_until")

    def __init__(self, body, attributes=None):
        self.id, self.body, self.attributes = str(uuid.uuid4()), body, attributes or {}
        self.sent, self.first_received, self.receives, self.handle, self.hidden_until = time.time(), 0, 0, None, 0


class Queue:
    """One queue; used by one event loop."""

    def __init__(self, name, attributes):
        self.name, self.attributes = name, {**DEFAULTS, **attributes}
        self.created = time.time()
        self.ready = {}  # id → Message, in the order in which they became visible
        self.hidden = {}  # handle or id → Message: in flight or delayed
        self._timers = []  # (when, number, key in hidden)
        self._numbers = itertools.count()
        self._waiting = asyncio.Condition()
        self.sent = self.received = self.deleted = 0

    def seconds(self, name, given=None):
        return int(self.attributes[name]) if given is None else int(given)

    def _hide(self, message, key, seconds):
        message.hidden_until = time.monotonic() + seconds
        self.hidden[key] = message
        heapq.heappush(self._timers, (message.hidden_until, next(self._numbers), key))

    def _show_due(self):
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            when, _, key = heapq.heappop(self._timers)
            message = self.hidden.get(key)
            if message is not None and message.hidden_until <= now:
                del self.hidden[key]
                message.handle = None
                self.ready[message.id] = message

    async def wake(self):
        async with self._waiting:
            self._waiting.notify_all()

    def put(self, body, attributes=None, delay=None):
        message = Message(body, attributes)
        delay = self.seconds("DelaySeconds", delay)
        if delay:
            self._hide(message, message.id, delay)
        else:
            self.ready[message.id] = message
        self.sent += 1
        return message

    def _take(self, limit, visibility):
        self._show_due()
        taken = []
        while self.ready and len(taken) < limit:
            message = self.ready.pop(next(iter(self.ready)))
            message.receives += 1
            message.first_received = message.first_received or time.time()
            message.handle = f"{message.id}#{uuid.uuid4().hex}"
            self._hide(message, message.handle, visibility)
            taken.append(message)
        self.received += len(taken)
        return taken

    async def receive(self, limit, visibility, wait):
        if len(self.hidden) >= MAXIMUM_IN_FLIGHT:
            raise invalid("OverLimit", "Too many messages in flight")
        deadline = time.monotonic() + wait
        while True:
            taken = self._take(limit, visibility)
            left = deadline - time.monotonic()
            if taken or left <= 0:
                return taken
            if self._timers:
                left = min(left, max(self._timers[0][0] - time.monotonic(), 0.001))
            async with self._waiting:
                try:
                    await asyncio.wait_for(self._waiting.wait(), left)
                except (TimeoutError, asyncio.TimeoutError):
                    pass

    def delete(self, handle):
        self._show_due()
        if "#" not in handle:
            raise invalid(
                "ReceiptHandleIsInvalid", f'The input receipt handle "{handle}" is not a valid receipt handle.'
            )
        message = self.hidden.pop(handle, None)
        if message is not None:
            self.deleted += 1
        return message is not None

    def change_visibility(self, handle, seconds):
        self._show_due()
        message = self.hidden.get(handle)
        if "#" not in handle:
            raise invalid(
                "ReceiptHandleIsInvalid", f'The input receipt handle "{handle}" is not a valid receipt handle.'
            )
        if message is None:
            raise invalid("MessageNotInflight", "The message referred to is not in flight.")
        if not 0 <= seconds <= 43200:
            raise invalid("InvalidParameterValue", f"VisibilityTimeout {seconds} is not in 0..43200")
        self._hide(message, handle, seconds)
        if seconds == 0:
            self._show_due()

    def counts(self):
        self._show_due()
        in_flight = sum(1 for key in self.hidden if "#" in key)
        return len(self.ready), in_flight, len(self.hidden) - in_flight

    def purge(self):
        self.ready.clear()
        self.hidden.clear()
        self._timers.clear()


class Queues:
    """The queues of all accounts and Regions, and the API over them."""

    def __init__(self):
        self.queues = {}

    def ensure(self, account, region, name, attributes=None):
        key = (account, region, name)
        if key not in self.queues:
            self.queues[key] = Queue(name, attributes or {})
        return self.queues[key]

    async def put(self, account, region, name, bodies):
        queue = self.ensure(account, region, name)
        for body in bodies:
            queue.put(body)
        await queue.wake()

    async def call(self, action, account, region, base, parameters):
        """The result of an SQS action as a dict, or Refusal."""
        handler = getattr(self, "_" + re.sub(r"(?<!^)(?=[A-Z])", "_", action).lower(), None)
        if handler is None:
            raise Refusal("unknown-operation")
        return await handler(_Context(self, account, region, base, parameters))

    # ---- actions ----

    async def _create_queue(self, context):
        name = context.parameters.get("QueueName", "")
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,80}", name):
            raise invalid("InvalidParameterValue", f"Queue name {name!r} is invalid (only standard queues are here)")
        self.ensure(context.account, context.region, name, context.parameters.get("Attributes"))
        return {"QueueUrl": context.url(name)}

    async def _delete_queue(self, context):
        queue = context.queue()
        del self.queues[(context.account, context.region, queue.name)]
        return {}

    async def _get_queue_url(self, context):
        name = context.parameters.get("QueueName", "")
        owner = context.parameters.get("QueueOwnerAWSAccountId") or context.account
        if owner != context.account or (owner, context.region, name) not in self.queues:
            raise missing_queue()
        return {"QueueUrl": context.url(name)}

    async def _list_queues(self, context):
        prefix = context.parameters.get("QueueNamePrefix", "")
        return {
            "QueueUrls": [
                context.url(name)
                for account, region, name in sorted(self.queues)
                if (account, region) == (context.account, context.region) and name.startswith(prefix)
            ]
        }

    async def _get_queue_attributes(self, context):
        queue = context.queue()
        ready, in_flight, delayed = queue.counts()
        every = {
            **queue.attributes,
            "QueueArn": f"arn:aws:sqs:{context.region}:{context.account}:{queue.name}",
            "ApproximateNumberOfMessages": str(ready),
            "ApproximateNumberOfMessagesNotVisible": str(in_flight),
            "ApproximateNumberOfMessagesDelayed": str(delayed),
            "CreatedTimestamp": str(int(queue.created)),
        }
        wanted = context.parameters.get("AttributeNames") or []
        return {"Attributes": {name: value for name, value in every.items() if "All" in wanted or name in wanted}}

    async def _set_queue_attributes(self, context):
        context.queue().attributes.update(context.parameters.get("Attributes", {}))
        return {}

    async def _add_permission(self, context):
        queue, given = context.queue(), context.parameters
        policy = json.loads(queue.attributes.get("Policy") or '{"Version": "2012-10-17", "Statement": []}')
        policy["Statement"].append({
            "Sid": given["Label"], "Effect": "Allow",
            "Principal": {"AWS": [f"arn:aws:iam::{account}:root" for account in given["AWSAccountIds"]]},
            "Action": [f"SQS:{action}" for action in given["Actions"]],
            "Resource": f"arn:aws:sqs:{context.region}:{context.account}:{queue.name}",
        })  # fmt: skip
        queue.attributes["Policy"] = json.dumps(policy)
        return {}

    async def _purge_queue(self, context):
        context.queue().purge()
        return {}

    async def _send_message(self, context):
        queue = context.queue()
        sent = _send(queue, context.parameters)
        await queue.wake()
        return sent

    async def _send_message_batch(self, context):
        queue = context.queue()
        entries = context.entries()
        if sum(len(entry.get("MessageBody", "").encode()) for entry in entries) > MAXIMUM_BYTES:
            raise invalid("AWS.SimpleQueueService.BatchRequestTooLong", "The batch is longer than 1048576 bytes.")
        result = _each(entries, lambda entry: _send(queue, entry))
        await queue.wake()
        return result

    async def _receive_message(self, context):
        queue, parameters = context.queue(), context.parameters
        limit = int(parameters.get("MaxNumberOfMessages") or 1)
        wait = queue.seconds("ReceiveMessageWaitTimeSeconds", parameters.get("WaitTimeSeconds"))
        visibility = queue.seconds("VisibilityTimeout", parameters.get("VisibilityTimeout"))
        if not 1 <= limit <= 10:
            raise invalid("InvalidParameterValue", f"MaxNumberOfMessages {limit} is not in 1..10")
        if not 0 <= wait <= 20:
            raise invalid("InvalidParameterValue", f"WaitTimeSeconds {wait} is not in 0..20")
        messages = await queue.receive(limit, visibility, wait)
        wanted = {*(parameters.get("AttributeNames") or []), *(parameters.get("MessageSystemAttributeNames") or [])}
        return {"Messages": [_shown(message, wanted, context.account) for message in messages]} if messages else {}

    async def _delete_message(self, context):
        context.queue().delete(context.parameters.get("ReceiptHandle", ""))
        return {}

    async def _delete_message_batch(self, context):
        queue = context.queue()
        return _each(context.entries(), lambda entry: queue.delete(entry.get("ReceiptHandle", "")) and None)

    async def _change_message_visibility(self, context):
        queue = context.queue()
        queue.change_visibility(
            context.parameters.get("ReceiptHandle", ""), int(context.parameters["VisibilityTimeout"])
        )
        await queue.wake()
        return {}

    async def _change_message_visibility_batch(self, context):
        queue = context.queue()
        result = _each(
            context.entries(),
            lambda entry: queue.change_visibility(entry.get("ReceiptHandle", ""), int(entry["VisibilityTimeout"])),
        )
        await queue.wake()
        return result


class _Context:
    """One call: who, where, parameters."""

    def __init__(self, queues, account, region, base, parameters):
        self.queues, self.account, self.region, self.base, self.parameters = queues, account, region, base, parameters

    def url(self, name):
        return f"{self.base}/{self.account}/{name}"

    def queue(self):
        parts = (self.parameters.get("QueueUrl") or "").rsplit("/", 2)
        found = self.queues.queues.get((parts[1], self.region, parts[2])) if len(parts) == 3 else None
        if found is None:
            raise missing_queue()
        if parts[1] != self.account:
            raise Refusal("deny", "Access to the resource is denied.")
        return found

    def entries(self):
        entries = self.parameters.get("Entries") or []
        if not entries:
            raise invalid("AWS.SimpleQueueService.EmptyBatchRequest", "The batch is empty.")
        if len(entries) > 10:
            raise invalid("AWS.SimpleQueueService.TooManyEntriesInBatchRequest", "At most 10 entries in a batch.")
        ids = [entry.get("Id", "") for entry in entries]
        if len(set(ids)) != len(ids):
            raise invalid("AWS.SimpleQueueService.BatchEntryIdsNotDistinct", "Two or more entries have the same Id.")
        if not all(re.fullmatch(r"[A-Za-z0-9_-]{1,80}", entry_id) for entry_id in ids):
            raise invalid("AWS.SimpleQueueService.InvalidBatchEntryId", "An Id is not [A-Za-z0-9_-]{1,80}.")
        return entries


def _send(queue, parameters):
    body, attributes = parameters.get("MessageBody", ""), parameters.get("MessageAttributes") or {}
    if not body:
        raise invalid("MissingParameter", "The request must contain the parameter MessageBody.")
    if len(body.encode("utf-8", "surrogatepass")) > MAXIMUM_BYTES:
        raise invalid(
            "InvalidParameterValue",
            "One or more parameters are invalid. Reason: Message must be shorter than 1048576 bytes.",
        )
    if _INVALID.search(body):
        raise invalid("InvalidMessageContents", "Invalid characters in the message.")
    message = queue.put(body, attributes, parameters.get("DelaySeconds"))
    sent = {"MessageId": message.id, "MD5OfMessageBody": md5(body)}
    if attributes:
        sent["MD5OfMessageAttributes"] = _attributes_md5(attributes)
    return sent


def _each(entries, action):
    """A batch: each entry succeeds or fails by itself."""
    successful, failed = [], []
    for entry in entries:
        try:
            successful.append({"Id": entry["Id"], **(action(entry) or {})})
        except Refusal as refusal:
            failed.append({"Id": entry["Id"], "Code": refusal.code, "Message": refusal.message, "SenderFault": True})
    return {"Successful": successful, "Failed": failed}


def _shown(message, wanted, account):
    shown = {
        "MessageId": message.id,
        "ReceiptHandle": message.handle,
        "MD5OfBody": md5(message.body),
        "Body": message.body,
    }
    attributes = {
        "SenderId": account,
        "SentTimestamp": str(int(message.sent * 1000)),
        "ApproximateReceiveCount": str(message.receives),
        "ApproximateFirstReceiveTimestamp": str(int(message.first_received * 1000)),
    }
    chosen = {name: value for name, value in attributes.items() if "All" in wanted or name in wanted}
    if chosen:
        shown["Attributes"] = chosen
    if message.attributes:
        shown["MessageAttributes"] = message.attributes
        shown["MD5OfMessageAttributes"] = _attributes_md5(message.attributes)
    return shown


# ---- wire -----------------------------------------------------------------------------------------------------

_BATCH_LISTS = re.compile(
    r"(SendMessageBatch|DeleteMessageBatch|ChangeMessageVisibilityBatch)RequestEntry\.(\d+)\.(.+)"
)


def query_parameters(form):
    """The parameters of the query protocol, as JSON has them."""
    parameters, entries, names, pairs = {}, {}, {}, {}
    for key, value in form.items():
        entry, listed = _BATCH_LISTS.fullmatch(key), re.fullmatch(
            r"(AttributeName|MessageAttributeName|MessageSystemAttributeName)\.(\d+)", key
        )
        pair = re.fullmatch(r"Attribute\.(\d+)\.(Name|Value)", key)
        if entry:
            entries.setdefault(int(entry.group(2)), {})[entry.group(3)] = value
        elif listed:
            names.setdefault(listed.group(1) + "s", []).append(value)
        elif pair:
            pairs.setdefault(int(pair.group(1)), {})[pair.group(2)] = value
        elif key not in ("Action", "Version"):
            parameters[key] = value
    if entries:
        parameters["Entries"] = [entries[number] for number in sorted(entries)]
    if pairs:
        parameters["Attributes"] = {pair["Name"]: pair.get("Value", "") for pair in pairs.values()}
    return {**parameters, **names}


def json_answer(result):
    return json.dumps(result).encode()


_ENTRY = {"SendMessageBatch": "SendMessageBatchResultEntry", "DeleteMessageBatch": "DeleteMessageBatchResultEntry",
          "ChangeMessageVisibilityBatch": "ChangeMessageVisibilityBatchResultEntry"}  # fmt: skip


def xml_answer(action, result, request_id):
    """The answer in the query protocol: lists flattened under the names of the 2012 API."""
    names = {"Successful": _ENTRY.get(action, ""), "Failed": "BatchResultErrorEntry", "Messages": "Message",
             "QueueUrls": "QueueUrl", "Attributes": "Attribute", "MessageAttributes": "MessageAttribute"}  # fmt: skip

    def element(name, value):
        if isinstance(value, list):
            return "".join(element(names.get(name, name), item) for item in value)
        if isinstance(value, dict) and name in ("Attributes", "MessageAttributes"):
            return "".join(
                f"<{names[name]}><Name>{escape(key)}</Name>{element('Value', item)}</{names[name]}>"
                for key, item in value.items()
            )
        if isinstance(value, dict):
            return f"<{name}>{''.join(element(key, item) for key, item in value.items())}</{name}>"
        text = str(value).lower() if isinstance(value, bool) else str(value)
        return f"<{name}>{escape(text)}</{name}>"

    inner = "".join(element(name, value) for name, value in result.items())
    return (
        f'<?xml version="1.0"?><{action}Response xmlns="http://queue.amazonaws.com/doc/2012-11-05/">'
        f"<{action}Result>{inner}</{action}Result><ResponseMetadata><RequestId>{request_id}</RequestId>"
        f"</ResponseMetadata></{action}Response>"
    ).encode()
