"""A storm: violations planted beforehand, their events fed into the queues all at once, and what breakers made of it."""

import collections
import time
import uuid

from spine import GUARDRAIL, SSH, own_mutations
from stack.cloud import in_threads


def event(account, region, group, age=0):
    """What a stranger's call on `group`, `age` seconds ago, tells in EventBridge's envelope."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - age))
    detail = {
        "eventVersion": "1.08", "eventSource": "ec2.amazonaws.com", "eventName": "AuthorizeSecurityGroupIngress",
        "eventTime": now,
        "eventID": str(uuid.uuid4()), "awsRegion": region, "recipientAccountId": account,
        "userIdentity": {"type": "IAMUser", "accountId": account, "arn": f"arn:aws:iam::{account}:user/mallory"},
        "requestParameters": {"groupId": group}, "responseElements": None, "requestID": str(uuid.uuid4()),
    }  # fmt: skip
    return {
        "version": "0", "id": detail["eventID"], "detail-type": "AWS API Call via CloudTrail", "source": "aws.ec2",
        "account": account, "time": now, "region": region, "resources": [], "detail": detail,
    }  # fmt: skip


def plant(stack, count, accounts=None):
    """`count` open groups dealt out over accounts and Regions, without an event."""
    return stack.plant_everywhere([SSH], count, accounts)


def strike(stack, places):
    """All their events at once."""
    by_region = collections.defaultdict(list)
    for account, region, group in places:
        by_region[region].append(event(account, region, group))
    in_threads(lambda item: stack.send(*item), by_region.items(), 4)


def actions(stack, since=0):
    """[(time, account, group)] of the first call of each action, in order: what breakers count."""
    first = {}
    for call in own_mutations(stack, since, operation="Authorize*"):
        group = call["params"]["GroupId"]
        if group not in first or call["time"] < first[group][0]:
            first[group] = (call["time"], call["account"], group)
    return sorted(first.values())


def most_in_window(times, window):
    """The most of them in any span of `window` seconds."""
    most = first = 0
    for last, at in enumerate(times):
        while times[first] <= at - window:
            first += 1
        most = max(most, last - first + 1)
    return most


def assert_limits_held(seen, limits, window):
    """limits: {scope: actions}, with ACCOUNT for any account.  No scope had one action more in any window."""
    by_scope = collections.defaultdict(list)
    for at, account, _ in seen:
        for scope in (f"{GUARDRAIL}/ACCOUNT", "account:ACCOUNT"):
            by_scope[(scope, account)].append(at)
        for scope in (GUARDRAIL, "organization"):
            by_scope[(scope, "")].append(at)
    most = {scope: most_in_window(times, window) for scope, times in by_scope.items()}
    over = {scope: number for scope, number in most.items() if number > limits[scope[0]]}
    assert not over, f"limits exceeded: {over}"
    return most


def settings(limits, window):
    """The settings that set these limits."""
    return {
        "breaker.override": f"{GUARDRAIL}={limits[f'{GUARDRAIL}/ACCOUNT']}/{window}s",
        "breaker.guardrail_actions": limits[GUARDRAIL],
        "breaker.account_actions": limits["account:ACCOUNT"],
        "breaker.organization_actions": limits["organization"],
        "breaker.window": f"{window}s",
    }


def assert_in_pace(seen, begun, pace):
    """The n-th action after a release came no sooner than its turn."""
    early = [n for n, (at, _, _) in enumerate(seen) if at < begun + n / pace - 0.05]
    assert not early, f"{len(early)} of {len(seen)} actions came before their turn"
