"""A worker that is killed between every two of its calls to Redis, Kafka and AWS, one call after the other.

Proxies stand in front of all three. They count the calls that name one group (or its finding), and kill the worker right
before the n-th, whatever else it has in hand: each worker finds what its predecessors left; the last one lives. Of the
calls that name no group (a role assumed, an event seen, its own sign of life) each kind is a point of its own: before the
first one, whoever makes it. Whatever the point is: every group is narrowed by exactly one Authorize and one Revoke, no
unit is lost, no action goes uncounted, and what the topics say is whole.

They take some minutes; CRASH_POINTS says which: "all" (the default), "3" (every third), or "7,8,9" (their numbers)."""

import hashlib
import os
import threading
import time

from spine import (
    GUARDRAIL, HTTPS, assert_journal_closed, assert_narrowed_once, assert_whole, counts, effects, open_to_internet,
    start_collector, start_worker, wait_fixed, wait_idle,
)  # fmt: skip
from stack.proxy import Proxy, http_calls, kafka_calls, redis_calls

PRODUCE = 0
PARK_AFTER = 10  # seconds; twice as long is what was taken held for its taker
MOST = 80


class Watch:
    """Counts the calls about one group, and notes the names of all others; at the n-th of the first, or at the first one
    of a name of the others, before it goes on, the worker is killed."""

    def __init__(self):
        self.lock, self.names, self.others, self.marks = threading.Lock(), [], set(), ()
        self.stop_at, self.worker = 0, None

    def arm(self, account, region, group, stop_at, worker):
        """stop_at: the n-th, a name, or 0: never."""
        arn = f"arn:aws:ec2:{region}:{account}:security-group/{group}"
        finding = hashlib.sha256(f"{GUARDRAIL}|{arn}".encode()).hexdigest()[:12]  # its actions begin with it
        # In two halves: records that are compressed may have one of them as "like that before".
        marks = tuple(part.encode() for part in (group[3:11], group[11:], finding))
        with self.lock:
            self.names, self.others, self.marks, self.stop_at, self.worker = [], set(), marks, stop_at, worker

    def disarm(self):
        with self.lock:
            self.stop_at, self.marks = 0, ()
            return list(self.names), set(self.others)

    def saw(self, name, call):
        with self.lock:
            about = any(mark in call for mark in self.marks)
            if about:
                self.names.append(name)
            else:
                self.others.add(name)
            if self.worker is None or self.stop_at != (len(self.names) if about else name):
                return True
            self.worker.kill()
            self.worker = None
            return False

    # What to call them.

    def redis(self, call):
        keys = [part.decode() for part in call.split(b"\r\n") if part.startswith(b"parapet:v1:")]
        subject = [key for key in keys if key not in ("parapet:v1:epoch", "parapet:v1:stop")]
        return self.saw("redis " + (subject[0].split(":")[2] if subject else "-"), call)

    def kafka(self, call):
        return self.saw("kafka produce", call) if int.from_bytes(call[4:6], "big") == PRODUCE else True

    def aws(self, call):
        line = call.partition(b"\r\n")[0]
        if not line.startswith((b"POST", b"GET")):
            return True
        body = call.partition(b"\r\n\r\n")[2]
        action = next((part[7:].decode() for part in body.split(b"&") if part.startswith(b"Action=")), "call")
        return self.saw("aws " + action, call)


def points_of(count, others):
    """Numbers, and names of others."""
    points, chosen = [*range(1, count + 1), *others], os.environ.get("CRASH_POINTS", "all")
    if chosen == "all":
        return points
    if "," in chosen:
        return [points[int(n) - 1] for n in chosen.split(",")]
    return points[:: int(chosen)]


def test_every_crash_point(stack):
    account, region = stack.ids[0], "eu-west-1"
    watch = Watch()
    times = {"kafka.session_timeout": "2s", "lease": "5s", "patience": "1s", "park.retry": "2s", "park.after": f"{PARK_AFTER}s"}
    with (
        Proxy(stack.redis.port, redis_calls, watch.redis) as redis,
        Proxy(stack.kafka.watched, kafka_calls, watch.kafka, stack.kafka.watch) as kafka,
        Proxy(int(stack.tap.url.rsplit(":", 1)[1]), http_calls, watch.aws) as tap,
    ):
        through = {
            **times,
            "redis.url": f"redis://127.0.0.1:{redis.port}",
            "kafka.brokers": f"127.0.0.1:{kafka.port}",
            "aws.endpoint_url": f"http://127.0.0.1:{tap.port}",
            # Every grant is counted; nothing may be in the way of a unit that is begun again.
            "breaker.override": f"{GUARDRAIL}=1000/1h",
        }
        start_collector(stack)

        # The way without an accident: how many calls it takes.  The first one only brings Redis its scripts.
        groups, killed, others = [], [], set()
        worker = start_worker(stack, **through)
        for _ in range(2):
            groups += stack.plant(account, region, [HTTPS])
            watch.arm(account, region, groups[-1], 0, worker)
            open_to_internet(stack, [(account, region, groups[-1])])
            wait_fixed(stack, groups, 60)
            time.sleep(1.5)  # its own changes come back as events
            names, more = watch.disarm()
            others |= more  # a role is assumed the first time only
        worker.terminate(20)
        points = points_of(min(len(names), MOST), sorted(others))
        print(f"\n{len(names)} calls: {', '.join(names)}\nothers: {', '.join(sorted(others))}\nkilled before {len(points)}: {points}")
        assert len(names) >= 20, names

        for point in points:
            (group,) = stack.plant(account, region, [HTTPS])
            groups.append(group)
            worker = start_worker(stack, **through)
            watch.arm(account, region, group, point, worker)
            open_to_internet(stack, [(account, region, group)])
            try:
                stack.wait_until(lambda worker=worker: not worker.running(), 40, f"the end at point {point}", 0.02)
                killed.append(point)
            except TimeoutError:  # its way was shorter this time (nothing of a predecessor's to do)
                worker.kill()
            watch.disarm()
        print(f"killed by the watch at {killed}")
        assert len(killed) >= 0.9 * len(points), (killed, points)

        survivor = start_worker(stack, **times, **{"breaker.override": f"{GUARDRAIL}=1000/1h"})
        client = stack.redis.client()
        wait_fixed(stack, groups, 120)
        # What a worker had taken from parking when it was killed is held for it a while.
        stack.wait_until(lambda: client.zcard("parapet:v1:parked") == 0, 2 * PARK_AFTER + 30, "nothing to be parked", 0.2)
        wait_idle(stack, 60)
        # No effect twice, none missing, no unit lost, nothing left open or parked.
        assert_narrowed_once(stack, groups)
        assert_whole(stack, [(account, region, group) for group in groups])
        assert_journal_closed(stack)
        assert client.keys("parapet:v1:lease:*") == []
        assert counts(stack) == {"fixed": len(groups)}
        # Each action that had an effect is counted in each of its windows.
        acted = {m["value"]["action"] for m in stack.topic("parapet.actions") if m["value"]["kind"] == "intent"}
        for scope in (f"{GUARDRAIL}/{account}", f"account:{account}", "organization"):
            if client.exists(f"parapet:v1:window:{scope}"):
                assert acted <= set(client.zrange(f"parapet:v1:window:{scope}", 0, -1)), scope
        assert set(effects(stack)) == set(groups) and survivor.running()
