"""Accounts: which ones there are, where an event's resource is, and the guardrails that look at the organization."""

import json
import re
import shutil
import time
from pathlib import Path

import pytest
import yaml
from spine import SSH, assert_narrowed_once, effects, own_mutations, start_collector, start_worker, wait_fixed, wait_idle
from stack import cloud

ROOT = Path(__file__).resolve().parents[2]


def dead_letters(stack):
    """The reasons, in the order of their topic."""
    return [message["value"]["reason"] for message in stack.topic("parapet.deadletter")]


@pytest.fixture
def playbooks(stack):
    """A directory of playbooks that a test may change."""
    directory = stack.directory / "changed-playbooks"
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(stack.playbooks, directory)
    return directory


def elsewhere(delivered, region, detail, number):
    """An event that tells `delivered` of something in the place that its detail names."""
    return {
        "version": "0", "id": f"elsewhere-{number}", "detail-type": "Found Elsewhere", "source": "example.scanner",
        "account": delivered, "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "region": region, "resources": [], "detail": detail,
    }  # fmt: skip


def test_an_event_may_tell_of_another_account_and_region(stack, playbooks):
    """`account:` and `region:` say where the resource is; both the place of delivery and the one named must be known."""
    path = playbooks / "guardrails" / "ssh-open-to-internet.yaml"
    guardrail = yaml.safe_load(path.read_text())
    guardrail["trigger"] = {
        "events": [
            {
                "pattern": {"source": ["example.scanner"]},
                "ids": "detail.group",
                "account": "detail.owner",
                "region": "detail.where || region",
            }
        ]
    }
    path.write_text(yaml.safe_dump(guardrail, sort_keys=False))
    told, owner = stack.ids[0], stack.ids[1]
    here, there = stack.regions[0], stack.regions[1]
    (far,) = stack.plant(owner, there, [SSH])
    (near,) = stack.plant(owner, here, [SSH])
    (other,) = stack.plant(told, here, [SSH])  # its group of that id is not there: an event about it changes nothing
    start_worker(stack, playbooks=playbooks)
    start_collector(stack)
    details = [
        {"group": far, "owner": owner, "where": there},
        {"group": near, "owner": [owner]},  # a list counts by its first; no Region is named: the event's
        {"group": other},  # names no account
        {"group": other, "owner": "777777777777"},  # one that nobody knows
        {"group": other, "owner": told, "where": "no Region"},
    ]
    stack.send(here, [elsewhere(told, here, detail, number) for number, detail in enumerate(details)])
    # The account that is told must be known, too.
    stack.send(here, [elsewhere("777777777777", here, {"group": other, "owner": told}, 9)])
    wait_fixed(stack, [far, near], 60)
    stack.wait_until(lambda: len(dead_letters(stack)) == 4, 30, lambda: f"four dead letters: {dead_letters(stack)}")
    wait_idle(stack)
    reasons = " | ".join(dead_letters(stack))
    for part in ('"account" names none', 'unknown account "777777777777"', "is no Region"):
        assert part in reasons
    assert_narrowed_once(stack, [far, near])


# ---- an organization in moto ----


class Organization:
    """AWS Organizations in the hub account: workloads/prod, workloads/dev, sandbox."""

    def __init__(self, stack, refresh="2s", **settings):
        self.stack = stack
        self.client = stack.direct(stack.hub_account).client("organizations")
        self.client.create_organization(FeatureSet="ALL")
        self.root = self.client.list_roots()["Roots"][0]["Id"]
        workloads = self.unit("workloads", self.root)
        self.units = {name: self.unit(name, workloads) for name in ("prod", "dev")}
        self.units["sandbox"] = self.unit("sandbox", self.root)
        self.settings = {
            "account": stack.hub_account, "role": "parapet-organization", "refresh": refresh, "environment": "environment",
            "units": {"workloads/prod": "prod", "workloads": "dev"}, "exclude": ["sandbox", stack.hub_account], **settings,
        }  # fmt: skip
        # The stack's own accounts are none of moto's organization: looked after by name.
        stack.write_accounts(organization=self.settings)

    def unit(self, name, parent):
        return self.client.create_organizational_unit(ParentId=parent, Name=name)["OrganizationalUnit"]["Id"]

    def account(self, name, unit, open=True, **tags):
        """A new member in the unit; `open`: its roles let us in."""
        made = self.client.create_account(AccountName=name, Email=f"{name}@example.com")["CreateAccountStatus"]["AccountId"]
        self.move(made, unit)
        if tags:
            self.client.tag_resource(ResourceId=made, Tags=[{"Key": key, "Value": value} for key, value in tags.items()])
        if open:
            self.open(made)
        return made

    def open(self, account):
        """From now on roles can be assumed in it; its administrator."""
        user = self.stack.tap.add_account(account)
        return cloud.Caller(self.stack.tap.url, account, user["key"], user["secret"])

    def move(self, account, unit):
        parent = self.client.list_parents(ChildId=account)["Parents"][0]["Id"]
        self.client.move_account(AccountId=account, SourceParentId=parent, DestinationParentId=self.units[unit])

    def listings(self, since=0):
        return self.stack.calls(since, service="organizations", operation="ListAccounts")


@pytest.fixture
def organization(stack):
    return Organization(stack)


def listed(stack, **settings):
    """{id: row} as `parapet accounts list` says."""
    result = stack.parapet("accounts", "list", "--output", "json", **settings)
    assert result.returncode == 0, result
    return {row["id"]: row for row in json.loads(result.stdout)}


def wait_listed(stack, ids, timeout=30):
    stack.wait_until(lambda: ids <= set(listed(stack)), timeout, lambda: f"{ids} to be listed: {sorted(listed(stack))}", 0.5)


def test_accounts_come_from_the_organization(stack, organization):
    prod = organization.account("payments", "prod")
    tagged = organization.account("lab", "prod", environment="dev", team="research")
    left_out = organization.account("play", "sandbox")
    workers = [start_worker(stack), start_worker(stack)]
    rows = listed(stack)
    assert rows[prod]["environment"] == "prod" and rows[prod]["unit"] == "workloads/prod"
    assert rows[tagged]["environment"] == "dev" and rows[tagged]["tags"]["team"] == "research"
    assert rows[prod]["source"] == "organization" and rows[stack.ids[0]]["source"] == "file"
    assert not {left_out, stack.hub_account} & set(rows)
    assert set(rows) == {prod, tagged, *stack.ids}
    live = listed(stack, live=True)  # the same, asked of AWS
    assert live == rows
    # What is found there is put right, or told, as the environment says; nobody looks after the one that is left out.
    opened = {account: stack.plant(account, stack.regions[0], [SSH])[0] for account in (prod, tagged, left_out)}
    start_collector(stack, **{"schedule.enabled": True, "schedule.at_start": True})
    wait_fixed(stack, [opened[prod]], 90)
    stack.wait_until(
        lambda: any(m["value"]["account"] == tagged for m in stack.topic("parapet.findings")), 30, "a finding in the dev account"
    )
    wait_idle(stack)
    assert set(effects(stack)) == {opened[prod]}
    assert not stack.calls(account=left_out)
    # One of the two workers asks AWS in each interval, not both.
    begun, mark = time.monotonic(), stack.tap.mark()
    time.sleep(9)
    asked = len(organization.listings(mark))
    assert 2 <= asked <= (time.monotonic() - begun) / 2 + 1, asked
    assert all(worker.metric("parapet_accounts") == len(rows) for worker in workers)


def test_accounts_join_and_leave_while_the_fleet_runs(stack, organization):
    first = organization.account("first", "prod")
    worker = start_worker(stack)
    start_collector(stack)
    wait_listed(stack, {first})
    # Denied: the last list stays in force, and it is said.
    stack.tap.fault({"service": "organizations"}, error="deny")
    stack.wait_until(lambda: worker.metric("parapet_accounts_trouble") == 1, 30, "the trouble to be told")
    second = organization.account("second", "prod")
    assert set(listed(stack)) == {first, *stack.ids}
    (group,) = stack.plant(first, stack.regions[0], [SSH])
    detail = {"eventName": "AuthorizeSecurityGroupIngress", "awsRegion": stack.regions[0], "recipientAccountId": first,
              "eventSource": "ec2.amazonaws.com", "eventID": "e-1", "requestParameters": {"groupId": group}}  # fmt: skip
    stack.send(stack.regions[0], [{**elsewhere(first, stack.regions[0], detail, 1), "source": "aws.ec2",
                                   "detail-type": "AWS API Call via CloudTrail"}])  # fmt: skip
    wait_fixed(stack, [group], 60)
    status = stack.parapet("status").stdout
    assert "2 members of the organization" in status and "the last list failed" in status, status
    stack.tap.clear_faults()
    wait_listed(stack, {second}, 60)
    stack.wait_until(lambda: worker.metric("parapet_accounts_trouble") == 0, 30, "the trouble to be over")
    # Half a list is none: whoever stands on the page that fails stays.
    stack.tap.fault({"service": "organizations", "operation": "ListTagsForResource"}, error="internal")
    stack.wait_until(lambda: worker.metric("parapet_accounts_trouble") == 1, 60, "the trouble to be told")
    assert {first, second} <= set(listed(stack))
    stack.tap.clear_faults()
    # Who leaves is dropped as soon as a whole list says so.
    organization.client.remove_account_from_organization(AccountId=second)
    stack.wait_until(lambda: second not in listed(stack), 60, "the account to be dropped", 0.5)
    assert first in listed(stack)
    stack.send(stack.regions[0], [{**elsewhere(second, stack.regions[0], {**detail, "eventID": "e-2", "recipientAccountId": second}, 2),
                                   "source": "aws.ec2", "detail-type": "AWS API Call via CloudTrail"}])  # fmt: skip
    stack.wait_until(lambda: dead_letters(stack), 90, "the stranger's event to be set aside")
    assert f'unknown account "{second}"' in dead_letters(stack)[0]


def test_without_a_list_nobody_is_a_stranger(stack, organization):
    """Before the first list the gates stay closed: events wait in Kafka instead of becoming dead letters."""
    first = organization.account("first", "prod")
    stack.tap.fault({"service": "organizations"}, error="deny")
    worker = stack.start_worker(wait=False, patience="2s,6s")
    worker.wait_not_ready()
    start_collector(stack)
    (group,) = stack.plant(first, stack.regions[0], [SSH])
    detail = {"eventName": "AuthorizeSecurityGroupIngress", "awsRegion": stack.regions[0], "recipientAccountId": first,
              "eventSource": "ec2.amazonaws.com", "eventID": "e-1", "requestParameters": {"groupId": group}}  # fmt: skip
    stack.send(stack.regions[0], [{**elsewhere(first, stack.regions[0], detail, 1), "source": "aws.ec2",
                                   "detail-type": "AWS API Call via CloudTrail"}])  # fmt: skip
    time.sleep(5)
    assert "organizations.ListAccounts: You are not authorized" in worker.log_tail(200)
    assert not own_mutations(stack) and not dead_letters(stack)
    stack.tap.clear_faults()
    worker.wait_ready()
    wait_fixed(stack, [group], 90)


# ---- the guardrails that look at the organization ----


def choose(playbooks, *guardrails):
    """Copies these guardrails of the catalogue, and their resources, into the directory."""
    catalogue = ROOT / "worker" / "playbooks"
    for name in guardrails:
        source = catalogue / "guardrails" / f"{name}.yaml"
        kind = yaml.safe_load(source.read_text())["resource"].replace(".", "-")
        shutil.copy(source, playbooks / "guardrails")
        shutil.copy(catalogue / "resources" / f"{kind}.yaml", playbooks / "resources")


def ask_sweep(stack, resource, guardrails, account, region):
    now = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
    stack.produce("parapet.sweeps", [(f"{account}/{region}", {
        "kind": "sweep", "id": f"sweep/{time.monotonic()}/{resource}/{account}", "tick": now, "resource": resource,
        "account": account, "region": region, "guardrails": list(guardrails),
    })])  # fmt: skip


def newest_finding(stack, guardrail, account):
    found = [m["value"] for m in stack.topic("parapet.findings")]
    found = [one for one in found if one["guardrail"] == guardrail and one["account"] == account]
    return found[-1] if found else {}


def finding_of(stack, guardrail, account):
    """Status of the guardrail's newest finding in the account; None: there is none."""
    return newest_finding(stack, guardrail, account).get("status")


def wait_finding(stack, guardrail, account, status, timeout=60):
    stack.wait_until(
        lambda: finding_of(stack, guardrail, account) == status, timeout,
        lambda: f"{guardrail} in {account} to be {status}: {newest_finding(stack, guardrail, account)}", 0.5,
    )  # fmt: skip


TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::999999999999:root"}, "Action": "sts:AssumeRole"}]}  # fmt: skip
DENY = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "organizations:LeaveOrganization", "Resource": "*"}]}
MORE = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["tag:GetResources"], "Resource": "*"}]}
BASELINE = {
    "policies": [{"name": "deny-leaving", "document": DENY}],
    "roles": [{"role": "audit", "trust": TRUST, "attached": ["deny-leaving"], "inline": [{"name": "more", "document": MORE}]}],
    "password_policy": [{
        "MinimumPasswordLength": 14, "RequireSymbols": True, "RequireNumbers": True, "RequireUppercaseCharacters": True,
        "RequireLowercaseCharacters": True, "AllowUsersToChangePassword": True, "MaxPasswordAge": 90, "PasswordReusePrevention": 5,
    }],
}  # fmt: skip


def account_created(stack, account):
    """What AWS tells the management account of a new member."""
    detail = {
        "eventVersion": "1.08", "eventSource": "organizations.amazonaws.com", "eventName": "CreateAccountResult",
        "awsRegion": "us-east-1", "eventType": "AwsServiceEvent", "recipientAccountId": stack.hub_account,
        "userIdentity": {"accountId": stack.hub_account, "invokedBy": "AWS Internal"}, "eventID": f"created-{account}",
        "serviceEventDetails": {"createAccountStatus": {"state": "SUCCEEDED", "accountId": account, "accountName": "n"}},
    }  # fmt: skip
    event = elsewhere(stack.hub_account, "us-east-1", detail, account)
    return {**event, "source": "aws.organizations", "detail-type": "AWS Service Event via CloudTrail"}


def shape(iam):
    """What the account's IAM holds of the baseline, by name."""
    roles = {}
    for role in iam.list_roles()["Roles"]:
        name = role["RoleName"]
        attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
        roles[name] = {
            "trust": role["AssumeRolePolicyDocument"],
            "attached": sorted(policy["PolicyName"] for policy in attached),
            "inline": {one: iam.get_role_policy(RoleName=name, PolicyName=one)["PolicyDocument"]
                       for one in iam.list_role_policies(RoleName=name)["PolicyNames"]},
        }  # fmt: skip
    policies = {}
    for policy in iam.list_policies(Scope="Local")["Policies"]:
        version = iam.get_policy_version(PolicyArn=policy["Arn"], VersionId=policy["DefaultVersionId"])
        policies[policy["PolicyName"]] = version["PolicyVersion"]["Document"]
    return roles, policies


def test_a_new_account_gets_its_baseline_and_drift_is_put_right(stack, playbooks):
    choose(playbooks, "iam-baseline")
    (playbooks / "site.yaml").write_text(
        yaml.safe_dump({"params": "iam-baseline", "environments": {"prod": BASELINE, "dev": {**BASELINE, "roles": []}}})
    )
    organization = Organization(stack, exclude=["sandbox"])  # the hub's own account is told, so it must be known
    worker = start_worker(stack, playbooks=playbooks, **{"park.after": "3s", "park.retry": "1s"})
    start_collector(stack)
    new, dev = organization.account("new", "prod", open=False), organization.account("new-dev", "dev")
    # Told before the list has it, and before its roles let anybody in: neither loses it.
    stack.send("us-east-1", [account_created(stack, new), account_created(stack, new), account_created(stack, dev)])
    stack.wait_until(lambda: new in listed(stack), 60, "the new account to be listed", 0.5)
    time.sleep(3)
    assert not own_mutations(stack, account=new)
    organization.open(new)
    wait_finding(stack, "iam-baseline", new, "fixed", 90)
    wait_finding(stack, "iam-baseline", dev, "fixed", 90)
    iam = stack.direct(new).client("iam")
    roles, policies = shape(iam)
    wanted = {"trust": TRUST, "attached": ["deny-leaving"], "inline": {"more": MORE}}
    assert roles["audit"] == wanted and policies == {"deny-leaving": DENY}
    assert iam.get_account_password_policy()["PasswordPolicy"]["MinimumPasswordLength"] == 14
    assert "audit" not in shape(stack.direct(dev).client("iam"))[0]  # prod and dev differ
    assert not dead_letters(stack)
    calls = len(own_mutations(stack))

    # A second look does nothing, nor does the negative twin: the same policy in other words, and a role of their own.
    iam.update_assume_role_policy(RoleName="audit", PolicyDocument=json.dumps({**TRUST, "Statement": TRUST["Statement"][0]}))
    iam.create_role(RoleName="their-own", AssumeRolePolicyDocument=json.dumps(TRUST))
    sweeps = worker.metric("parapet_sweeps_total", resource="iam.baseline")
    ask_sweep(stack, "iam.baseline", ["iam-baseline"], new, "us-east-1")
    stack.wait_until(lambda: worker.metric("parapet_sweeps_total", resource="iam.baseline") > sweeps, 30, "a sweep")
    wait_idle(stack)
    assert len(own_mutations(stack)) == calls

    # Drift: opened to everybody, given more, its policy hollowed out, the inline one gone.
    everybody = {**TRUST, "Statement": [{**TRUST["Statement"][0], "Principal": {"AWS": "*"}}]}
    back_door = iam.create_policy(PolicyName="back-door", PolicyDocument=json.dumps(MORE))["Policy"]["Arn"]
    iam.update_assume_role_policy(RoleName="audit", PolicyDocument=json.dumps(everybody))
    iam.attach_role_policy(RoleName="audit", PolicyArn=back_door)
    iam.delete_role_policy(RoleName="audit", PolicyName="more")
    deny = f"arn:aws:iam::{new}:policy/deny-leaving"
    for number in range(4):  # as many versions as there may be
        hollow = {**DENY, "Statement": [{**DENY["Statement"][0], "Action": f"nothing:At{number}"}]}
        iam.create_policy_version(PolicyArn=deny, PolicyDocument=json.dumps(hollow), SetAsDefault=True)
    broken = shape(iam)
    # An exception holds it back …
    added = stack.parapet(
        "exceptions", "add", "--guardrail", "iam-baseline", "--account", new, "--owner", "ann@example.com", "--reason", "test",
        "--for", "1h", "--output", "json",
    )  # fmt: skip
    assert added.returncode == 0, added
    ask_sweep(stack, "iam.baseline", ["iam-baseline"], new, "us-east-1")
    wait_finding(stack, "iam-baseline", new, "excepted")
    assert shape(iam) == broken
    # … until it ends.
    (exception,) = stack.redis.client().hkeys("parapet:v1:exceptions")
    assert stack.parapet("exceptions", "remove", exception).returncode == 0
    ask_sweep(stack, "iam.baseline", ["iam-baseline"], new, "us-east-1")
    wait_finding(stack, "iam-baseline", new, "fixed", 90)
    roles, policies = shape(iam)
    assert roles["audit"] == wanted and policies["deny-leaving"] == DENY
    assert len(iam.list_policy_versions(PolicyArn=deny)["Versions"]) == 5

    # What the journal holds as inverse, in reverse order, brings back what was there.
    wait_idle(stack)
    outcomes = [m["value"] for m in stack.topic("parapet.actions") if m["value"]["kind"] == "outcome" and m["value"]["account"] == new]
    last = outcomes[-1]["action"]
    for record in reversed([one for one in outcomes if one["action"] == last]):
        for inverse in record["call"].get("inverse") or []:
            operation = re.sub(r"(?<!^)(?=[A-Z])", "_", inverse["call"].split(".")[1]).lower()
            getattr(iam, operation)(**inverse["with"])
    assert shape(iam) == broken


def test_peering_with_strangers_is_contained(stack, playbooks):
    names = ["peering-with-strangers", "peering-reaches-across", "peering-requested-by-stranger", "endpoint-service-for-strangers"]
    choose(playbooks, *names)
    ours, sister, region, stranger = stack.ids[0], stack.ids[1], stack.regions[0], "888888888888"
    stack.tap.add_account(stranger)
    worker = start_worker(stack, playbooks=playbooks)
    start_collector(stack)

    def network(account, number):
        ec2 = stack.direct(account).client("ec2", region)
        return ec2, ec2.create_vpc(CidrBlock=f"10.{number}.0.0/16")["Vpc"]["VpcId"]

    here, mine = network(ours, 1)

    def peer(account, number):
        there, theirs = network(account, number)
        made = here.create_vpc_peering_connection(VpcId=mine, PeerVpcId=theirs, PeerOwnerId=account, PeerRegion=region)
        pcx = made["VpcPeeringConnection"]["VpcPeeringConnectionId"]
        there.accept_vpc_peering_connection(VpcPeeringConnectionId=pcx)
        table = here.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [mine]}])["RouteTables"][0]["RouteTableId"]
        here.create_route(RouteTableId=table, DestinationCidrBlock=f"10.{number}.0.0/16", VpcPeeringConnectionId=pcx)
        here.authorize_security_group_ingress(GroupId=group, IpPermissions=[cloud.permission("tcp", (443, 443), f"10.{number}.4.0/24")])
        return pcx, table

    group = here.create_security_group(GroupName="g", Description="g", VpcId=mine)["GroupId"]
    strange, table = peer(stranger, 8)
    own, _ = peer(sister, 2)
    here.authorize_security_group_ingress(GroupId=group, IpPermissions=[cloud.permission("tcp", (443, 443), "10.0.0.0/8")])
    # A stranger asks for another one; so does an account of ours.
    asking = {}
    for account, number in ((stranger, 9), (sister, 3)):
        there, theirs = network(account, number)
        made = there.create_vpc_peering_connection(VpcId=theirs, PeerVpcId=mine, PeerOwnerId=ours, PeerRegion=region)
        asking[account] = made["VpcPeeringConnection"]["VpcPeeringConnectionId"]
    for resource, chosen in (("ec2.vpc-peering", names[:3]),):
        ask_sweep(stack, resource, chosen, ours, region)
    wait_finding(stack, "peering-reaches-across", ours, "fixed", 90)
    wait_finding(stack, "peering-requested-by-stranger", ours, "fixed", 90)
    wait_idle(stack)
    told = {m["value"]["resource"] for m in stack.topic("parapet.findings") if m["value"]["guardrail"] == names[0]}
    assert told == {strange, asking[stranger]}

    def routes():
        return {r.get("VpcPeeringConnectionId") for r in here.describe_route_tables(RouteTableIds=[table])["RouteTables"][0]["Routes"]}

    def sources():
        return {rule.get("CidrIpv4") for rule in stack.rules(ours, region, group)}

    def state(pcx):
        return here.describe_vpc_peering_connections(VpcPeeringConnectionIds=[pcx])["VpcPeeringConnections"][0]["Status"]["Code"]

    assert routes() == {None, own}
    assert sources() == {"10.2.4.0/24", "10.0.0.0/8"}  # that of our own account, and the one that is for others as well
    assert state(asking[stranger]) == "rejected" and state(asking[sister]) == "pending-acceptance"
    assert state(strange) == state(own) == "active"  # deleting one could not be undone: people are told

    # An exception holds; the inverses bring back what was there.
    outcomes = [m["value"] for m in stack.topic("parapet.actions") if m["value"]["kind"] == "outcome"]
    for record in reversed([one for one in outcomes if one["guardrail"] == "peering-reaches-across"]):
        for inverse in record["call"].get("inverse") or []:
            operation = re.sub(r"(?<!^)(?=[A-Z])", "_", inverse["call"].split(".")[1]).lower()
            getattr(here, operation)(**inverse["with"])
    assert routes() == {None, own, strange} and "10.8.4.0/24" in sources()
    added = stack.parapet("exceptions", "add", "--guardrail", "peering-reaches-across", "--account", ours, "--resource", strange,
                          "--owner", "ann@example.com", "--reason", "test", "--for", "1h")  # fmt: skip
    assert added.returncode == 0, added
    ask_sweep(stack, "ec2.vpc-peering", ["peering-reaches-across"], ours, region)
    wait_finding(stack, "peering-reaches-across", ours, "excepted")
    wait_idle(stack)
    assert routes() == {None, own, strange}
    assert worker.metric("parapet_actions_total", status="acted") == 2
