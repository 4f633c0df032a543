#!/usr/bin/env python3
"""Parapet beside Cloud Custodian: the same policies over the same emulator, 1,000 security groups and 500 IAM users.

Each tool is run as a person runs it, start-up included; processor time (user and system) and peak resident memory are
the kernel's account of that process.  Different findings fail the run; figures do not.

build/c7n/bin/custodian is made by bench.sh.  The policies are in tests/data/custodian."""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from stack import Stack, permission  # noqa: E402
from stack.cloud import in_threads  # noqa: E402

GROUPS, USERS, RUNS = 1000, 500, 3
REGION, GLOBAL = "eu-west-1", "us-east-1"
DATA = ROOT / "tests" / "data" / "custodian"
CUSTODIAN = ROOT / "build" / "c7n" / "bin" / "custodian"
# Of ten groups: three that the policy means, one of them by IPv6 and one by a range around the port.
PERMISSIONS = [
    permission(), permission(ports=(0, 1024)), permission(cidr="::/0"), permission(ports=(23, 65535)),
    permission(cidr="10.0.0.0/8"), permission(protocol="udp"), *[permission(ports=(443, 443))] * 4,
]  # fmt: skip


# ---- what there is to find ----


def plant(stack):
    direct = stack.direct(stack.ids[0])
    ec2, iam = direct.client("ec2", REGION), direct.client("iam", GLOBAL)

    def plant_group(number):
        group = ec2.create_security_group(GroupName=f"group-{number}", Description="planted")["GroupId"]
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[PERMISSIONS[number % len(PERMISSIONS)]])

    def plant_user(number):
        iam.create_user(UserName=f"user-{number}")
        key = iam.create_access_key(UserName=f"user-{number}")["AccessKey"]["AccessKeyId"]
        if number % 4 == 0:
            iam.update_access_key(UserName=f"user-{number}", AccessKeyId=key, Status="Inactive")

    in_threads(plant_group, range(GROUPS), threads=4)
    # Half of the keys are 120 days old; a quarter of all keys is switched off.
    stack.moto_time("-120d")
    in_threads(plant_user, range(USERS // 2), threads=4)
    stack.moto_time("+0d")
    in_threads(plant_user, range(USERS // 2, USERS), threads=4)


# ---- one run ----


# Started by a small process: the kernel's peak of a process begins with what its parent had when it was forked.
STARTER = """
import json, os, sys
child = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, used = os.wait4(child, 0)
with open(sys.argv[1], "w") as told:
    json.dump([os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, used.ru_maxrss / 1024], told)
"""


def run(command, env):
    """(exit code, standard output, standard error, {cpu, peak, wall}) of a process and its children."""
    with tempfile.NamedTemporaryFile() as told:
        begun = time.monotonic()
        starter = [sys.executable, "-S", "-I", "-c", STARTER, told.name, *map(str, command)]
        done = subprocess.run(starter, env=env, capture_output=True, text=True, check=True)
        wall = time.monotonic() - begun
        code, cpu, peak = json.load(told)
        return code, done.stdout, done.stderr, {"cpu": cpu, "peak": peak, "wall": wall}


def as_stranger(stack):
    """Both run with the account's own credentials, at the tap, which also counts their calls."""
    user = next(user for user in stack.users if user["account"] == stack.ids[0])
    return {**stack.environment(accounts=None), "AWS_ACCESS_KEY_ID": user["key"], "AWS_SECRET_ACCESS_KEY": user["secret"],
            "AWS_DEFAULT_REGION": REGION, "PARAPET_LOG_LEVEL": "error"}  # fmt: skip


def parapet(stack, playbooks, policy, region):
    command = [stack.programs_from / "parapet", "assess", policy, "--region", region, "--output", "json", "--playbooks", playbooks]
    code, output, error, spent = run(command, as_stranger(stack))
    if code not in (0, 3):
        raise SystemExit(f"bench: parapet ended with {code}\n{error}{json.loads(output)['unreadable'] if output else ''}")
    return {finding["resource"] for finding in json.loads(output)["findings"]}, spent


def custodian(stack, policy, region, key):
    with tempfile.TemporaryDirectory() as place:
        command = [CUSTODIAN, "run", "--cache-period", "0", "--region", region, "-s", place, "-p", policy, DATA / "policies.yml"]
        code, _, error, spent = run(command, {**as_stranger(stack), "HOME": place})
        if code != 0:
            raise SystemExit(f"bench: custodian ended with {code}\n{error}")
        resources = json.loads((Path(place) / policy / "resources.json").read_text())
        return {resource[key] for resource in resources}, spent


# ---- both, side by side ----


def best(runs):
    """Of the same work the run with the least processor time: the others were disturbed."""
    findings = {frozenset(found) for found, _ in runs}
    if len(findings) != 1:
        raise SystemExit("bench: runs of the same policy differ")
    return set(findings.pop()), min((spent for _, spent in runs), key=lambda spent: spent["cpu"])


def calls(stack, measure):
    mark = stack.tap.mark()
    measured = measure()
    return measured, len(stack.calls(mark))


def compare(stack, playbooks, policy, region, key, beside):
    ours, our_calls = calls(stack, lambda: parapet(stack, playbooks, policy, region))
    theirs, their_calls = calls(stack, lambda: custodian(stack, policy, region, key))
    our_found, our = best([ours, *(parapet(stack, playbooks, policy, region) for _ in range(RUNS - 1))])
    their_found, their = best([theirs, *(custodian(stack, policy, region, key) for _ in range(RUNS - 1))])
    if our_found != their_found:
        raise SystemExit(f"bench: {policy}: different findings: {sorted(our_found ^ their_found)[:5]}")
    print(f"{policy}: {beside}: {len(our_found)} findings, the same by both")
    print(f"  {'':<18}{'cpu s':>8}{'peak MiB':>10}{'wall s':>8}{'calls':>7}")
    for name, spent, made in (("parapet assess", our, our_calls), ("custodian run", their, their_calls)):
        print(f"  {name:<18}{spent['cpu']:>8.2f}{spent['peak']:>10.1f}{spent['wall']:>8.2f}{made:>7}")
    print(f"  {'ratio':<18}{our['cpu'] / their['cpu']:>8.3f}{our['peak'] / their['peak']:>10.3f}", flush=True)


def shipped(stack, guardrail, region):
    _, spent = parapet(stack, ROOT / "worker" / "playbooks", guardrail, region)
    print(f"  {guardrail}, as shipped: {spent['cpu']:.2f} s, {spent['peak']:.1f} MiB, {spent['wall']:.2f} s", flush=True)


def main():
    version = subprocess.run([CUSTODIAN, "version"], capture_output=True, text=True, check=True).stdout.strip()
    with Stack(kafka=None, redis=False, accounts=1, regions=[REGION], faketime=True) as stack:
        plant(stack)
        playbooks = stack.directory / "custodian"
        playbooks.mkdir()
        for source in (DATA / "open-ssh.yaml", DATA / "old-keys.yaml", *(ROOT / "worker/playbooks/resources").glob("*.yaml")):
            shutil.copy(source, playbooks)
        print(f"Cloud Custodian {version}; least processor time of {RUNS} runs each, start-up included")
        compare(stack, playbooks, "open-ssh", REGION, "GroupId", f"{GROUPS} security groups")
        shipped(stack, "ssh-open-to-internet", REGION)
        compare(stack, playbooks, "old-keys", GLOBAL, "UserName", f"{USERS} IAM users with a key each")
        shipped(stack, "access-key-unused", GLOBAL)


if __name__ == "__main__":
    main()
