"""Operators prove who they are: a command carries a request to STS that its sender signed, and the workers ask STS."""

import copy
import json
import secrets
import time

import pytest
import yaml
from spine import HTTPS, SSH, effects, lag, own_mutations, start_worker, sweep, wait_fixed
from stack import programs

HUB_USER = "arn:aws:iam::999999999999:user/parapet-hub"
ONCALL = "arn:aws:iam::999999999999:role/oncall"
EVERYTHING = ["approve", "except", "reset", "stop", "run", "undo"]


@pytest.fixture
def operators(stack):
    """The file of operators: the hub's user may everything, the role oncall may stop; its path."""
    path = stack.directory / "operators.yaml"
    path.write_text(
        yaml.safe_dump({"operators": [{"principal": HUB_USER, "may": EVERYTHING}, {"principal": "arn:aws:iam::9*:role/on*", "may": ["stop"]}]})
    )
    return path


def parapet(stack, operators, *words, caller=None):
    """`parapet` run by the hub's user, or with the caller's credentials."""
    environment = stack.environment(operators=operators)
    if caller:
        environment.update(AWS_ACCESS_KEY_ID=caller.key, AWS_SECRET_ACCESS_KEY=caller.secret)
        if caller.token:
            environment["AWS_SESSION_TOKEN"] = caller.token
    return programs.run([stack.programs_from / "parapet", *words], environment, 90)


def records(stack):
    """What operators did, as the topic has it, the oldest first."""
    found = [m["value"] for m in stack.topic("parapet.actions") if m["value"]["kind"] == "operator"]
    return sorted(found, key=lambda one: one["time"])


def commands(stack):
    return [message["value"] for message in stack.topic("parapet.commands")]


def exceptions(stack):
    return json.loads(stack.parapet("exceptions", "list", "--output", "json", check=True).stdout)


def add_exception(stack, operators, resource="sg-1", **more):
    return parapet(
        stack, operators, "exceptions", "add", "--guardrail", "*", "--resource", resource, "--owner", "ann", "--reason", "x",
        "--for", "1h", **more
    )  # fmt: skip


def send(stack, command):
    """Sends a command as it is; its record in Redis once it is settled."""
    stack.produce("parapet.commands", [(command["id"], command)])

    def settled():
        text = stack.redis.client().get(f"parapet:v1:command:{command['id']}")
        found = json.loads(text) if text else None
        return found if found and found["state"] != "running" else None

    return stack.wait_until(settled, 30, f"the end of {command['id']}", 0.2)


def test_who_may_may_and_is_recorded(stack, operators):
    start_worker(stack, operators=operators)
    done = add_exception(stack, operators)
    assert done.returncode == 0, done.stderr
    assert [one["resource"] for one in exceptions(stack)] == ["sg-1"]
    oncall = stack.hub().assume(ONCALL, "ann")
    stopped = parapet(stack, operators, "stop", "--reason", "incident", caller=oncall)
    assert stopped.returncode == 0, stopped.stderr
    assert json.loads(stack.redis.client().get("parapet:v1:stop"))["by"] == ONCALL
    told = add_exception(stack, operators, "sg-2", caller=oncall)
    assert told.returncode == 1 and f"{ONCALL} may not except" in told.stderr
    nobody = parapet(stack, operators, "resume", caller=stack.stranger())
    assert nobody.returncode == 1 and "user/mallory may not stop" in nobody.stderr
    assert len(exceptions(stack)) == 1 and stack.redis.client().exists("parapet:v1:stop")
    assert parapet(stack, operators, "resume").returncode == 0
    assert [(one["verb"], one["principal"].rpartition(":")[2], one["result"]) for one in records(stack)] == [
        ("except", "user/parapet-hub", "done"), ("stop", "role/oncall", "done"), ("except", "role/oncall", "refused"),
        ("resume", "user/mallory", "refused"), ("resume", "user/parapet-hub", "done"),
    ]  # fmt: skip


def test_no_secret_travels(stack, operators):
    start_worker(stack, operators=operators)
    assert add_exception(stack, operators).returncode == 0
    (command,) = commands(stack)
    assert set(command["proof"]) == {"authorization", "x-amz-date", "x-amz-content-sha256", "content-type", "x-parapet-command"}
    assert stack.users[0]["secret"] not in json.dumps(command)


def altered(command, **changes):
    made = copy.deepcopy(command)
    made["id"] = "c-" + secrets.token_hex(16)
    for name, value in changes.items():
        if name == "proof":
            made["proof"].update(value)
        else:
            made[name] = value
    return made


def test_what_is_forged_tampered_replayed_or_expired_is_refused(stack, operators):
    start_worker(stack, operators=operators)
    assert add_exception(stack, operators).returncode == 0
    (good,) = commands(stack)
    mark = stack.tap.mark()
    old = {"created": "2026-01-01T00:00:00.000Z", "expires": "2026-01-01T00:05:00.000Z"}
    other = copy.deepcopy(good["arguments"])
    other["exception"]["id"], other["exception"]["resource"] = "x-forged", "*"
    signature = good["proof"]["authorization"]
    unsigned = signature.replace(";x-parapet-command", "")
    assert unsigned != signature
    cases = {
        "another command": altered(good),  # the same proof with another id
        "of another": altered(good, arguments=other),
        "is none: a header is missing": {**altered(good), "proof": {"x-amz-date": "x"}},
        "there is none": {**altered(good), "proof": None},
        "has a header that": altered(good, proof={"host": "sts.example.com"}),
        "has expired": altered(good, **old),
        "more than five minutes": altered(good, expires="2999-01-01T00:00:00.000Z"),
        "no such verb": altered(good, verb="destroy"),
    }
    for reason, command in cases.items():
        settled = send(stack, command)
        assert settled["state"] == "refused" and reason in settled["reason"], (reason, settled)
    assert stack.calls(mark, operation="GetCallerIdentity") == [], "nobody was asked about what is no proof"

    # Bound to its command, but not signed for it, or by nobody whom STS knows: the worker, or STS, says no.
    from_here = json.loads(parapet_proof(stack, operators))
    mark = stack.tap.mark()
    wrong = copy.deepcopy(from_here)
    wrong["proof"]["authorization"] = flip(wrong["proof"]["authorization"])
    settled = send(stack, wrong)
    assert settled["state"] == "refused" and "STS does not accept" in settled["reason"], settled
    assert len(stack.calls(mark, operation="GetCallerIdentity")) == 1

    # The very same message again is no second command.
    before = len(records(stack))
    stack.produce("parapet.commands", [(good["id"], good)])
    stack.wait_until(lambda: len(records(stack)) > before, 30, "the replay's record", 0.3)
    assert records(stack)[-1]["result"] == "refused" and "replayed" in records(stack)[-1]["reason"]
    assert [one["resource"] for one in exceptions(stack)] == ["sg-1"]
    # Not even a Redis that was emptied makes it new.
    stack.redis.client().flushall()
    stack.wait_until(lambda: stack.redis.client().exists("parapet:v1:epoch"), 30, "the state rebuilt")
    settled = send(stack, good)
    assert settled["state"] == "refused" and "before Redis lost its memory" in settled["reason"]
    assert [one["resource"] for one in exceptions(stack)] == ["sg-1"]
    assert own_mutations(stack) == [] and stack.programs[-1].running()
    refused = [one for one in records(stack) if one["result"] == "refused"]
    assert len(refused) == len(cases) + 3


def flip(text):
    return text[:-1] + ("0" if text[-1] != "0" else "1")


def parapet_proof(stack, operators):
    """A command with a good proof that no worker has seen: made while none can take it, then taken out of the topic."""
    for program in stack.programs:
        program.terminate(20)
    known = len(commands(stack))
    process = programs.Process(
        "cli", [stack.programs_from / "parapet", "stop", "--reason", "x"], stack.directory / "cli.log",
        env=stack.environment(operators=operators),
    ).start()  # fmt: skip
    stack.wait_until(lambda: len(commands(stack)) > known, 30, "the command", 0.2)
    process.terminate(5)
    stack.programs.clear()
    made = commands(stack)[-1]
    # What stands in the topic is good: it is carried out when a worker comes.  Only a copy with another signature is sent.
    start_worker(stack, operators=operators)
    stack.wait_until(lambda: stack.redis.client().exists("parapet:v1:stop"), 60, "the stop")
    assert parapet(stack, operators, "resume").returncode == 0
    made["id"] = "c-" + secrets.token_hex(16)
    made["proof"]["x-parapet-command"] = command_hash(made)
    return json.dumps(made)


def command_hash(command):
    import hashlib

    text = json.dumps({k: v for k, v in command.items() if k != "proof"}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def test_a_redis_that_an_operator_may_only_read_is_enough(stack, operators):
    start_worker(stack, operators=operators)
    client = stack.redis.client()
    client.execute_command(
        *"ACL SETUSER reader on >secret ~parapet:v1:* +@read +eval +evalsha +time +ping +select +auth +hello".split()
    )
    try:
        environment = stack.environment(operators=operators)
        url = environment["PARAPET_REDIS_URL"].replace("redis://", "redis://reader:secret@")
        environment["PARAPET_REDIS_URL"] = url
        words = ["exceptions", "add", "--guardrail", "*", "--resource", "sg-1", "--owner", "a", "--reason", "x", "--for", "1h"]
        done = programs.run([stack.programs_from / "parapet", *words], environment, 60)
        assert done.returncode == 0, done.stderr
        del environment["PARAPET_OPERATORS"]
        refused = programs.run([stack.programs_from / "parapet", *words], environment, 60)
        assert refused.returncode == 1 and len(exceptions(stack)) == 1
    finally:
        client.execute_command("ACL", "DELUSER", "reader")


def test_approvals_and_undo_ask_who_it_is(stack, operators):
    account, region = stack.ids[0], "eu-west-1"
    group = stack.plant(account, region, [HTTPS, SSH])[0]
    start_worker(stack, operators=operators)
    sweep(stack, [(account, region)])
    wait_fixed(stack, [group], 60)
    stack.wait_until(lambda: lag(stack) == 0, 30, "no lag")
    (action,) = json.loads(stack.parapet("actions", "list", "--output", "json", check=True).stdout)
    done = dict(effects(stack))
    told = parapet(stack, operators, "undo", action["action"], "--reason", "x", caller=stack.stranger())
    assert told.returncode == 1 and "may not undo" in told.stderr
    # Without the setting `parapet` sends no proof, and changes nothing either.
    bare = stack.parapet("undo", action["action"], "--reason", "x")
    assert bare.returncode == 1 and "there is none" in bare.stderr
    assert effects(stack) == done
    well = parapet(stack, operators, "undo", action["action"], "--reason", "x")
    assert well.returncode == 0, well.stderr
    (exception,) = exceptions(stack)
    assert exception["owner"] == HUB_USER


def test_an_unreachable_sts_lets_nobody_in_and_is_waited_for(stack, operators):
    start_worker(stack, operators=operators)
    stack.tap.fault({"service": "sts", "operation": "GetCallerIdentity"}, error="unavailable", seconds=4)
    begun = time.monotonic()
    assert add_exception(stack, operators).returncode == 0
    assert time.monotonic() - begun > 3


def test_a_file_with_a_mistake_is_told_with_its_line(stack, operators):
    operators.write_text("operators:\n  - principal: ann\n    may: [stop]\n")
    worker = stack.start_worker(wait=False, operators=operators)
    stack.wait_until(lambda: not worker.running(), 30, "its end")
    stack.programs.remove(worker)
    assert "operators.yaml:2" in worker.log_tail() and "is an ARN" in worker.log_tail()
