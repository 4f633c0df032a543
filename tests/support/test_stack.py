"""The stack's own promises: parts start, stop, keep their data, and leave nothing behind."""

import datetime
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis
import yaml
from stack import ROOT, Stack, http_get, permission, wait_until
from stack.kafka import TOPICS, produce, topic_ends
from stack.process import StackError, free_port

COMMAND = [sys.executable, str(ROOT / "tests" / "support" / "stack.py"), "up"]


# ---- Kafka ----


def test_topics_have_their_partitions(stack):
    for name, (partitions, _) in TOPICS.items():
        assert len(topic_ends(stack.bootstrap, name)) == partitions


def test_a_topic_is_read_whole_and_decoded(stack):
    stack.produce(
        "parapet.events", [(f"key-{n}", {"n": n}) for n in range(500)] + [("broken", b"{nope"), ("gone", None)]
    )
    messages = stack.topic("parapet.events")
    assert len(messages) == 502
    assert sorted(m["value"]["n"] for m in messages if m["value"]) == list(range(500))
    assert [m["raw"] for m in messages if m["key"] == "broken"] == [b"{nope"]
    assert [m["value"] for m in messages if m["key"] == "gone"] == [None]


def test_reset_empties_topics(stack):
    stack.produce("parapet.events", [("a", {"n": 1})])
    stack.reset()
    assert stack.topic("parapet.events") == []
    stack.produce("parapet.events", [("a", {"n": 2})])
    assert [m["value"] for m in stack.topic("parapet.events")] == [{"n": 2}]


def test_broker_comes_back_with_its_data_on_the_same_port(stack):
    bootstrap = stack.bootstrap
    stack.produce("parapet.events", [("before", {"n": n}) for n in range(100)])
    stack.kafka.stop()
    with pytest.raises(StackError):
        produce(bootstrap, "parapet.events", [("down", {})], timeout=2)
    stack.kafka.start()
    assert stack.bootstrap == bootstrap
    stack.produce("parapet.events", [("after", {"n": 100})])
    assert len(stack.topic("parapet.events")) == 101


def test_killed_broker_comes_back_with_acknowledged_data(stack):
    stack.produce("parapet.events", [("k", {"n": n}) for n in range(100)])
    stack.kafka.kill()
    stack.kafka.start()
    assert len(stack.topic("parapet.events")) == 100


def test_group_lag(stack):
    stack.produce("parapet.events", [(str(n), {"n": n}) for n in range(30)])
    assert stack.group_lag("nobody", ["parapet.events"]) == 30
    assert not stack.group_shares("nobody")


# ---- Redis ----


def test_redis_keeps_its_data_over_stop_and_start(stack):
    stack.redis.client().set("parapet:v1:x", "1")
    stack.redis.stop()
    with pytest.raises(Exception):
        stack.redis.client().ping()
    stack.redis.start()
    assert stack.redis.client().get("parapet:v1:x") == "1"
    assert stack.redis.keys() == ["parapet:v1:x"]


def test_suspended_redis_hangs_and_resumes(stack):
    client = stack.redis.client()
    client.ping()
    stack.redis.suspend()
    try:
        with pytest.raises(Exception):
            redis.Redis(port=stack.redis.port, socket_timeout=0.3).ping()
    finally:
        stack.redis.resume()
    assert client.ping()


# ---- settings and programs ----


def test_settings_become_environment(stack):
    environment = stack.environment(kafka__group="g", patience=["1s", "2s"], playbooks=None)
    assert environment["PARAPET_KAFKA_GROUP"] == "g"
    assert environment["PARAPET_KAFKA_BROKERS"] == stack.bootstrap
    assert environment["PARAPET_PATIENCE"] == "1s,2s"
    assert "PARAPET_PLAYBOOKS" not in environment
    assert environment["AWS_ENDPOINT_URL"] == stack.tap.url


def test_collectors_settings_are_the_event_queues(stack):
    environment = stack.environment(**stack.collector_settings())
    assert environment["PARAPET_SQS_QUEUE"] == "parapet-events"
    assert environment["PARAPET_SQS_REGIONS"] == ",".join(stack.regions)


def test_accounts_file(stack):
    written = yaml.safe_load(Path(stack.accounts_file).read_text())
    assert written["role"] == "parapet-worker"
    assert [a["environment"] for a in written["accounts"]] == ["prod"] * 4 + ["dev"]
    assert all(isinstance(a["id"], str) and len(a["id"]) == 12 for a in written["accounts"])


def test_wait_until_says_what_did_not_happen():
    with pytest.raises(TimeoutError, match="the moon .* did not happen in 0.1 s"):
        wait_until(lambda: False, 0.1, "the moon to rise")


def test_free_ports_are_distinct():
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == 50


# ---- life and death ----


def _start_command(*arguments, stdin=None):
    child = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stdin=stdin or subprocess.PIPE, text=True)
    return child, json.loads(child.stdout.readline())


def _processes_of(directory):
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().decode("utf-8", "replace")
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if directory in command and state != "Z":
                found.append(command)
    return found


def _nothing_left(described):
    wait_until(
        lambda: not Path(described["directory"]).exists() and not _processes_of(described["directory"]),
        15,
        lambda: f"end of {_processes_of(described['directory'])} and {described['directory']}",
    )
    for url in [described["tap"], *described["moto"]]:
        with pytest.raises(OSError):
            http_get(url + "/", timeout=1)


@pytest.mark.parametrize("end", ["SIGTERM", "SIGINT", "SIGKILL", "end of input"])
def test_nothing_is_left_behind(end):
    child, described = _start_command("--kafka", "none", "--accounts", "2", "--moto", "2")
    assert _processes_of(described["directory"])
    assert len(described["moto"]) == 2
    if end == "end of input":
        child.stdin.close()
    else:
        os.kill(child.pid, getattr(signal, end))
    status = child.wait(30)
    assert status == (-9 if end == "SIGKILL" else 0)
    _nothing_left(described)
    child.stdout.close()


def test_killed_stack_takes_its_broker_along():
    child, described = _start_command("--accounts", "1", "--regions", "eu-west-1")
    child.kill()
    child.wait()
    _nothing_left(described)
    child.stdout.close()
    child.stdin.close()


def test_two_stacks_at_once_do_not_see_each_other(stack):
    with Stack(kafka=None, accounts=1, regions=["eu-west-1"]) as other:
        assert other.directory != stack.directory and other.tap.url != stack.tap.url
        account = stack.ids[0]
        group = other.plant(account, "eu-west-1", [permission()])[0]
        theirs = stack.direct(account).client("ec2", "eu-west-1").describe_security_groups()["SecurityGroups"]
        assert group not in {one["GroupId"] for one in theirs}
        other.redis.client().set("a", "b")
        assert stack.redis.client().get("a") is None
    assert not other.directory.exists()


def test_stack_that_cannot_start_leaves_nothing(tmp_path):
    broken = Stack(kafka="real", redis=False, build=tmp_path)
    with pytest.raises(StackError, match="deps.sh"):
        broken.start()
    wait_until(lambda: not broken.directory.exists(), 10, "its directory to go")


def test_command_prints_exports():
    child = subprocess.Popen(
        [*COMMAND, "--kafka", "none", "--shell"], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    )
    lines = [child.stdout.readline() for _ in range(8)]
    child.stdin.close()
    child.wait(30)
    child.stdout.close()
    assert all(line.startswith("export ") for line in lines)
    assert any(line.startswith("export AWS_ENDPOINT_URL=http://127.0.0.1:") for line in lines)


def test_planting_makes_no_calls_at_the_tap(stack):
    started = time.time()
    planted = stack.plant_everywhere([permission()], 40)
    assert len({(a, r) for a, r, _ in planted}) == len(stack.ids) * len(stack.regions)
    account, region, group = planted[7]
    assert [rule["CidrIpv4"] for rule in stack.rules(account, region, group)] == ["0.0.0.0/0"]
    assert stack.calls() == [] and stack.tap.emitted() == []
    assert time.time() - started < 30


def test_moto_in_several_processes_and_in_another_time():
    with Stack(kafka=None, accounts=6, moto=2, regions=["eu-west-1"], faketime=True) as many:
        assert len({many.moto.url_for(account) for account in many.ids}) == 2
        for account in many.ids:
            session = many.role_session(account)
            assert session.client("sts").get_caller_identity()["Account"] == account
            group = many.plant(account, "eu-west-1", [permission()])[0]
            found = session.client("ec2", "eu-west-1").describe_security_groups(GroupIds=[group])["SecurityGroups"]
            assert found[0]["OwnerId"] == account
        many.moto_time("-120d")
        iam = many.stranger().client("iam")
        iam.create_user(UserName="old")
        many.moto_time("+0d")
        made = iam.create_access_key(UserName="old")["AccessKey"]["CreateDate"]
        age = (datetime.datetime.now(datetime.timezone.utc) - made).days
        assert age in (0, 119, 120), age
        assert (
            datetime.datetime.now(datetime.timezone.utc) - iam.get_user(UserName="old")["User"]["CreateDate"]
        ).days >= 119


def test_external_id():
    with Stack(kafka=None, redis=False, accounts=1, regions=["eu-west-1"], external_id="x-1") as strict:
        strict.role_session(strict.ids[0])
        with pytest.raises(Exception, match="AccessDenied"):
            strict.role_session(strict.ids[0], ExternalId="guess")
        assert "external_id: x-1" in Path(strict.accounts_file).read_text()


@pytest.mark.skipif(
    not (ROOT / "build" / "tests" / "support" / "embedded_broker").exists(), reason="embedded_broker is not built"
)
def test_embedded_broker():
    with Stack(kafka="embedded", redis=False, accounts=1, regions=["eu-west-1"]) as light:
        light.produce("parapet.events", [(str(n), {"n": n}) for n in range(100)])
        assert len(light.topic("parapet.events")) == 100
        assert {name: len(topic_ends(light.bootstrap, name)) for name in TOPICS} == {
            n: p for n, (p, _) in TOPICS.items()
        }
