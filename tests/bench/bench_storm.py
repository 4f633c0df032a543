"""A storm of ten thousand violations over twenty accounts, four Regions and six workers: limits, notices, pace; and a
thousand fixes whose own events come back.  Every limit is asserted: a figure is printed only of a run that held them."""

import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/support"), str(ROOT / "tests/integration")]

import storm  # noqa: E402
from spine import GUARDRAIL, UNLIMITED, counts, effects, own_mutations, published, sns_topic, wait_idle  # noqa: E402
from spine import start_collector, start_worker  # noqa: E402
from stack import Stack  # noqa: E402

VIOLATIONS, FIXES, WORKERS = int(os.environ.get("STORM", 10_000)), int(os.environ.get("FIXES", 1000)), 6
WINDOW, DIGEST, DRAINED, PACE = 1800, 30, 4, 8
LIMITS = {f"{GUARDRAIL}/ACCOUNT": 12, "account:ACCOUNT": 10, GUARDRAIL: 180, "organization": 160}
SETTINGS = {"threads": 8, "patience": "500ms,2s", "log.level": "info", "notice.window": f"{DIGEST}s"}


def run_storm(stack):
    places = storm.plant(stack, VIOLATIONS)
    options = {**SETTINGS, **storm.settings(LIMITS, WINDOW), "notice.sns_topic": sns_topic(stack)}
    start_collector(stack)
    workers = [start_worker(stack, wait=False, **options) for _ in range(WORKERS)]
    for worker in workers:
        worker.wait_ready()
    begun = time.monotonic()
    storm.strike(stack, places)
    fed = time.monotonic() - begun

    def settled():
        seen = counts(stack)
        return seen.get("fixed", 0) + seen.get("parked", 0) == VIOLATIONS

    stack.wait_until(settled, 1500, lambda: f"all fixed or parked: {counts(stack)}", 1)
    took = time.monotonic() - begun
    wait_idle(stack, 300)
    most = storm.assert_limits_held(storm.actions(stack), LIMITS, WINDOW)
    sent = len(published(stack))
    assert sent <= len(stack.ids) * ((time.monotonic() - begun) / DIGEST + 1)
    print(f"{VIOLATIONS} violations fed in {fed:.1f} s, all fixed or parked in {took:.0f} s: {counts(stack)}")
    print(f"most actions in any window: organization {most[('organization', '')]} of {LIMITS['organization']}, "
          f"an account {max(n for (s, _), n in most.items() if s == 'account:ACCOUNT')} of {LIMITS['account:ACCOUNT']}; "
          f"{sent} notices")  # fmt: skip
    run_drain(stack, places)


def run_drain(stack, places):
    """What is parked comes back in the pace that was asked for, of the accounts asked for."""
    fixed = {group for _, _, group in storm.actions(stack)}
    chosen = stack.ids[:DRAINED]
    left = [place for place in places if place[0] in chosen and place[2] not in fixed]
    for scope in ("organization", GUARDRAIL, *(f"{GUARDRAIL}/{account}" for account in chosen)):
        stack.parapet("breaker", "reset", scope, check=True)
    mark, at = stack.tap.mark(), stack.redis.client().time()
    begun = time.monotonic()
    for account in chosen:
        stack.parapet("breaker", "reset", f"account:{account}", "--release", "--pace", f"{PACE}/s", check=True)
    wanted = len(fixed) + len(left)
    stack.wait_until(lambda: counts(stack)["fixed"] == wanted, 900, lambda: f"{wanted} fixed: {counts(stack)}", 1)
    took = time.monotonic() - begun
    wait_idle(stack, 300)
    drained = storm.actions(stack, mark)
    for account in chosen:
        storm.assert_in_pace([action for action in drained if action[1] == account], at[0] + at[1] / 1e6, PACE)
    assert {group for _, _, group in drained} == {group for _, _, group in left}
    print(f"{len(left)} parked ones of {DRAINED} accounts, released at {PACE}/s each: all fixed in {took:.0f} s, none too early")


def run_loop(stack):
    """With its own events coming back, each fix is one, and none is answered."""
    places = storm.plant(stack, FIXES)
    start_collector(stack)
    workers = [start_worker(stack, **{**SETTINGS, **UNLIMITED}) for _ in range(2)]
    begun = time.monotonic()
    storm.strike(stack, places)
    stack.wait_until(lambda: counts(stack) == {"fixed": FIXES}, 1500, lambda: f"all fixed: {counts(stack)}", 1)
    took = time.monotonic() - begun
    own = sum(1 for call in own_mutations(stack, operation="Authorize*"))
    stack.wait_until(lambda: sum(w.metric("parapet_own_events_total") for w in workers) >= own, 120, "own events back", 1)
    wait_idle(stack, 300)
    reactions = [group for group, done in effects(stack).items() if len(done) != 2]
    assert not reactions, f"{len(reactions)} groups were touched more than once"
    print(f"{FIXES} fixes in {took:.0f} s; {own} own events came back, 0 reactions")


if __name__ == "__main__":
    with Stack(kafka="real", accounts=20, moto=2) as whole:
        run_storm(whole)
        whole.reset()
        run_loop(whole)
