"""The fleet's budget: what three workers together ask of an account and Region stays within a part of AWS's buckets."""

import collections

import storm
from spine import UNLIMITED, counts, effects, start_collector, start_worker

PERCENT, VIOLATIONS = 20, 20
# EC2's published buckets: requests at once, and a second.  Each action has one of its own.
READ, WRITE = (100, 20), (50, 5)


def over_budget(times, burst, rate):
    """The first span of time in which more was asked than the bucket gives, or None."""
    for first, begun in enumerate(times):
        for last in range(first, len(times)):
            if last - first + 1 > burst + rate * (times[last] - begun + 0.05) + 1:
                return last - first + 1, round(times[last] - begun, 3)
    return None


def test_the_fleet_stays_within_its_part_of_the_buckets(stack):
    account, region = stack.ids[0], stack.regions[0]
    places = stack.plant_everywhere([storm.SSH], VIOLATIONS, [account], [region])
    start_collector(stack)
    options = {**UNLIMITED, "aws.budget": PERCENT, "threads": 8, "patience": "500ms,2s", "log.level": "info"}
    workers = [start_worker(stack, wait=False, **options) for _ in range(3)]
    for worker in workers:
        worker.wait_ready()
    storm.strike(stack, places)
    stack.wait_until(lambda: counts(stack).get("fixed") == VIOLATIONS, 180, lambda: f"all fixed: {counts(stack)}", 0.5)
    wrong = {group: done for group, done in effects(stack).items() if len(done) != 2}
    assert not wrong, wrong

    asked = collections.defaultdict(list)
    for call in stack.calls(service="ec2", account=account, region=region, role=f"*{stack.role}"):
        asked[(call["operation"], call["kind"])].append(call["time"])
    assert len(asked[("AuthorizeSecurityGroupIngress", "mutating")]) == VIOLATIONS
    for (operation, kind), times in asked.items():
        burst, rate = WRITE if kind == "mutating" else READ
        over = over_budget(sorted(times), burst * PERCENT / 100, rate * PERCENT / 100)
        print(f"{operation}: {len(times)} in {max(times) - min(times):.1f} s")
        assert over is None, f"{operation}: {over[0]} in {over[1]} s"
    assert len(asked[("DescribeSecurityGroups", "read")]) > READ[0] * PERCENT / 100, "the bucket was never near its end"
