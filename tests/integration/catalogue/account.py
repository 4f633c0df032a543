"""What the IAM of an account is to hold, bent or missing, and the events that tell of an account."""

import json

from . import DEV, allow_text
from .iam import POWER

TRUST = json.loads('{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", '
                   '"Principal": {"AWS": "arn:aws:iam::999999999999:root"}}]}')  # fmt: skip
DENY = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "organizations:LeaveOrganization", "Resource": "*"}]}
MORE = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["tag:GetResources"], "Resource": "*"}]}
PASSWORDS = {
    "MinimumPasswordLength": 14, "RequireSymbols": True, "RequireNumbers": True, "RequireUppercaseCharacters": True,
    "RequireLowercaseCharacters": True, "AllowUsersToChangePassword": True, "MaxPasswordAge": 90, "PasswordReusePrevention": 5,
}  # fmt: skip
BASELINE = {
    "policies": [{"name": "deny-leaving", "document": DENY}],
    "roles": [{"role": "audit", "trust": TRUST, "attached": ["deny-leaving"], "inline": [{"name": "more", "document": MORE}]}],
    "password_policy": [PASSWORDS],
}


def _forget_iam(iam):
    """An account as it was when it was new: no role and no policy of the rows'."""
    for role in [one["RoleName"] for one in iam.list_roles()["Roles"] if one["RoleName"] == "audit"]:
        for policy in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
            iam.detach_role_policy(RoleName=role, PolicyArn=policy["PolicyArn"])
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
            iam.delete_role_policy(RoleName=role, PolicyName=name)
        iam.delete_role(RoleName=role)
    for policy in iam.list_policies(Scope="Local")["Policies"]:
        if policy["PolicyName"] not in ("deny-leaving", "back-door"):
            continue
        for version in iam.list_policy_versions(PolicyArn=policy["Arn"])["Versions"]:
            if not version["IsDefaultVersion"]:
                iam.delete_policy_version(PolicyArn=policy["Arn"], VersionId=version["VersionId"])
        iam.delete_policy(PolicyArn=policy["Arn"])
    iam.update_account_password_policy(**PASSWORDS)


def _right_iam(client):
    """The account as the baseline wants it, if in other words: a statement without brackets; in dev without the role."""
    iam = client.quietly("iam")
    _forget_iam(iam)
    deny = iam.create_policy(PolicyName="deny-leaving", PolicyDocument=json.dumps(DENY))["Policy"]["Arn"]
    if client.account != DEV:
        iam.create_role(RoleName="audit", AssumeRolePolicyDocument=json.dumps({**TRUST, "Statement": TRUST["Statement"][0]}))
        iam.attach_role_policy(RoleName="audit", PolicyArn=deny)
        iam.put_role_policy(RoleName="audit", PolicyName="more", PolicyDocument=json.dumps(MORE))
    return iam, deny


def bent_iam(client, bad):
    """Opened to everybody, given more, its policies exchanged, the other one hollowed out until no version is left for the
    right one, weaker passwords.  The account was moved in the organization, which is what the event tells."""
    iam, deny = _right_iam(client)
    if bad and client.account != DEV:
        everybody = {**TRUST, "Statement": [{**TRUST["Statement"][0], "Principal": {"AWS": "*"}}]}
        iam.update_assume_role_policy(RoleName="audit", PolicyDocument=json.dumps(everybody, indent=2))
        back_door = iam.create_policy(PolicyName="back-door", PolicyDocument=json.dumps(MORE))["Policy"]["Arn"]
        iam.attach_role_policy(RoleName="audit", PolicyArn=back_door)
        iam.delete_role_policy(RoleName="audit", PolicyName="more")
        iam.put_role_policy(RoleName="audit", PolicyName="much-more", PolicyDocument=allow_text(POWER))
    if bad:
        for number in range(4):  # as many versions as there may be
            hollow = {**DENY, "Statement": [{**DENY["Statement"][0], "Action": f"nothing:At{number}"}]}
            iam.create_policy_version(PolicyArn=deny, PolicyDocument=json.dumps(hollow, indent=2), SetAsDefault=True)
        iam.update_account_password_policy(MinimumPasswordLength=8, AllowUsersToChangePassword=True, MaxPasswordAge=400)
    parents = {"sourceParentId": "r-1", "destinationParentId": "ou-1", "accountId": client.account}
    client.tell_management("MoveAccount", requestParameters=parents)
    return "baseline"


def _new_account(client, bad, name, **told):
    if bad:
        _forget_iam(client.quietly("iam"))
        client.quietly("iam").delete_account_password_policy()
    else:
        _right_iam(client)
    client.tell_management(name, **told)
    return "baseline"


def _service_event(client, member, **status):
    return {"serviceEventDetails": {member: {"state": "SUCCEEDED", **status}}}


def account_created(client, bad):
    told = _service_event(client, "createAccountStatus", accountId=client.account, accountName="n")
    return _new_account(client, bad, "CreateAccountResult", **told)


def account_enrolled(client, bad):
    told = _service_event(client, "createManagedAccountStatus", account={"accountId": client.account})
    return _new_account(client, bad, "CreateManagedAccount", **told)


def account_updated(client, bad):
    told = _service_event(client, "updateManagedAccountStatus", account={"accountId": client.account})
    return _new_account(client, bad, "UpdateManagedAccount", **told)


def account_joined(client, bad):
    """(moto has no AcceptHandshake)"""
    parties = [{"id": "o-1", "type": "ORGANIZATION"}, {"id": client.account, "type": "ACCOUNT"}]
    return _new_account(client, bad, "AcceptHandshake", responseElements={"handshake": {"parties": parties}})


def iam_of(client, _):
    """What the account's IAM holds of the baseline: roles with their policies, all versions of the policies, passwords."""
    iam, roles, policies = client("iam"), {}, {}
    for role in iam.list_roles()["Roles"]:
        name = role["RoleName"]
        inline = iam.list_role_policies(RoleName=name)["PolicyNames"]
        roles[name] = (
            {key: value for key, value in role.items() if key != "RoleLastUsed"},
            sorted(policy["PolicyName"] for policy in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]),
            {one: iam.get_role_policy(RoleName=name, PolicyName=one)["PolicyDocument"] for one in inline},
            iam.list_role_tags(RoleName=name)["Tags"],
        )
    for policy in iam.list_policies(Scope="Local")["Policies"]:
        versions = iam.list_policy_versions(PolicyArn=policy["Arn"])["Versions"]
        documents = [  # a version that comes back has another number
            json.dumps([one["IsDefaultVersion"], iam.get_policy_version(PolicyArn=policy["Arn"], VersionId=one["VersionId"])
                        ["PolicyVersion"]["Document"]], sort_keys=True) for one in versions
        ]  # fmt: skip
        policies[policy["PolicyName"]] = (sorted(documents), policy["AttachmentCount"], policy.get("Tags"))
    return roles, policies, _passwords(iam)


def _passwords(iam):
    try:
        return iam.get_account_password_policy()["PasswordPolicy"]
    except iam.exceptions.NoSuchEntityException:
        return None


def baseline_is_not_there(client, _):
    roles, policies, passwords = iam_of(client, _)
    wanted = json.dumps([True, DENY], sort_keys=True)
    right = wanted in policies.get("deny-leaving", [[]])[0] and (passwords or {}).get("MinimumPasswordLength") == 14
    if "audit" in roles:
        role, attached, inline, _ = roles["audit"]
        trusted = role["AssumeRolePolicyDocument"]["Statement"]
        right = right and "*" not in json.dumps(trusted) and attached == ["deny-leaving"] and list(inline) == ["more"]
    return not right


def role_is_prods_alone(evidence, client, _):
    """dev has a baseline of its own, without the role."""
    return "audit" not in iam_of(client, _)[0]
