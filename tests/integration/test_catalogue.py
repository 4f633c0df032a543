"""The catalogue on the stack: each guardrail finds what is broken, by event and by sweep, fixes it, verifies the fix, and
leaves the right twin alone; a dev account only hears of it, where the site has it so; an operator's undo brings the old
state back, which then stays for as long as its exception holds.

One stack serves all rows.  A row breaks something in the prod account and in the dev account, and makes the nearly same,
but right, thing in a second prod account, in which nothing may then happen at all.  Every event that the guardrails name is
shown: by a row, by a call that wakes what another row shows, or, where moto has no such call, by a record alone."""

import json
import os
import shutil
import subprocess
import time
import uuid

import pytest
import yaml
from catalogue import DEV, GLOBAL, PROD, REGION, ROLE_ARNS, TWIN, Row, numbers
from catalogue.ec2 import described_rule, everything_inside, everything_is_open, from_everywhere, ingress_rules, tcp
from catalogue.policies import AccountBlock
from catalogue.rows import PARAMS, ROWS
from catalogue.wakes import RECORDED, WAKES
from spine import wait_idle
from stack.environment import ROOT, Stack

GUARDRAILS = ROOT / "worker" / "playbooks" / "guardrails"
PLAYBOOKS = {path.stem: yaml.safe_load(path.read_text()) for path in GUARDRAILS.glob("*.yaml")}
UNLIMITED = {
    "breaker.account_actions": 0, "breaker.organization_actions": 0, "breaker.undo_actions": 0,
    "fight.rounds": 0,  # the rows break the same account, Region or detector again and again
    "breaker.override": ",".join(f"{name}=1000/10m" for name in sorted({row.guardrail for row in ROWS})),
}  # fmt: skip


# ---- the stack ----


def with_params(stack):
    """The catalogue as shipped, and beside it what the site says."""
    directory = stack.directory / "playbooks"
    shutil.copytree(ROOT / "worker" / "playbooks", directory)
    for name, said in PARAMS.items():
        (directory / f"site-{name}.yaml").write_text(json.dumps({"params": name, **said}))
    return directory


def client_of(stack, caller, row):
    """client(service, region) of a stranger, or of moto itself (Direct); client.quietly: past the tap."""

    direct = not hasattr(caller, "url")

    def client(service, region=row.region):
        if service == "sqs" and direct:  # queues are the tap's own
            return Untold(stack, stack.stranger(caller.account).client(service, region))
        if service != "s3control":
            return caller.client(service, region)
        url = stack.moto.url_for(caller.account) if direct else caller.url
        return AccountBlock(url, caller.account, *(("direct", "direct") if direct else (caller.key, caller.secret)))

    def tell(detail, source="aws.organizations", kind="AWS API Call via CloudTrail", delivered=caller.account):
        """AWS's own record of what is no call of a service that moto has."""
        if not direct and stack.telling:
            stack.told.append(recorded(detail, source, kind, delivered))
            stack.send(GLOBAL, stack.told[-1:])

    def tell_management(name, **detail):
        """What the organization's management account (the twin, here) is told of an account."""
        kind = "AWS Service Event via CloudTrail" if "serviceEventDetails" in detail else "AWS API Call via CloudTrail"
        source = "aws.controltower" if "Managed" in name else "aws.organizations"
        service = {"eventSource": f"{source[4:]}.amazonaws.com", "eventName": name, "userIdentity": {"type": "AWSService"}}
        tell({**service, **detail}, source, kind, TWIN)

    client.account, client.tell, client.tell_management = caller.account, tell, tell_management
    client.of = lambda account: client_of(stack, stack.direct(account), row)
    client.quietly = client if direct else client.of(caller.account)
    return client


class Untold:
    """A client whose calls the tap makes no events of."""

    def __init__(self, stack, client):
        self._stack, self._client = stack, client

    def __getattr__(self, name):
        def call(**parameters):
            self._stack.tap.events(on=False)
            try:
                return getattr(self._client, name)(**parameters)
            finally:
                self._stack.tap.events(on=self._stack.telling)

        return call


def recorded(detail, source, kind, account):
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    detail = {"eventVersion": "1.08", "awsRegion": GLOBAL, "eventTime": now, "eventID": str(uuid.uuid4()),
              "recipientAccountId": account, **detail}  # fmt: skip
    return {"version": "0", "id": str(uuid.uuid4()), "detail-type": kind, "source": source, "account": account, "time": now,
            "region": GLOBAL, "resources": [], "detail": detail}  # fmt: skip


@pytest.fixture(scope="module")
def cloud():
    accounts = [{"id": PROD, "environment": "prod"}, {"id": TWIN, "environment": "prod"}, {"id": DEV, "environment": "dev"}]
    with Stack(accounts=accounts, regions=[REGION, GLOBAL], guardrails=None, faketime=True) as stack:
        stack.told = []
        stack.playbooks = with_params(stack)
        stack.direct(PROD).client("s3", GLOBAL).create_bucket(Bucket="catalogue-archive")
        stack.start_worker(patience="1s,4s", **UNLIMITED)
        stack.start_collector(**{"sqs.wait": "1s"})
        yield stack
        assert all(program.running() for program in stack.programs)


@pytest.fixture
def events(cloud, request):
    """Whether the event, or a sweep, is to tell."""
    cloud.telling = request.param
    cloud.tap.events(on=request.param)
    yield request.param
    cloud.tap.events(on=True)


def seen(stack, row):
    """{(account, resource): [statuses of its findings]} of the row's guardrail"""
    found = {}
    for message in sorted(stack.topic("parapet.findings"), key=lambda one: one["time"]):  # in two Regions: two partitions
        record = message["value"]
        if record["guardrail"] == row.guardrail:
            found.setdefault((record["account"], record["resource"]), []).append(record["status"])
    return found


def status(stack, row, account, resource):
    return seen(stack, row).get((account, resource), [None])[-1]


def evidence(stack, row, account, resource):
    """What the resource's last open finding of the row's guardrail shows."""
    for message in reversed(stack.topic("parapet.findings")):
        record = message["value"]
        if (record["guardrail"], record["account"], record["resource"], record["status"]) == (
            row.guardrail, account, resource, "open",
        ):  # fmt: skip
            return record["evidence"]
    return None


def sweep(stack, row, guardrails=()):
    kind = PLAYBOOKS[row.guardrail]["resource"]
    now = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
    requests = []
    for account in (PROD, TWIN, DEV):
        body = {
            "kind": "sweep", "id": f"{now}/{next(numbers)}", "tick": now, "resource": kind, "account": account,
            "region": row.region, "guardrails": list(guardrails or [row.guardrail]),
        }  # fmt: skip
        requests.append((f"{account}/{row.region}", body))
    stack.produce("parapet.sweeps", requests)


def own_mutations(stack, since):
    return stack.mutations(since, role=ROLE_ARNS)


def make(stack, row):
    """{account: id} of what the row makes, by a stranger; the past is long ago where the row says so."""
    made, stack.told = {}, []
    stack.tap.events(on=stack.telling and not row.old)  # nobody is told now of what was then
    for account in (PROD, TWIN, DEV):
        caller = stack.stranger(account)
        if row.old:
            stack.moto_time("-120d")
        made[account] = row.make(client_of(stack, caller, row), account != TWIN)
    if row.old:
        stack.moto_time("+0d")
    stack.tap.events(on=stack.telling)
    return made


def events_told(stack, mark):
    """The records of what strangers did since, oldest first; last those that were sent (client.tell)."""
    ids = {call.get("event") for call in stack.calls(mark, principal="*:user/*")}
    made = [event["detail"] for event in stack.tap.emitted(-300)]
    return [detail for detail in made if detail["eventID"] in ids] + [event["detail"] for event in stack.told]


def actions(stack):
    return {message["value"].get("action") for message in stack.topic("parapet.actions")}


def acted(stack, row, account, earlier):
    """What the guardrail did in the account since the earlier actions: {action: its event, "" for a sweep}, oldest first."""
    mine = {}
    for message in sorted(stack.topic("parapet.actions"), key=lambda one: one["time"]):
        record = message["value"]
        if record["kind"] != "intent" or record["action"] in earlier:
            continue  # what operators did is told there as well
        if (record["guardrail"], record["account"]) == (row.guardrail, account):
            mine.setdefault(record["action"], record.get("trigger"))  # which its first intent tells
    return mine


def undo(stack, row, account, earlier):
    """Takes it back, as an operator does."""
    mine = acted(stack, row, account, earlier)
    assert mine
    for action in reversed(mine):
        done = stack.parapet("undo", action, "--owner", "ann@example.com", "--reason", "undone", "--for", "1h")
        assert done.returncode == 0, done.stdout + done.stderr


def exceptions_of(stack, row):
    listed = json.loads(stack.parapet("exceptions", "list", "--output", "json", check=True).stdout)
    return [one["id"] for one in listed if one["guardrail"] == row.guardrail]


def swept(stack):
    return stack.programs[0].metric("parapet_sweeps_total", outcome="done")


# Guardrails that need no row, and the events that they are shown by elsewhere.
ELSEWHERE = {
    # test_revert.py: it has a baseline
    "security-group-change-reverted": [
        "AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress", "RevokeSecurityGroupIngress",
        "RevokeSecurityGroupEgress", "ModifySecurityGroupRules",
    ],
    "root-used": [],  # below: only its event tells, whatever that is, and people are told
    "root-unprotected": ["CreateAccessKey", "DeactivateMFADevice"],  # below: moto's root user has neither, whatever is done
}  # fmt: skip


def triggers():
    """{(guardrail, name of an event): the expression of the resources that it names} of the playbooks"""
    found = {}
    for name, playbook in PLAYBOOKS.items():
        for trigger in playbook["trigger"].get("events", []):
            for event in trigger["pattern"]["detail"].get("eventName", []):
                found[(name, event if isinstance(event, str) else event["equals-ignore-case"])] = trigger["ids"]
    return found


def test_every_guardrail_and_every_event_is_shown():
    assert {row.guardrail for row in ROWS} | set(ELSEWHERE) == set(PLAYBOOKS)
    shown = [(row.guardrail, row.event) for row in ROWS + WAKES if row.event]
    shown += [(guardrail, event) for guardrail, events in ELSEWHERE.items() for event in events]
    recorded = [(guardrail, one.event) for one in RECORDED for guardrail in one.guardrails]
    assert {*shown, *recorded} == set(triggers())
    assert not set(shown) & set(recorded)


@pytest.mark.parametrize("one", RECORDED, ids=str)
def test_what_moto_cannot_do_is_known_as_it_is_recorded(one):
    detail = {"eventSource": f"{one.service}.amazonaws.com", "eventName": one.event, "eventType": "AwsApiCall", **one.detail}
    event = recorded(detail, f"aws.{one.service}", "AWS API Call via CloudTrail", PROD)
    command = [ROOT / os.environ.get("BUILD", "build") / "parapet", "explain", "-", "--output", "json"]
    done = subprocess.run(command, input=json.dumps(event), capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    (explained,) = json.loads(done.stdout)
    concerned = {row["guardrail"]: [name for name in row["ids"] if name] for row in explained["guardrails"] if row["matches"]}
    assert concerned == dict.fromkeys(one.guardrails, one.ids)


def ways():
    """Each row by what tells of it."""
    both = [(row, way) for row in ROWS for way in ("event", "sweep") if row.only in ("", way)]
    return [pytest.param(row, way == "event", id=f"{row}-{way}") for row, way in both]


@pytest.mark.parametrize(("row", "events"), ways(), indirect=["events"])
def test_guardrail(cloud, row, events):
    stack = cloud

    def client(account):
        return client_of(stack, stack.direct(account), row)

    def look():
        return row.look(client(PROD), made[PROD]) if row.look else None

    earlier, mark = actions(stack), stack.tap.mark()
    before = seen(stack, row)
    made = make(stack, row)
    if row.old and events:  # the event that tells of an old key comes now
        for account in (PROD, DEV):
            iam = stack.stranger(account).client("iam", row.region)
            for key in iam.list_access_keys(UserName=made[account])["AccessKeyMetadata"]:
                iam.update_access_key(UserName=made[account], AccessKeyId=key["AccessKeyId"], Status="Active")
    was = None
    if events:
        assert row.event in [detail["eventName"] for detail in events_told(stack, mark)]
    else:
        assert row.broken(client(PROD), made[PROD])
        was = look()
        sweep(stack, row)
    wanted = "fixed" if row.fixes else "open"

    def news(account):
        key = (account, made[account])
        return seen(stack, row).get(key, [])[len(before.get(key, [])) :]

    stack.wait_until(lambda: wanted in news(PROD), 30, lambda: f"{wanted}: {seen(stack, row)}", 0.3)
    stack.wait_until(lambda: row.dev in news(DEV), 30, lambda: f"dev {row.dev}: {seen(stack, row)}", 0.3)
    # Verified by us as well; dev as it was; nothing done in the twin's account or in dev's.
    assert row.broken(client(PROD), made[PROD]) != row.fixes
    assert row.broken(client(DEV), made[DEV]) == (row.dev == "open")
    assert not row.broken(client(TWIN), made[TWIN])
    assert news(TWIN) == []
    mine = own_mutations(stack, mark)
    changed = {PROD} if row.fixes else set()
    assert {call["account"] for call in mine} == (changed | {DEV} if row.dev == "fixed" else changed), mine
    if row.told:
        assert row.told(evidence(stack, row, DEV, made[DEV]), client(DEV), made[DEV])
    if not row.fixes:
        return

    # Once more: there is nothing left to do.
    def sweep_changes_nothing():
        done, mark = swept(stack), stack.tap.mark()
        sweep(stack, row)
        stack.wait_until(lambda: swept(stack) >= done + 3, 20, "the sweeps to end")
        assert own_mutations(stack, mark) == []

    sweep_changes_nothing()
    if events:
        return  # what follows does not depend on what told of it
    if row.final:
        return exception_holds(stack, row, made, earlier)
    # Undone: an exception is there first; what was there is there again, and is left so while the exception holds.
    undo(stack, row, PROD, earlier)
    assert row.broken(client(PROD), made[PROD])
    assert look() == was
    sweep_changes_nothing()
    assert row.broken(client(PROD), made[PROD]) and look() == was
    assert news(PROD)[-1] == "excepted"
    numbers = exceptions_of(stack, row)
    assert numbers
    for number in numbers:
        stack.parapet("exceptions", "remove", number, check=True)
    sweep(stack, row)
    stack.wait_until(lambda: not row.broken(client(PROD), made[PROD]), 20, "the fix once the exception is gone", 0.3)


def exception_holds(stack, row, made, earlier):
    """Of what cannot be undone: that is said; and another one is left alone while somebody's exception holds."""
    (action,) = [one for one in acted(stack, row, PROD, earlier)]
    refused = stack.parapet("undo", action, "--reason", "undone", "--output", "json")
    assert refused.returncode != 0 and row.final in refused.stdout, refused
    client = client_of(stack, stack.direct(PROD), row)
    another = row.make(client_of(stack, stack.stranger(PROD), row), True)
    added = stack.parapet("exceptions", "add", "--guardrail", row.guardrail, "--account", PROD, "--resource", another,
                          "--owner", "ann@example.com", "--reason", "agreed", "--for", "1h")  # fmt: skip
    assert added.returncode == 0, added
    sweep(stack, row)
    stack.wait_until(lambda: "excepted" in seen(stack, row).get((PROD, another), []), 20, "the exception to be told", 0.3)
    assert row.broken(client, another)
    for number in exceptions_of(stack, row):
        stack.parapet("exceptions", "remove", number, check=True)
    sweep(stack, row)
    stack.wait_until(lambda: not row.broken(client, another), 20, "the fix once the exception is gone", 0.3)


@pytest.mark.parametrize("events", [True], indirect=True)
@pytest.mark.parametrize("row", WAKES, ids=lambda row: f"{row.guardrail}-{row.event}")
def test_this_event_alone_wakes_it(cloud, events, row):
    stack, mark, stack.told = cloud, cloud.tap.mark(), []
    earlier, before = actions(stack), seen(stack, row)
    one = row.make(client_of(stack, stack.stranger(row.account), row), True)
    (told,) = events_told(stack, mark)
    assert told["eventName"] == row.event and "errorCode" not in told
    key, wanted = (row.account, one), "fixed" if row.fixes else "open"
    known = len(before.get(key, []))
    stack.wait_until(lambda: wanted in seen(stack, row).get(key, [])[known:], 30, lambda: f"{wanted}: {seen(stack, row)}", 0.3)
    assert row.broken(client_of(stack, stack.direct(row.account), row), one) != row.fixes
    if row.fixes:
        sweeps = triggers()[(row.guardrail, row.event)] == "`[]`"  # it names no resource
        assert set(acted(stack, row, row.account, earlier).values()) == {"" if sweeps else told["eventID"]}


# ---- the root user ----

ROOT_USED, ROOT_UNPROTECTED = (Row(name, "", None, None, GLOBAL, fixes=False) for name in ("root-used", "root-unprotected"))
# What iam.GetAccountSummary is documented to answer where the root user has a device and no key.
PROTECTED = """<GetAccountSummaryResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><GetAccountSummaryResult><SummaryMap>
<entry><key>AccountMFAEnabled</key><value>1</value></entry><entry><key>AccountAccessKeysPresent</key><value>0</value></entry>
</SummaryMap></GetAccountSummaryResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></GetAccountSummaryResponse>"""


@pytest.mark.parametrize("events", [True], indirect=True)
def test_the_root_user_is_told_of_everywhere(cloud, events):
    """Signed in, and in prod given a key, in dev deprived of the device; in the twin a user signs in, and the root user has
    a device."""
    stack, mark = cloud, cloud.tap.mark()

    def protect(account):
        summary = {"service": "iam", "operation": "GetAccountSummary", "account": account}
        return stack.tap.fault(summary, body=PROTECTED, status=200)

    def told(row, wanted):
        for account in (PROD, DEV):
            message = f"{row.guardrail} in {account}: {wanted}"
            stack.wait_until(lambda: status(stack, row, account, "root") == wanted, 30, message, 0.3)

    protect(TWIN)
    for account in (PROD, TWIN, DEV):
        root = {"type": "Root", "accountId": account, "arn": f"arn:aws:iam::{account}:root"}
        user = {"type": "IAMUser", "accountId": account, "arn": f"arn:aws:iam::{account}:user/ann", "userName": "ann"}
        client = client_of(stack, stack.stranger(account), ROOT_USED)
        signed_in = {"eventSource": "signin.amazonaws.com", "eventName": "ConsoleLogin", "eventType": "AwsConsoleSignIn",
                     "additionalEventData": {"MFAUsed": "Yes"}, "responseElements": {"ConsoleLogin": "Success"}}  # fmt: skip
        kind = "AWS Console Sign In via CloudTrail"
        client.tell({**signed_in, "userIdentity": user if account == TWIN else root}, "aws.signin", kind)
        if account != TWIN:
            name = "CreateAccessKey" if account == PROD else "DeactivateMFADevice"
            made = {"eventSource": "iam.amazonaws.com", "eventName": name, "eventType": "AwsApiCall"}
            client.tell({**made, "userIdentity": root}, "aws.iam")
    told(ROOT_USED, "open")
    told(ROOT_UNPROTECTED, "open")

    # A sweep sees that all is well, and that it is not.
    faults = [protect(account) for account in (PROD, DEV)]
    sweep(stack, ROOT_UNPROTECTED)
    told(ROOT_UNPROTECTED, "closed")
    for fault in faults:
        stack.tap.clear_faults(fault)
    sweep(stack, ROOT_UNPROTECTED)
    told(ROOT_UNPROTECTED, "open")
    wait_idle(stack)
    assert not [key for row in (ROOT_USED, ROOT_UNPROTECTED) for key in seen(stack, row) if key[0] == TWIN]
    assert own_mutations(stack, mark) == []
    stack.tap.clear_faults()


# ---- what cannot be read ----

BY_RULES = Row("all-ports-open-inside", "AuthorizeSecurityGroupIngress", everything_inside, everything_is_open)
BY_INTERFACES = Row("ssh-open-to-internet", "AuthorizeSecurityGroupIngress", described_rule, from_everywhere(22))


def open_findings(stack, account):
    """As an operator sees them: {(guardrail, resource)}"""
    listed = stack.parapet("findings", "--status", "open", "--account", account, "--limit", "10000", "--output", "json", check=True).stdout
    return {(one["guardrail"], one["resource"]) for one in json.loads(listed)}


def reach(stack):
    """(status, note) of the newest word on whether PROD can be read."""
    found = [m["value"] for m in stack.topic("parapet.findings") if m["value"]["guardrail"] == "account-access"]
    found = [one for one in found if (one["account"], one["region"]) == (PROD, REGION)]
    return (found[-1]["status"], json.dumps(found[-1])) if found else (None, "")


@pytest.mark.parametrize("events", [True], indirect=True)
def test_what_cannot_be_read_blinds_those_guardrails_alone_that_use_it(cloud, events):
    stack, both = cloud, (BY_RULES.guardrail, BY_INTERFACES.guardrail)
    prod, dev = (client_of(stack, stack.stranger(account), BY_RULES) for account in (PROD, DEV))
    quiet = client_of(stack, stack.direct(DEV), BY_RULES)
    inside, ssh = everything_inside(dev, True), described_rule(dev, True)
    stack.wait_until(lambda: status(stack, BY_RULES, DEV, inside) == "open", 30, "a finding in dev", 0.3)
    stack.wait_until(lambda: status(stack, BY_INTERFACES, DEV, ssh) == "open", 30, "another one in dev", 0.3)

    fault = stack.tap.fault({"service": "ec2", "operation": "DescribeNetworkInterfaces", "role": ROLE_ARNS}, error="deny")
    group = everything_inside(prod, True)
    prod("ec2").authorize_security_group_ingress(GroupId=group, IpPermissions=[tcp(22, 22, "0.0.0.0/0")])
    stack.wait_until(lambda: status(stack, BY_RULES, PROD, group) == "fixed", 30, "what can be judged to be fixed", 0.3)
    stack.wait_until(lambda: reach(stack)[0] == "open", 30, "the denial to be told", 0.3)
    assert "DescribeNetworkInterfaces" in reach(stack)[1] or "not authorized" in reach(stack)[1], reach(stack)
    wait_idle(stack)
    assert BY_INTERFACES.broken(prod, group) and status(stack, BY_INTERFACES, PROD, group) is None

    # A sweep of both: one fixes and closes as ever; of the other's findings none is closed that was not looked at.
    stack.tap.events(on=False)
    other = everything_inside(prod, True)
    for rule in ingress_rules(quiet, inside):
        quiet("ec2").revoke_security_group_ingress(GroupId=inside, SecurityGroupRuleIds=[rule["SecurityGroupRuleId"]])
    sweep(stack, BY_RULES, both)
    stack.wait_until(lambda: status(stack, BY_RULES, PROD, other) == "fixed", 30, "the sweep's fix", 0.3)
    wait_idle(stack)
    assert not everything_is_open(prod, other)
    assert status(stack, BY_INTERFACES, DEV, ssh) == "open" and BY_INTERFACES.broken(prod, group)
    listed = open_findings(stack, DEV)
    assert (BY_RULES.guardrail, inside) not in listed and (BY_INTERFACES.guardrail, ssh) in listed, listed

    stack.tap.clear_faults(fault)
    sweep(stack, BY_INTERFACES, both)
    stack.wait_until(lambda: status(stack, BY_INTERFACES, PROD, group) == "fixed", 30, "the rest to be fixed", 0.3)
    stack.wait_until(lambda: reach(stack)[0] == "closed", 30, "the end of the denial to be told", 0.3)
