"""What the integration tests share: the guardrail's expected effects, and waiting for the fleet to be done."""

import time

from stack import ALL_REGIONS, permission
from stack.cloud import in_threads

GUARDRAIL = "ssh-open-to-internet"
KNOWN = "203.0.113.0/24"
ROLE_ARNS = "arn:aws:iam::*:role/parapet-worker"
UNLIMITED = {
    "breaker.override": f"{GUARDRAIL}=1000000/10m",
    "breaker.guardrail_actions": 0,
    "breaker.account_actions": 0,
    "breaker.organization_actions": 0,
}
SSH = permission("tcp", (22, 22))
HTTPS = permission("tcp", (443, 443))

# protocol and ports of the opened rule → what it is to become: (protocol, ports, None: the old source)
_NARROWED = {
    ("tcp", (22, 22)): [("tcp", (22, 22), KNOWN)],
    ("tcp", (0, 65535)): [("tcp", (0, 21), None), ("tcp", (22, 22), KNOWN), ("tcp", (23, 65535), None)],
    ("-1", None): [
        ("tcp", (0, 21), None), ("tcp", (22, 22), KNOWN), ("tcp", (23, 65535), None),
        ("udp", (0, 65535), None), ("icmp", (-1, -1), None),
    ],
}  # fmt: skip
VARIANTS = [(protocol, ports, source) for protocol, ports in _NARROWED for source in ("0.0.0.0/0", "::/0")]


def expected_rules(variant):
    """{(protocol, from, to, source)} of a group with HTTPS and what `variant` becomes."""
    protocol, ports, source = variant
    rules = {("tcp", 443, 443, "0.0.0.0/0")}
    for kept, (first, last), known in _NARROWED[(protocol, ports)]:
        if kept == "icmp" and ":" in source:
            kept = "icmpv6"
        rules.add((kept, first, last, known or source))
    return rules


def expected_calls(variant):
    """How many calls the fix takes: one Authorize a new rule, one Revoke."""
    return len(_NARROWED[variant[:2]]) + 1


def source_of(rule):
    address = rule.get("CidrIpv4") or rule["CidrIpv6"]
    return "::/0" if address == "0000::/0" else address  # as some answers spell it


def shown(rules):
    return {(rule["IpProtocol"], rule["FromPort"], rule["ToPort"], source_of(rule)) for rule in rules}


# ---- programs ----


def start_worker(stack, **settings):
    """A worker without limits that are in a test's way; `patience` is shorter than by default unless given."""
    return stack.start_worker(**{**UNLIMITED, "patience": "2s,6s", **settings})


def start_collector(stack, **settings):
    defaults = {"sqs.queue": stack.queue_name, "sqs.regions": stack.regions, "sqs.wait": "1s"}
    return stack.start_collector(**{**defaults, **settings})


# ---- breaking rules ----


def open_to_internet(stack, places, rule=SSH, threads=8):
    """A stranger opens `rule` on each (account, region, group), through the tap."""

    def open_one(place):
        account, region, group = place
        client = stack.stranger(account).client("ec2", region)
        client.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])

    in_threads(open_one, places, threads)


# ---- what happened ----


def own_mutations(stack, since=0, **filters):
    """Parapet's effects in accounts: mutating calls by its role that were answered 2xx."""
    return stack.mutations(since, role=ROLE_ARNS, **filters)


def effects(stack, since=0):
    """{group: [operation of each of Parapet's effects, in order]}"""
    by_group = {}
    for call in own_mutations(stack, since):
        by_group.setdefault(call["params"]["GroupId"], []).append(call["operation"])
    return by_group


NARROW = ["AuthorizeSecurityGroupIngress", "RevokeSecurityGroupIngress"]


def assert_narrowed_once(stack, groups, since=0):
    """Each group got exactly one Authorize and one Revoke, in this order, and no other group got anything."""
    found = effects(stack, since)
    wrong = {group: found.get(group) for group in {*groups, *found} if found.get(group) != NARROW or group not in groups}
    assert not wrong, f"{len(wrong)} groups with other effects: {dict(list(wrong.items())[:5])}"


def findings(stack):
    """{resource: [finding records in the order of their topic]}, of the guardrail"""
    by_resource = {}
    for message in stack.topic("parapet.findings"):
        if message["value"]["guardrail"] == GUARDRAIL:
            by_resource.setdefault(message["value"]["resource"], []).append(message["value"])
    return by_resource


def statuses(stack):
    """{resource: the last status of its finding}"""
    return {resource: records[-1]["status"] for resource, records in findings(stack).items()}


def counts(stack):
    """{status: findings} as Redis has it; one small command, so it can be asked often."""
    return {name: int(n) for name, n in stack.redis.client().hgetall("parapet:v1:findings:counts").items() if int(n)}


def wait_fixed(stack, groups, timeout):
    """Until every group's finding is fixed, and nothing else is open."""
    groups = set(groups)
    stack.wait_until(
        lambda: counts(stack).get("fixed", 0) >= len(groups), timeout, lambda: f"{len(groups)} fixed, now {counts(stack)}", 0.3
    )
    stack.wait_until(
        lambda: {group for group, status in statuses(stack).items() if status == "fixed"} >= groups,
        30,
        "the findings' records to say the same",
        0.5,
    )


def lag(stack, group="parapet-workers"):
    """Messages of both topics that the workers have not finished."""
    return sum(stack.group_lag(f"{group}.{name}", [f"parapet.{name}"]) for name in ("events", "sweeps"))


def wait_idle(stack, timeout=60):
    """Until every queue is empty and every message is finished: nothing more can come of what happened so far."""

    def idle():
        queues = stack.tap.queues().values()
        return all(q["visible"] + q["in_flight"] + q["delayed"] == 0 for q in queues) and lag(stack) == 0

    # Empty queues and a lag of zero are read one after the other, so twice.
    for _ in range(2):
        stack.wait_until(idle, timeout, lambda: f"empty queues and no lag: {lag(stack)} {stack.tap.queues()}", 0.5)


def intents(stack):
    return stack.redis.client().hgetall("parapet:v1:intents")


def assert_journal_closed(stack):
    """No intent is open, and each that was written has its outcome or its action's end."""
    assert intents(stack) == {}
    open_calls, ended, told = {}, set(), {}
    for message in sorted(stack.topic("parapet.actions"), key=lambda m: (m["partition"], m["offset"])):
        record = message["value"]
        told.setdefault(record.get("action"), []).append((record["kind"], record.get("call", {}).get("run")))
        if record["kind"] == "result":
            ended.add(record["action"])
        elif record["kind"] == "intent":
            open_calls[(record["action"], record["call"]["run"])] = record["resource"]
        elif record["kind"] == "outcome":
            open_calls.pop((record["action"], record["call"]["run"]), None)
    left = {call: (resource, told[call[0]]) for call, resource in open_calls.items() if call[0] not in ended}
    assert not left, f"calls without an end, and what the journal has of their actions: {left}"


def assert_whole(stack, places, variant=("tcp", (22, 22), "0.0.0.0/0"), others=True):
    """The true rules of each group are those that the fix leaves (with HTTPS, unless planted without `others`)."""
    wanted = expected_rules(variant) - (set() if others else {("tcp", 443, 443, "0.0.0.0/0")})

    def look(place):
        rules = stack.rules(*place)
        return place, shown(rules), len(rules)

    wrong = [seen for seen in in_threads(look, places) if seen[1] != wanted or seen[2] != len(wanted)]
    assert not wrong, f"{len(wrong)} groups with other rules: {wrong[:3]}"


# ---- notices ----


def sns_topic(stack, region="eu-west-1"):
    """A topic of the hub for notices, made past the tap; its ARN."""
    return stack.direct(stack.hub_account).client("sns", region).create_topic(Name="parapet-notices")["TopicArn"]


def published(stack, since=0):
    """The notices that were sent: [{"Subject", "Message", "TopicArn"}]"""
    calls = stack.calls(since, service="sns", operation="Publish")
    return [call["params"] for call in calls if 200 <= call["status"] < 300]


# ---- sweeps ----


def sweep(stack, places=None, resource="ec2.security-group", guardrails=(GUARDRAIL,)):
    """Asks for a sweep of (account, region) pairs, as the schedule does; by default of all."""
    now = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{time.time_ns() // 10**6 % 1000:03}Z"
    places = places or [(account, region) for account in stack.ids for region in stack.regions]
    stack.produce(
        "parapet.sweeps",
        [
            (
                f"{account}/{region}",
                {
                    "kind": "sweep", "id": f"sweep/{now}/{resource}/{account}/{region}", "tick": now, "resource": resource,
                    "account": account, "region": region, "guardrails": list(guardrails),
                },
            )
            for account, region in places
        ],
    )  # fmt: skip


__all__ = [name for name in dir() if not name.startswith("_")]
assert len(ALL_REGIONS) == 17
