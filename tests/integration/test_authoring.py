"""What authors of playbooks use: the schema for editors, and the verbs that read everything off the playbooks."""

import json
import os
import re
import subprocess
from pathlib import Path

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PARAPET = ROOT / os.environ.get("BUILD", "build") / "parapet"
BAD = ROOT / "tests/data/bad-playbooks"
SHIPPED = sorted((ROOT / "worker/playbooks").rglob("*.yaml"))
GUARDRAILS = sorted((ROOT / "worker/playbooks/guardrails").glob("*.yaml"))


class Core(yaml.SafeLoader):
    """YAML 1.2's core schema, as Parapet reads it: no dates, and `on` is a text."""


Core.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":timestamp", ":bool"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Core.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(?:true|false)$"), list("tf"))


def load(path):
    return yaml.load(path.read_text(), Core)  # noqa: S506: Core is a SafeLoader


def run(*words, code=0):
    result = subprocess.run([PARAPET, *words], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert result.returncode == code, (words, result.stdout, result.stderr)
    return result.stdout if code == 0 else result.stderr


@pytest.fixture(scope="module")
def schema():
    document = json.loads((ROOT / "schemas/playbook.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(document)
    return jsonschema.Draft202012Validator(document)


def expected():
    rows = [line.split("\t") for line in (BAD / "expected.tsv").read_text().splitlines() if not line.startswith("#")]
    return [(name, line, reason, marks == "schema") for name, line, reason, marks in rows]


@pytest.mark.parametrize("path", SHIPPED + sorted((BAD / "good").iterdir()), ids=lambda path: path.stem)
def test_the_schema_takes_what_the_loader_takes(schema, path):
    schema.validate(load(path))


def test_the_schema_knows_a_sites_parameters(schema):
    right = {"params": "a", "values": {"days": 1}, "environments": {"dev": {}}, "accounts": {"111111111111": {}}}
    assert schema.is_valid(right)
    for wrong in ({"value": {}}, {"accounts": {"1": {}}}, {"environments": {"dev": 1}}, {"params": "A b"}):
        assert not schema.is_valid({**right, **wrong}), wrong


def test_the_schema_refuses_what_is_structurally_bad(schema):
    wrong = [name for name, _, _, structural in expected() if structural]
    assert len(wrong) >= 30
    assert [name for name in wrong if schema.is_valid(load(BAD / "refused" / name))] == []


def test_what_only_the_models_and_names_can_refuse_passes_the_schema(schema):
    """The column of the table is true: what is not marked is not structural, or no YAML at all."""
    for name, _, _, structural in expected():
        if structural or name.startswith(("yaml-", "garbage", "not-utf8", "truncated", "steps-too-deep", "duplicate-")):
            continue
        assert schema.is_valid(load(BAD / "refused" / name)), name


def test_validate_tells_every_bad_playbook():
    result = subprocess.run([PARAPET, "playbooks", "validate", BAD], capture_output=True, timeout=60, cwd=ROOT)
    lines = result.stderr.decode().splitlines()
    assert result.returncode == 3
    for name, line, reason, _ in expected():
        told = [text for text in lines if text.startswith(f"refused/{name}:")]
        assert len(told) == 1 and told[0].startswith(f"refused/{name}:{line}: ") and reason in told[0], (name, told)


def test_a_verbs_first_word_alone_lists_the_second():
    listed = run("playbooks", "--help")
    assert "playbooks validate" in listed and "playbooks diff" in listed and "breaker" not in listed
    assert run("playbooks", code=2) == listed
    assert "guardrails/" in run("playbooks", "validate", SHIPPED[0], code=1)


def test_a_fleet_that_does_not_answer_can_be_named():
    told = run("status", "--redis-url", "redis://127.0.0.1:1", code=1)
    assert "redis://127.0.0.1:1/" in told and "PARAPET_REDIS_URL" in told


# Rules, and how they are reached: by whom, over which routes and past which ACLs.
SSH_READS = [
    "DescribeNetworkAcls", "DescribeNetworkInterfaces", "DescribeRouteTables", "DescribeSecurityGroupRules",
    "DescribeSecurityGroups", "GetManagedPrefixListEntries",
]  # fmt: skip


def test_explain_says_what_the_playbook_says():
    explained = json.loads(run("playbooks", "explain", "ssh-open-to-internet", "--output", "json"))
    assert explained["schedule"] == "rate(5 minutes)"
    assert explained["events"][0]["events"] == ["AuthorizeSecurityGroupIngress", "ModifySecurityGroupRules"]
    assert {read["operation"] for read in explained["reads"]} == {f"ec2.{name}" for name in SSH_READS}
    assert explained["changes"] == {
        "ec2.AuthorizeSecurityGroupIngress": ["ec2.RevokeSecurityGroupIngress"],
        "ec2.RevokeSecurityGroupIngress": ["ec2.AuthorizeSecurityGroupIngress", "ec2.CreateTags"],
    }
    assert explained["gates"]["mode"] == {"prod": "remediate", "dev": "notify", "default": "notify"}
    breaker = explained["gates"]["breaker"]
    assert {key: value for key, value in breaker.items() if value} == {"actions": 20, "within_seconds": 600}
    text = run("playbooks", "explain", "ssh-open-to-internet")
    for words in ("why ", "fix ", "watches ", "reads ", "changes ", "mode ", "breaker ", "20 actions within 600 s"):
        assert words in text
    assert "did you mean" in run("playbooks", "explain", "ssh-open-to-internt", code=2)


@pytest.mark.parametrize("path", GUARDRAILS, ids=lambda path: path.stem)
def test_every_guardrail_can_be_explained(path):
    explained = json.loads(run("playbooks", "explain", path.stem, "--output", "json"))
    document = load(path)
    assert explained["why"] == document["why"] and explained["resource"] == document["resource"]
    assert bool(explained["changes"]) == any("call" in json.dumps(step) for step in document.get("remediate", []))


def statements(*words):
    policy = json.loads(run("iam", *words))
    assert policy["Version"] == "2012-10-17"
    return {statement["Sid"]: statement for statement in policy["Statement"]}


def test_iam_allows_what_one_guardrail_does_and_nothing_more():
    read = statements("--read", "--playbook", "ssh-open-to-internet")
    assert sorted(read["ParapetReads"]["Action"]) == [f"ec2:{name}" for name in SSH_READS]
    write = statements("--write", "--playbook", "ssh-open-to-internet")
    assert write["ParapetChanges"]["Action"] == ["ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress"]
    tags = write["ParapetTagsWhatItCreates"]  # TagSpecifications want ec2:CreateTags: in that call alone
    assert tags["Action"] == ["ec2:CreateTags"]
    assert tags["Condition"] == {"StringEquals": {"ec2:CreateAction": ["AuthorizeSecurityGroupIngress"]}}


def test_iam_of_all_holds_that_of_each():
    for kind, sid in (("--read", "ParapetReads"), ("--write", "ParapetChanges")):
        every = set(statements(kind)[sid]["Action"])
        union = set()
        for path in GUARDRAILS:
            output = run("iam", kind, "--playbook", path.stem)
            for statement in json.loads(output)["Statement"] if output else []:
                union |= set(statement["Action"]) if statement["Sid"] == sid else set()
        assert every == union
        assert not [action for action in every if action.split(":")[1].startswith(("Describe", "List"))] or kind == "--read"


def test_iam_trust_needs_the_fleet_and_pins_the_external_id():
    trust = statements("--trust", "--fleet", "arn:aws:iam::999999999999:role/fleet", "--external-id", "x")
    statement = trust["ParapetAssumes"]
    assert statement["Principal"] == {"AWS": "arn:aws:iam::999999999999:role/fleet"}
    assert statement["Condition"] == {"StringEquals": {"sts:ExternalId": "x"}}
    assert "--fleet" in run("iam", "--trust", code=2)
    assert "one of" in run("iam", "--read", "--write", code=2)


def test_docs_is_a_page_of_every_guardrail():
    page = run("docs")
    for path in GUARDRAILS:
        document = load(path)
        assert f"\n## {document['guardrail']}\n" in page and f"](#{document['guardrail']})" in page
        assert document["fix"].strip() in page
    assert page.count("\n## ") == len(GUARDRAILS)
