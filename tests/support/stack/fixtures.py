"""pytest fixtures: one real stack for the whole run, emptied before each test.

from stack.fixtures import *      in a conftest.py
"""

import pytest

from . import contract
from .environment import Stack

_shared = None


def _shared_stack(config):
    # Two conftest.py files may each bring these fixtures; the stack is one all the same.
    global _shared
    if _shared is None:
        _shared = Stack(kafka="real", accounts=5, dev=1).start()
        config.add_cleanup(_stop_shared)
    return _shared


def _stop_shared():
    global _shared
    if _shared is not None:
        _shared.stop()
        _shared = None


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    setattr(item, f"report_{report.when}", report)


@pytest.fixture
def stack(request):
    """Real Kafka, Redis, moto with five accounts (the last one is a dev account), tap; empty, no faults, events on.

    A program of Parapet that ends by itself, or does not end cleanly on SIGTERM, fails the test that started it; so does
    a key in Redis that schemas/redis.md does not know (a test that plants some sets `stack.check_redis = False`)."""
    shared = _shared_stack(request.config)
    shared.reset()
    yield shared
    unexpected = [
        f"{p.name} ended by itself with {p.child.returncode}"
        for p in shared.programs
        if not p.running() and not p.ended_by_us
    ]
    running = [p for p in shared.programs if p.running()]
    statuses = {p: p.terminate(20) for p in reversed(running)}
    unexpected += [f"{p.name} ended with {status} on SIGTERM" for p, status in statuses.items() if status != 0]
    if shared.programs and shared.check_redis and shared.redis.answers():
        unexpected += contract.violations(shared.redis.client())[:5]
    report = getattr(request.node, "report_call", None)
    if unexpected or (report is not None and report.failed):
        for program in shared.programs:
            print(f"--- {program.name}, last lines of its log\n{program.log_tail(40)}")
    shared.programs.clear()
    assert not unexpected, "; ".join(unexpected)
