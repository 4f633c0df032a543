"""Reads that lag behind writes, as EC2's do.

While a rule with `stale: N` matches, a read is answered as it would have been N seconds ago.  Nothing recomputes the
past: answers are kept and served again.  A read's answer counts for its key (operation and parameters) from when it was
taken until the next mutation of what it covers.  Right before a mutation of a security group is forwarded, the reads
that a client is likely to make of that group are made here ("shadow reads"), so that the state before it is at hand.

A read covers the group that it names, or, when it names none, all groups of that account and Region.  One that names
several is answered as reads of each would be, in one.  A read whose old answer is not at hand is answered with the
present; its record says "stale_miss"."""

import collections
import json
import re
import time
import urllib.parse

KEPT = 8  # answers a key
KEYS = 5000

_SHADOWS = (
    ("DescribeSecurityGroups", "GroupIds", lambda g: {"GroupId.1": g}),
    ("DescribeSecurityGroups", "group-id", lambda g: {"Filter.1.Name": "group-id", "Filter.1.Value.1": g}),
    ("DescribeSecurityGroupRules", "group-id", lambda g: {"Filter.1.Name": "group-id", "Filter.1.Value.1": g}),
    ("DescribeSecurityGroups", None, lambda g: {}),
    ("DescribeSecurityGroupRules", None, lambda g: {}),
)

_SETS = {"DescribeSecurityGroups": b"securityGroupInfo", "DescribeSecurityGroupRules": b"securityGroupRuleSet"}


def shadow_requests(group):
    """The reads to make before a mutation of `group`: form-encoded bodies."""
    for operation, _, parameters in _SHADOWS:
        yield operation, urllib.parse.urlencode({"Action": operation, "Version": "2016-11-15", **parameters(group)})


def subject(form):
    """The security group that a call names, or None."""
    if form.get("GroupId") or form.get("GroupId.1"):
        return form.get("GroupId") or form.get("GroupId.1")
    for key, value in form.items():
        if key.endswith(".Name") and value == "group-id":
            return form.get(key[: -len("Name")] + "Value.1")
    return None


def one_by_one(operation, form):
    """The reads of one group each that a read of several stands for, as forms; [] for any other call."""
    lists = ["GroupId."] + [key[: -len("Name")] + "Value." for key, value in form.items() if value == "group-id"]
    for start in lists if operation in _SETS else ():
        named = [key for key in form if key.startswith(start)]
        if len(named) > 1:
            rest = {key: value for key, value in form.items() if key not in named}
            return [{**rest, start + "1": form[key]} for key in named]
    return []


def together(operation, answers):
    """The answer to a read of several groups: the items of those to reads of each.  One that failed is that of all."""
    failed = [answer for answer in answers if answer[0] != 200]
    if failed:
        return failed[0]
    inside = re.compile(b"<%b>(.*)</%b>" % (_SETS[operation], _SETS[operation]), re.DOTALL)
    found = [inside.search(body) for _, _, body in answers]
    items = b"".join(match[1] for match in found if match)
    for (status, headers, body), match in zip(answers, found):
        if match:
            return status, headers, body[: match.start(1)] + items + body[match.end(1) :]
    return answers[0]


def key_of(account, region, operation, form):
    relevant = {k: v for k, v in form.items() if k not in ("Action", "Version", "MaxResults", "DryRun", "ClientToken")}
    return account, region, operation, json.dumps(relevant, sort_keys=True)


class Stale:
    def __init__(self):
        self.answers = collections.OrderedDict()  # key → deque of (taken at, status, headers, body)
        self.mutations = {}  # (account, region) → deque of (time, group)

    def mutated(self, account, region, group):
        self.mutations.setdefault((account, region), collections.deque(maxlen=20000)).append((time.monotonic(), group))

    def keep(self, key, taken_at, answer):
        kept = self.answers.setdefault(key, collections.deque(maxlen=KEPT))
        self.answers.move_to_end(key)
        kept.append((taken_at, *answer))
        while len(self.answers) > KEYS:
            self.answers.popitem(last=False)

    def hides(self, account, region, group, seconds):
        """When the first mutation happened that a read of `group` must not show yet, or None."""
        since = time.monotonic() - seconds
        for when, changed in self.mutations.get((account, region), ()):
            if when > since and (group is None or changed is None or changed == group):
                return when
        return None

    def before(self, key, when):
        """(status, headers, body) of the last answer taken before `when`, or None."""
        for taken_at, *answer in reversed(self.answers.get(key, ())):
            if taken_at <= when:
                return answer
        return None
