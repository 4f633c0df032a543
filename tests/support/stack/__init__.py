"""Parapet's test stack: real Kafka, real Redis, moto as the cloud, and the CloudTrail tap in front of it.

from stack import Stack, permission
with Stack(accounts=3, regions=["eu-west-1"]) as stack:
    worker, collector = stack.start_worker(), stack.start_collector()
    stack.stranger(stack.ids[0]).client("ec2", "eu-west-1").authorize_security_group_ingress(…)
"""

from .cloud import Caller, Direct, permission
from .environment import ALL_REGIONS, HUB, QUEUE, REGIONS, ROLE, ROOT, Stack
from .process import StackError, http_get, wait_until

__all__ = [
    "ALL_REGIONS", "Caller", "Direct", "HUB", "QUEUE", "REGIONS", "ROLE", "ROOT", "Stack", "StackError", "http_get",
    "permission", "wait_until",
]  # fmt: skip
