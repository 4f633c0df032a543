"""Workers come, leave and are killed while every event is numbered: an audit tells that none was lost, and why any was
judged more than once."""

import os
import random
import time
import uuid

from spine import lag, start_worker

ACCOUNT, REGION = 0, "eu-west-1"
RATE, CHANGES, EVERY = 10, 20, 3.0  # events a second, changes of the group, seconds between two
IN_HAND = 4.0  # seconds from an event's first read to its commit, at most
SLOW_HEAD = int(os.environ.get("PARAPET_SLOW_HEAD", "60"))  # seconds, 115 at most: two reads within their deadlines
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

    def send(self, count, account=None):
        """The next `count`, keyed by number: so they spread over all partitions."""
        numbers, account = range(self.number + 1, self.number + count + 1), account or self.account
        self.stack.produce("parapet.events", [(str(n), event(account, self.group(n))) for n in numbers])
        self.number += count

    def keep_up(self):
        self.send(max(0, int((time.monotonic() - self.begun) * RATE) - self.number))


def judgements(stack):
    """{group: when Parapet read it, since the epoch}: a delivery reads its group twice, at once and after the patience.
    Of groups that are not there a call for several says nothing, and each is read alone: that one counts."""
    reads = {}
    for call in stack.calls(service="ec2", operation="DescribeSecurityGroups", role=f"*{stack.role}"):
        groups = call["params"].get("GroupIds", [])
        for group in groups if len(groups) == 1 or call["status"] == 200 else []:
            reads.setdefault(group, []).append(call["time"])
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
    chance, done, reasons = random.Random(7), [], []
    workers = [start_worker(stack, **SETTINGS) for _ in range(2)]
    numbered = Numbered(stack)
    numbered.send(1)
    for step in range(CHANGES):
        begun = time.monotonic()
        if step == 5:  # the head of a partition waits for AWS while everything else goes on
            stack.tap.fault({"service": "ec2", "operation": "Describe*"}, delay_ms=8000, count=2)
            reasons.append((time.time() - IN_HAND, time.time() + 8 + IN_HAND))
        if step == 11:  # gates closed: the workers pause their partitions, and one of them is killed meanwhile
            stack.redis.suspend()
        before = time.time()
        done.append(change(stack, workers, step, chance))
        if done[-1] == "kill":
            reasons.append((before - IN_HAND, time.time()))
        while time.monotonic() - begun < EVERY:
            numbered.keep_up()
            time.sleep(0.2)
        if step == 11:
            stack.redis.resume()
    stack.wait_until(lambda: lag(stack) == 0, 60, lambda: f"the lag to be gone: {lag(stack)}", 0.5)
    audit(stack, numbered, reasons)
    print(f"{done.count('join')} workers joined, {done.count('leave')} left, {done.count('kill')} were killed")


def audit(stack, numbered, reasons=()):
    """None is lost.  None is judged again but for one of two reasons, told by when it was read first: a worker that was
    killed had it in hand (or had not committed it yet), or it stood behind the slow one when its partition moved."""
    reads, groups = judgements(stack), {numbered.group(n): n for n in range(1, numbered.number + 1)}
    lost = [n for group, n in groups.items() if group not in reads]
    assert not lost, f"{len(lost)} of {numbered.number} events were never judged: {lost[:10]}"
    assert set(reads) <= set(groups)
    again = {n: reads[group] for group, n in groups.items() if len(reads[group]) > 2}
    without = {n: at for n, at in again.items() if not any(begun <= min(at) <= ended for begun, ended in reasons)}
    print(f"\n{numbered.number} events; {len(again)} were judged again")
    assert not without, f"judged again without a reason: {without}; reasons {reasons}"
    assert len(again) <= sum(RATE * (ended - begun) for begun, ended in reasons), again


def test_a_short_session_is_kept_alive(stack):
    """Heartbeats come several times a session, however short: nothing is taken away from a worker that is well."""
    worker = start_worker(stack, **{**SETTINGS, "kafka.session_timeout": "2s"})
    time.sleep(10)
    # Three consumers, which would lose theirs every two seconds; a machine that stood still may cost each of them one.
    assert worker.running() and worker.log().count("session timed out") <= 3, worker.log_tail()


def test_a_slow_unit_at_the_head_of_a_partition(stack):
    """Nothing can be committed behind it; the others go on, are not judged again, and the lag goes when it ends."""
    settings = {**SETTINGS, "kafka.session_timeout": "30s", "aws.call_timeout": "120s", "lease": "130s"}  # nobody dies here
    workers = [start_worker(stack, **settings) for _ in range(2)]
    # A head whose partition moves meanwhile would be read by both workers at once, and be through in half the time.
    settled = [1, 1, 2, 2]  # six partitions, two workers of two consumers
    stack.wait_until(lambda: stack.group_shares("parapet-workers.events") == settled, 60, f"shares of {settled}", 1)
    slow = stack.ids[ACCOUNT + 1]
    stack.tap.fault({"service": "ec2", "operation": "Describe*", "account": slow}, delay_ms=SLOW_HEAD * 500, count=2)
    numbered = Numbered(stack)
    numbered.send(1, slow)
    stack.wait_until(lambda: lag(stack) > 0, 20, "the head to be in somebody's hands")
    time.sleep(1)
    numbered.begun = time.monotonic()
    while time.monotonic() - numbered.begun < SLOW_HEAD - 20:
        numbered.keep_up()
        time.sleep(0.2)
    assert lag(stack) > numbered.number // 12  # of six partitions one
    stack.wait_until(lambda: lag(stack) == 0, 60, lambda: f"the lag to be gone: {lag(stack)}", 0.5)
    assert all(worker.running() for worker in workers)
    head = stack.calls(service="ec2", operation="Describe*", account=slow)
    ended = max(call["time"] + call["ms"] / 1000 for call in head)
    waited = [group for group, at in judgements(stack).items() if min(at) > ended]
    assert len(head) >= 2 and not waited, f"read only when the head was through: {waited}"
    audit(stack, numbered)
