"""Workers come, leave and are killed while every event is numbered: an audit tells that none was lost, and why any was
judged more than once."""

import random
import time
import uuid

from spine import lag, start_worker

ACCOUNT, REGION = 0, "eu-west-1"
RATE, CHANGES, EVERY = 10, 20, 3.0  # events a second, changes of the group, seconds between two
SETTINGS = {"kafka.session_timeout": "6s", "lease": "8s", "patience": "300ms", "threads": 16, "kafka.consumers": 2}


def event(account, group):
    """What a stranger's AuthorizeSecurityGroupIngress on `group` tells."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    detail = {
        "eventVersion": "1.08", "eventSource": "ec2.amazonaws.com", "eventName": "AuthorizeSecurityGroupIngress",
        "eventTime": now, "eventID": str(uuid.uuid4()), "awsRegion": REGION, "recipientAccountId": account,
        "userIdentity": {"type": "IAMUser", "accountId": account, "arn": f"arn:aws:iam::{account}:user/mallory"},
        "requestParameters": {"groupId": group}, "responseElements": None, "requestID": str(uuid.uuid4()),
    }  # fmt: skip
    return {
        "version": "0", "id": detail["eventID"], "detail-type": "AWS API Call via CloudTrail", "source": "aws.ec2",
        "account": account, "time": now, "region": REGION, "resources": [], "detail": detail,
    }  # fmt: skip


class Numbered:
    """Events of groups sg-…1, sg-…2, …: nobody made these groups, so each judgement is one read that finds nothing."""

    def __init__(self, stack):
        self.stack, self.account, self.number = stack, stack.ids[ACCOUNT], 0
        self.begun = time.monotonic()

    def group(self, number):
        return f"sg-{number:017x}"

    def send(self, count):
        """The next `count`, keyed by number: so they spread over all partitions."""
        numbers = range(self.number + 1, self.number + count + 1)
        self.stack.produce("parapet.events", [(str(n), event(self.account, self.group(n))) for n in numbers])
        self.number += count

    def keep_up(self):
        self.send(max(0, int((time.monotonic() - self.begun) * RATE) - self.number))


def judgements(stack):
    """{group: how many looks began for it}: the reads of the group by Parapet, two of which are one delivery's (the
    first look, and the one after the patience)."""
    reads = {}
    for call in stack.calls(service="ec2", operation="DescribeSecurityGroups", role=f"*{stack.role}"):
        group = next((v for k, v in call["params"].items() if k.startswith("GroupId")), None)
        group = group[0] if isinstance(group, list) else group
        reads[group] = reads.get(group, 0) + 1
    return reads


def change(stack, workers, step, chance):
    """One of: a worker joins, leaves (SIGTERM), is killed; two at least stay.  What was done."""
    kind = ("join", "leave", "join", "kill")[step % 4]
    if kind == "join":
        workers.append(start_worker(stack, wait=False, **SETTINGS))
        return kind
    worker = workers.pop(chance.randrange(len(workers)))
    if kind == "kill":
        worker.kill()
    else:
        assert worker.terminate(25) == 0, worker.log_tail()
    return kind


def test_no_event_is_lost_in_twenty_rebalances(stack):
    chance, done = random.Random(7), []
    workers = [start_worker(stack, **SETTINGS) for _ in range(2)]
    numbered = Numbered(stack)
    numbered.send(1)
    for step in range(CHANGES):
        begun = time.monotonic()
        if step == 5:  # the head of a partition waits for AWS while everything else goes on
            stack.tap.fault({"service": "ec2", "operation": "Describe*"}, delay_ms=8000, count=2)
        if step == 11:  # gates closed: the workers pause their partitions, and one of them is killed meanwhile
            stack.redis.suspend()
        done.append(change(stack, workers, step, chance))
        while time.monotonic() - begun < EVERY:
            numbered.keep_up()
            time.sleep(0.2)
        if step == 11:
            stack.redis.resume()
    stack.wait_until(lambda: lag(stack) == 0, 60, lambda: f"the lag to be gone: {lag(stack)}", 0.5)
    audit(stack, numbered, done)


def audit(stack, numbered, done):
    reads = judgements(stack)
    lost = [n for n in range(1, numbered.number + 1) if not reads.get(numbered.group(n))]
    assert not lost, f"{len(lost)} of {numbered.number} events were never judged: {lost[:10]}"
    looks = 2  # the first, and the one after the patience
    again = {n: reads[numbered.group(n)] for n in range(1, numbered.number + 1) if reads[numbered.group(n)] > looks}
    print(f"{numbered.number} events, {done.count('join')} joined, {done.count('leave')} left, {done.count('kill')} killed; "
          f"{len(again)} judged again")  # fmt: skip
    assert set(reads) <= {numbered.group(n) for n in range(1, numbered.number + 1)}
    # Reasons: a kill, or hands full when a partition moved (it waits three seconds for what is in hand).
    assert len(again) <= numbered.number // 10, again
