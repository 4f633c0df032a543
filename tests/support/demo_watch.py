"""What demo and bench know: findings as they change in Redis, notices as they reach SNS, and numbers of both."""

import calendar
import json
import statistics
import time

from redis import Redis

RECORDS = "parapet:v1:findings:records"
GUARDRAIL = "ssh-open-to-internet"
DIGEST_SLACK = 2.0  # seconds from the end of a digest's window until a worker has taken it


class Finding:
    """One violation, with every status it has had: [(status, since when)].

    A sweep that finds the same again is no news."""

    def __init__(self, record):
        self.history, self.record = [], record

    def see(self, record):
        change = (record["status"], timestamp(record["time"]))
        if not self.history or self.history[-1][0] != change[0]:
            self.history.append(change)
        self.record = record

    status = property(lambda self: self.record["status"])
    group = property(lambda self: self.record["resource"])
    account = property(lambda self: self.record["account"])
    region = property(lambda self: self.record["region"])

    @property
    def was_parked(self):
        return any(status == "parked" for status, _ in self.history)


class Watch:
    def __init__(self, stack):
        self.stack = stack
        self.redis = Redis.from_url(stack.redis.url, decode_responses=True, socket_timeout=5)
        self.opened = {}  # security group → when mallory opened it (the wall clock, before the call)
        self.findings = {}  # security group → Finding
        self.notices = []  # Subject and Message of each

    def close(self):
        self.redis.close()

    def look(self):
        """Reads Redis and the tap; returns the findings that changed."""
        self.notices = [call["params"] for call in self.stack.calls(service="sns", operation="Publish")
                        if call["status"] == 200]  # fmt: skip
        return self.look_at_findings()

    def look_at_findings(self):
        changed = []
        for text in self.redis.hvals(RECORDS):
            record = json.loads(text)
            if record["guardrail"] != GUARDRAIL:
                continue
            finding = self.findings.setdefault(record["resource"], Finding(record))
            before = len(finding.history)
            finding.see(record)
            if len(finding.history) > before:
                changed.append(finding)
        return changed

    # ---- numbers ----

    def count(self, status=None, account=None, groups=None):
        return sum(
            (status is None or finding.status == status)
            and (account is None or finding.account == account)
            and (groups is None or finding.group in groups)
            for finding in self.findings.values()
        )

    def seconds(self, finding):
        """From mallory's call to the verified fix; None where nobody opened it under our eyes or it is not fixed."""
        verified = finding.record.get("times", {}).get("verified")
        if finding.status != "fixed" or not verified or finding.group not in self.opened:
            return None
        return timestamp(verified) - self.opened[finding.group]

    def latencies(self, account=None):
        """Of what was fixed at once: what was parked waited for a person."""
        chosen = [f for f in self.findings.values() if not f.was_parked and account in (None, f.account)]
        return sorted(seconds for seconds in map(self.seconds, chosen) if seconds is not None)

    def notices_of(self, account):
        return [notice for notice in self.notices if account in notice["Subject"]]

    def digests(self, window):
        """(least, most): how many digests the changes seen so far have to make, at one a guardrail, account and window.

        They differ only where a change fell just between the end of a window and the moment a worker took it."""
        told = {}
        for finding in self.findings.values():
            for status, when in finding.history:
                if status not in ("closed", "excepted"):
                    told.setdefault(finding.account, []).append(when)
        ranges = [digests_of(sorted(times), window) for times in told.values()]
        return sum(least for least, _ in ranges), sum(most for _, most in ranges)


def digests_of(times, window):
    def count(length):
        digests, end = 0, float("-inf")
        for when in times:
            if when > end:
                digests, end = digests + 1, when + length
        return digests

    return count(window + DIGEST_SLACK), count(window - 0.1)


def percentile(values, percent):
    if not values:
        return None
    if len(values) == 1:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def timestamp(text):
    """Seconds since 1970 of "2026-11-24T22:05:00.123Z"."""
    whole, _, rest = text.partition(".")
    parsed = time.strptime(whole.rstrip("Z"), "%Y-%m-%dT%H:%M:%S")
    return calendar.timegm(parsed) + (float("0." + rest.rstrip("Z")) if rest else 0.0)
