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
    """{group: how often Parapet read it}: a delivery reads its group twice, at once and after the patience."""
    reads = {}
    for call in stack.calls(service="ec2", operation="DescribeSecurityGroups", role=f"*{stack.role}"):
        for group in call["params"].get("GroupIds", []):
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
    reads, groups = judgements(stack), {numbered.group(n): n for n in range(1, numbered.number + 1)}
    lost = [n for group, n in groups.items() if reads.get(group, 0) < 1]
    assert not lost, f"{len(lost)} of {numbered.number} events were never judged: {lost[:10]}"
    assert set(reads) <= set(groups)
    again = [n for group, n in groups.items() if reads[group] > 2]
    kills, moves = done.count("kill"), len(done)
    print(f"\n{numbered.number} events; {done.count('join')} workers joined, {done.count('leave')} left, {kills} were killed; "
          f"{len(again)} events were judged again")  # fmt: skip
    # Two reasons: what a killed worker had in hand or had not committed yet comes again, and so does what was in hand
    # for longer than a moving partition waits.  Neither is more than some seconds' worth of events.
    assert len(again) <= RATE * 3 * moves // 2, again
