"""Rows of the catalogue's test: what somebody does, how it shows, and what Parapet is to make of it.

What breaks things lies in the modules, by what it is about; rows.py puts it together with the guardrails, wakes.py has the
further events that wake them."""

import dataclasses
import itertools
import json
from typing import Callable

PROD, TWIN, DEV = "000000000101", "000000000102", "000000000103"
STRANGER = "888888888888"  # an account that is none of ours
REGION, GLOBAL = "eu-west-1", "us-east-1"
KNOWN = "203.0.113.0/24"
ROLE_ARNS = "arn:aws:iam::*:role/parapet-worker"
numbers = itertools.count(1)


@dataclasses.dataclass
class Row:
    guardrail: str
    event: str  # what tells of it, by CloudTrail's name; of several the one without which nothing is wrong
    make: Callable  # (client(service), bad) → id of the resource; bad: as the guardrail finds it, else the right twin
    broken: Callable  # (client(service), id) → is it as the guardrail finds it?
    region: str = REGION
    fixes: bool = True  # False: people are told, in every environment
    old: bool = False  # what is made is made 120 days ago
    look: Callable = None  # (client(service), id) → all of it that the fix may change, for the comparison after the undo
    told: Callable = None  # (evidence of the finding, client(service), id) → does it tell what it should?
    only: str = ""  # "event": a further event of a guardrail that another row sweeps; "sweep": no event tells of it
    dev: str = "open"  # what becomes of it in the dev account
    final: str = ""  # what `parapet undo` says where nothing can be taken back
    account: str = PROD  # of a row that breaks things in one alone

    def __str__(self):
        return f"{self.guardrail}-{self.make.__name__}"


def policy_text(principal, action, **more):
    statement = {"Sid": "a", "Effect": "Allow", "Principal": principal, "Action": action, "Resource": "*", **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def allow_text(action):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": "*", **action}]})
