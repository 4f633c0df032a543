"""What an event that concerns no guardrail costs a worker: no memory of its own."""

import struct
import subprocess
import time
from pathlib import Path

from test_rebalance import event

ROOT = Path(__file__).resolve().parents[2]
EVENTS = 30000


def counted(path):
    """(calls, bytes) that the program's own code allocated so far."""
    return struct.unpack("4Q", path.read_bytes())[:2]


def send(stack, count):
    quiet = {**event(stack.ids[0], "sg-1"), "source": "aws.polly"}
    stack.produce("parapet.events", [(str(n % 997), quiet) for n in range(count)])


def test_an_unmatched_event_allocates_nothing(stack, tmp_path):
    library, counts = tmp_path / "count.so", tmp_path / "counts"
    source = ROOT / "tests/bench/count_allocations.c"
    subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-shared", "-fPIC", "-o", library, source], check=True)
    worker = stack.start_worker(wrapper=["env", f"LD_PRELOAD={library}", f"COUNT_FILE={counts}"])
    send(stack, 1000)  # what is allocated once
    stack.wait_until(lambda: worker.metric("parapet_events_total") >= 1000, 60, "the first events", 0.1)
    before, begun = counted(counts), time.monotonic()
    send(stack, EVENTS)
    stack.wait_until(lambda: worker.metric("parapet_events_total") >= 1000 + EVENTS, 120, "all events", 0.1)
    after, seconds = counted(counts), time.monotonic() - begun
    time.sleep(max(2, seconds))  # the same time without events: what the worker allocates anyway
    idle = counted(counts)
    calls, size = ((b - a) - (c - b) for a, b, c in zip(before, after, idle))
    print(f"\n{size / EVENTS:.3f} bytes in {calls / EVENTS:.5f} calls an event, beside {idle[1] - after[1]} bytes by the way")
    assert calls < EVENTS / 100 and size < EVENTS, (calls, size)
