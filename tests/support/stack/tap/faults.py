"""Rules that delay, refuse, cut or garble the calls they match.

A rule: {"match": {…}, how often, what happens}
  match     service, operation, account, region, principal (ARN), role (issuer ARN), role_account (of AssumeRole):
            glob or list of globs; mutating: true | false.  Absent: everything.
  count     at most so many calls; after: lets so many through first; seconds: so long; percent: so many of a hundred
  delay_ms  answers so much later; may stand alone or with one of
  error     "throttle" | "deny" | "unavailable" | "internal" | "expired" | {"code", "message", "status"}
  cut       "before" (nothing happened) | "after" (it happened, the answer is lost)
  body      an answer that is none, with status (200)
  stale     reads show the state of so many seconds ago (stale.py)
"""

import fnmatch
import itertools
import random
import time

MATCHES = ("service", "operation", "account", "region", "principal", "role", "role_account")
LIMITS = ("count", "after", "seconds", "percent")
EFFECTS = ("delay_ms", "error", "cut", "body", "status", "stale")


class Rule:
    def __init__(self, number, rule):
        known = {"match", *LIMITS, *EFFECTS}
        unknown = (set(rule) - known) | (set(rule.get("match", {})) - {*MATCHES, "mutating"})
        if unknown or not any(name in rule for name in EFFECTS):
            raise ValueError(f"a fault rule has {sorted(unknown) or 'no effect'}; see faults.py")
        self.id, self.rule, self.match = number, rule, rule.get("match", {})
        self.seen = self.hits = 0
        self.ends = time.monotonic() + rule["seconds"] if "seconds" in rule else None

    def over(self):
        rule = self.rule
        return (self.ends is not None and time.monotonic() > self.ends) or self.hits >= rule.get("count", float("inf"))

    def applies(self, facts):
        """Counts, so it is asked once a call."""
        if self.over() or not self.matches(facts):
            return False
        self.seen += 1
        if self.seen <= self.rule.get("after", 0) or random.random() * 100 >= self.rule.get("percent", 100):
            return False
        self.hits += 1
        return True

    def matches(self, facts):
        if "mutating" in self.match and self.match["mutating"] != facts["mutating"]:
            return False
        for name in MATCHES:
            wanted = self.match.get(name)
            if wanted is not None and not any(
                fnmatch.fnmatchcase(facts.get(name) or "", pattern)
                for pattern in ([wanted] if isinstance(wanted, str) else wanted)
            ):
                return False
        return True

    def shown(self):
        return {"id": self.id, **self.rule, "seen": self.seen, "hits": self.hits, "over": self.over()}


class Faults:
    def __init__(self):
        self.rules, self.numbers = [], itertools.count(1)

    def add(self, rule):
        added = Rule(next(self.numbers), rule)
        self.rules.append(added)
        return added.id

    def remove(self, number=None):
        self.rules = [rule for rule in self.rules if number is not None and rule.id != number]

    def for_call(self, facts):
        """(seconds of delay, the first other effect's rule or None)"""
        delay, effect = 0.0, None
        for rule in self.rules:
            if "stale" in rule.rule or (effect and "delay_ms" not in rule.rule):
                continue
            if rule.applies(facts):
                delay += rule.rule.get("delay_ms", 0) / 1000
                if effect is None and any(name in rule.rule for name in ("error", "cut", "body")):
                    effect = rule.rule
        return delay, effect

    def stale_seconds(self, facts):
        """How long reads lag behind writes for this call; 0: not at all."""
        lags = [rule for rule in self.rules if "stale" in rule.rule and not rule.over() and rule.matches(facts)]
        for rule in lags:
            rule.hits += 1
        return max((rule.rule["stale"] for rule in lags), default=0)

    def any_stale(self):
        return any("stale" in rule.rule and not rule.over() for rule in self.rules)
