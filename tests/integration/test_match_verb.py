"""parapet match and parapet explain: patterns at the operator's hand, and why a guardrail looks at an event or does not."""

import gzip
import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PARAPET = ROOT / os.environ.get("BUILD", "build") / "parapet"
EC2 = '{"source": ["aws.ec2"]}'


def event(name="AuthorizeSecurityGroupIngress", source="aws.ec2", account="111111111111", **detail):
    service = source.removeprefix("aws.") + ".amazonaws.com"
    detail = {"eventSource": service, "eventName": name, "awsRegion": "eu-west-1", "recipientAccountId": account, **detail}
    return {"version": "0", "id": "e-1", "detail-type": "AWS API Call via CloudTrail", "source": source,
            "account": account, "time": "2024-05-17T10:21:33Z", "region": "eu-west-1", "resources": [], "detail": detail}


def run(*words, stdin="", code=0):
    result = subprocess.run([PARAPET, *map(str, words)], input=stdin, capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert result.returncode == code, (words, result.stdout, result.stderr)
    return result


def lines(*events):
    return "".join(json.dumps(one) + "\n" for one in events)


def test_prints_what_matches_and_how_fast():
    first, second = event(), event(source="aws.s3")
    result = run("match", "--pattern", EC2, stdin=lines(first, second, first))
    assert [json.loads(line) for line in result.stdout.splitlines()] == [first, first]
    assert "2 of 3 events match" in result.stderr and "events/s" in result.stderr


def test_a_bare_record_is_seen_in_its_envelope():
    record = {"eventVersion": "1.08", "eventSource": "ec2.amazonaws.com", "eventName": "RunInstances", "eventID": "r-1"}
    result = run("match", "--pattern", EC2, stdin=json.dumps({"Records": [record]}))
    assert json.loads(result.stdout)["detail"] == record


@pytest.mark.parametrize("name", ["events.jsonl", "events.jsonl.gz", "events.json", "events.json.gz"])
def test_reads_every_kind_of_file(tmp_path, name):
    text = lines(event(), event()) if "jsonl" in name else json.dumps([event(), event()], indent=2)
    (tmp_path / name).write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    (tmp_path / "pattern").write_text(EC2)
    counted = run("match", "--pattern", f"@{tmp_path / 'pattern'}", "--count", tmp_path / name)
    assert counted.stdout == "2\n"
    printed = run("match", "--pattern", EC2, tmp_path / name, tmp_path / name)
    assert [json.loads(line) for line in printed.stdout.splitlines()] == [event()] * 4  # one a line, however written


def test_for_programs():
    result = json.loads(run("match", "--pattern", EC2, "--output", "json", stdin=lines(event(), event(source="x"))).stdout)
    assert (result["events"], result["matched"], result["broken"]) == (2, 1, 0)
    assert result["matches"] == [event()] and result["events_per_second"] > 0 and result["memory"] > 0


def test_exit_codes_are_greps(tmp_path):
    run("match", "--pattern", EC2, stdin=lines(event(source="aws.s3")), code=1)
    broken = run("match", "--pattern", EC2, stdin=lines(event()) + "{nonsense\n", code=2)
    assert json.loads(broken.stdout) == event() and "-: event 2: " in broken.stderr
    assert "nowhere" in run("match", "--pattern", EC2, tmp_path / "nowhere", code=2).stderr
    assert "which pattern?" in run("match", stdin="", code=2).stderr


def test_a_wrong_pattern_is_told_with_its_place(tmp_path):
    wrong = run("match", "--pattern", '{"detail":\n {"port": [{"numeric": ["above", 1]}]}}', code=2).stderr
    assert "detail.port[0].numeric" in wrong and "line 2, column" in wrong
    (tmp_path / "p.json").write_text("{")
    assert "p.json" in run("match", "--pattern", f"@{tmp_path / 'p.json'}", code=2).stderr
    assert f"write --pattern @{tmp_path / 'p.json'}" in run("match", "--pattern", tmp_path / "p.json", code=2).stderr


def explained(stdin, *words):
    (one,) = json.loads(run("explain", "-", "--output", "json", *words, stdin=stdin).stdout)
    return one, {row["guardrail"]: row for row in one["guardrails"]}


def test_explain_names_the_first_field_that_failed():
    one, rows = explained(json.dumps(event("RunInstances")))
    assert (one["name"], one["account"], one["region"]) == ("RunInstances", "111111111111", "eu-west-1")
    assert rows["ssh-open-to-internet"]["failed"] == {
        "path": "detail.eventName", "had": ["RunInstances"], "values": 1, "apart": False,
        "wanted": ["AuthorizeSecurityGroupIngress", "ModifySecurityGroupRules"]}
    _, rows = explained(json.dumps(event(errorCode="Client.UnauthorizedOperation")))
    assert rows["ssh-open-to-internet"]["failed"]["path"] == "detail.errorCode"
    assert rows["ssh-open-to-internet"]["failed"]["wanted"] == [{"exists": False}]


def test_explain_says_what_a_match_looks_at(tmp_path):
    _, rows = explained(json.dumps(event(requestParameters={"groupId": "sg-0abc"}), indent=1))
    assert rows["ssh-open-to-internet"]["matches"] and rows["ssh-open-to-internet"]["ids"] == ["sg-0abc"]
    path = tmp_path / "event.json"
    path.write_text(json.dumps(event(requestParameters={"groupId": "sg-0abc"})))
    text = run("explain", path).stdout
    assert 'yes  ssh-open-to-internet' in text and '["sg-0abc"]' in text
    assert 'detail.eventName is "AuthorizeSecurityGroupIngress", wanted' in text


def test_explain_knows_the_accounts(tmp_path):
    accounts = tmp_path / "accounts.yaml"
    accounts.write_text('regions: [eu-west-1]\naccounts: [{id: "111111111111", name: a, environment: prod}]\n')
    known, _ = explained(json.dumps(event()), "--accounts", accounts)
    assert known["note"] is None
    unknown, _ = explained(json.dumps(event(account="999999999999")), "--accounts", accounts)
    assert "not in the accounts file" in unknown["note"]


def test_explain_names_the_scope_that_leaves_an_event_out(tmp_path):
    for kind in ("resources", "guardrails"):
        (tmp_path / kind).mkdir()
    shipped = ROOT / "worker/playbooks"
    (tmp_path / "resources/r.yaml").write_text((shipped / "resources/ec2-security-group.yaml").read_text())
    text = (shipped / "guardrails/ssh-open-to-internet.yaml").read_text()
    (tmp_path / "guardrails/g.yaml").write_text(text.rstrip() + "\nscope: {regions: [us-*]}\n")
    _, rows = explained(json.dumps(event()), "--playbooks", tmp_path)
    assert rows["ssh-open-to-internet"]["matches"] and rows["ssh-open-to-internet"]["out_of_scope"] == "regions"


def test_explain_takes_a_guardrail_too():
    assert run("explain", "ssh-open-to-internet").stdout == run("playbooks", "explain", "ssh-open-to-internet").stdout
    assert "did you mean" in run("explain", "ssh-open-to-internt", code=2).stderr
    assert "no-such.json" in (missing := run("explain", "no-such.json", code=1).stderr) and "guardrail" not in missing
    assert "neither an EventBridge event" in run("explain", "-", stdin='{"a": 1}', code=1).stderr
    assert "holds no event" in run("explain", "-", stdin="", code=1).stderr
