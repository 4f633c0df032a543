"""Users and roles: what is wrong with them, and what is nearly the same but right."""

import json

import yaml
from stack.environment import ROOT

from . import allow_text, numbers, policy_text
from .ec2 import instance


def access_key(client, bad):
    """The stack's clock for it stands 120 days back; the twin's is used now."""
    user = f"user-{next(numbers)}"
    client("iam").create_user(UserName=user)
    key = client("iam").create_access_key(UserName=user)["AccessKey"]["AccessKeyId"]
    # A second time switched on: that is the event of this guardrail.
    client("iam").update_access_key(UserName=user, AccessKeyId=key, Status="Inactive" if not bad else "Active")
    return user


def key_is_active(client, user):
    return any(key["Status"] == "Active" for key in client("iam").list_access_keys(UserName=user)["AccessKeyMetadata"])


def _user_with_password(client):
    user = f"user-{next(numbers)}"
    client("iam").create_user(UserName=user)
    return user


def console_user(client, bad):
    user = _user_with_password(client)
    if not bad:
        device = client("iam").create_virtual_mfa_device(VirtualMFADeviceName=user)["VirtualMFADevice"]["SerialNumber"]
        codes = {"AuthenticationCode1": "123456", "AuthenticationCode2": "654321"}
        client("iam").enable_mfa_device(UserName=user, SerialNumber=device, **codes)
    client("iam").create_login_profile(UserName=user, Password="not-a-secret-1A!")
    return user


def _with_device(client):
    """A user with a password and a second factor: (name, the device)."""
    user = console_user(client.quietly, False)
    return user, client("iam").list_mfa_devices(UserName=user)["MFADevices"][0]["SerialNumber"]


def device_taken_away(client, bad):
    user, device = _with_device(client)
    if bad:
        client("iam").deactivate_mfa_device(UserName=user, SerialNumber=device)
    return user


def password_changed(client, bad):
    user = console_user(client.quietly, bad)
    client("iam").update_login_profile(UserName=user, Password="not-a-secret-2A!")
    return user


def _asks_for_a_second_factor(client, user):
    """What the guardrail gives to a user."""
    text = (ROOT / "worker" / "playbooks" / "guardrails" / "console-user-without-mfa.yaml").read_text()
    policy = json.dumps(yaml.safe_load(text)["params"]["policy"])
    client("iam").put_user_policy(UserName=user, PolicyName=MFA_POLICY, PolicyDocument=policy)


def second_factor_not_asked_for(client, bad):
    """What holds the user to a second factor is deleted; the twin has one."""
    user = console_user(client.quietly, bad)
    _asks_for_a_second_factor(client.quietly, user)
    client("iam").delete_user_policy(UserName=user, PolicyName=MFA_POLICY)
    return user


def second_factor_no_longer_asked_for(client, bad):
    """What holds the user to a second factor asks for nothing; the twin has one."""
    user = console_user(client.quietly, bad)
    _asks_for_a_second_factor(client.quietly, user)
    client("iam").put_user_policy(UserName=user, PolicyName=MFA_POLICY, PolicyDocument=allow_text({"Action": "s3:*"}))
    return user


def signed_in(client, bad):
    """The console's sign-in is no call of an API: AWS's record of it is sent."""
    user = console_user(client.quietly, bad)
    client.tell({
        "eventSource": "signin.amazonaws.com", "eventName": "ConsoleLogin", "eventType": "AwsConsoleSignIn",
        "userIdentity": {"type": "IAMUser", "accountId": client.account, "userName": user,
                         "arn": f"arn:aws:iam::{client.account}:user/{user}"},
        "additionalEventData": {"MFAUsed": "No", "LoginTo": "https://console.aws.amazon.com/console/home"},
        "responseElements": {"ConsoleLogin": "Success"},
    }, source="aws.signin", kind="AWS Console Sign In via CloudTrail")  # fmt: skip
    return user


MFA_POLICY = "parapet-require-mfa"


def user_policies(client, user):
    """Everything about the user that the fix may change."""
    iam = client("iam")
    names = iam.list_user_policies(UserName=user)["PolicyNames"]
    inline = {name: iam.get_user_policy(UserName=user, PolicyName=name)["PolicyDocument"] for name in names}
    return inline, iam.list_attached_user_policies(UserName=user)["AttachedPolicies"], iam.get_user(UserName=user)["User"]


def nothing_asks_for_a_second_factor(client, user):
    asks = "BoolIfExists" in json.dumps(user_policies(client, user)[0])
    return not client("iam").list_mfa_devices(UserName=user)["MFADevices"] and not asks


def _instance_with_role(client, action, principal):
    name, iam = f"role-{next(numbers)}", client("iam")
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy_text(principal, "sts:AssumeRole"))
    arn = iam.create_policy(PolicyName=name, PolicyDocument=allow_text(action))["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=name, PolicyArn=arn)
    profile = iam.create_instance_profile(InstanceProfileName=name, Path="/web/")["InstanceProfile"]["Arn"]
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    made = client("ec2").run_instances(
        ImageId="ami-12c6146b", MinCount=1, MaxCount=1, IamInstanceProfile={"Arn": profile},
        MetadataOptions={"HttpTokens": "required", "HttpEndpoint": "enabled"},
    )  # fmt: skip
    return made["Instances"][0]["InstanceId"]


POWER = {"NotAction": ["iam:*", "organizations:*"]}


def powerful_instance(client, bad):
    return _instance_with_role(client, POWER if bad else {"Action": "s3:*"}, {"Service": "ec2.amazonaws.com"})


def powerful_shared_role(client, bad):
    """A function has the role as well: that is for people to sort out."""
    both = {"Service": ["ec2.amazonaws.com", "lambda.amazonaws.com"]}
    return _instance_with_role(client, POWER if bad else {"Action": "s3:*"}, both)


def _role_of(client, one):
    machine = client("ec2").describe_instances(InstanceIds=[one])["Reservations"][0]["Instances"][0]
    return machine["IamInstanceProfile"]["Arn"].rsplit("/", 1)[1]


def _weak_instance(client):
    """An instance whose role has no power yet: (id, role, its policy)."""
    one = _instance_with_role(client.quietly, {"Action": "s3:*"}, {"Service": "ec2.amazonaws.com"})
    name = _role_of(client, one)
    return one, name, f"arn:aws:iam::{client.account}:policy/{name}"


def _more(bad):
    return allow_text(POWER if bad else {"Action": "sqs:*"})


def policy_attached(client, bad):
    one, role, _ = _weak_instance(client)
    arn = client.quietly("iam").create_policy(PolicyName=f"{role}-more", PolicyDocument=_more(bad))["Policy"]["Arn"]
    client("iam").attach_role_policy(RoleName=role, PolicyArn=arn)
    return one


def policy_put(client, bad):
    one, role, _ = _weak_instance(client)
    client("iam").put_role_policy(RoleName=role, PolicyName="more", PolicyDocument=_more(bad))
    return one


def version_made(client, bad):
    one, _, policy = _weak_instance(client)
    client("iam").create_policy_version(PolicyArn=policy, PolicyDocument=_more(bad), SetAsDefault=True)
    return one


def version_chosen(client, bad):
    one, _, policy = _weak_instance(client)
    client.quietly("iam").create_policy_version(PolicyArn=policy, PolicyDocument=_more(bad), SetAsDefault=False)
    client("iam").set_default_policy_version(PolicyArn=policy, VersionId="v2")
    return one


def denial_deleted(client, bad):
    """The role has the power all along, and a Deny that ends it; the twin keeps another one."""
    one = _instance_with_role(client.quietly, POWER, {"Service": "ec2.amazonaws.com"})
    deny = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]})
    for name in ("first", *(() if bad else ("second",))):
        client.quietly("iam").put_role_policy(RoleName=_role_of(client, one), PolicyName=name, PolicyDocument=deny)
    client("iam").delete_role_policy(RoleName=_role_of(client, one), PolicyName="first")
    return one


def _bounded(client):
    """An instance whose role has the power, within a boundary that leaves nothing of it."""
    one = _instance_with_role(client.quietly, POWER, {"Service": "ec2.amazonaws.com"})
    role, iam = _role_of(client, one), client.quietly("iam")
    arn = iam.create_policy(PolicyName=f"{role}-boundary", PolicyDocument=allow_text({"Action": "s3:*"}))["Policy"]["Arn"]
    iam.put_role_permissions_boundary(RoleName=role, PermissionsBoundary=arn)
    return one, role


def boundary_deleted(client, bad):
    one, role = _bounded(client)
    if bad:
        client("iam").delete_role_permissions_boundary(RoleName=role)
    return one


def boundary_widened(client, bad):
    one, role = _bounded(client)
    wide = client.quietly("iam").create_policy(
        PolicyName=f"{role}-other", PolicyDocument=allow_text({"Action": "*" if bad else "sqs:*"})
    )["Policy"]["Arn"]  # fmt: skip
    client("iam").put_role_permissions_boundary(RoleName=role, PermissionsBoundary=wide)
    return one


def _profile(client, bad):
    """A profile whose role has the power (or not), of nobody yet, and a machine without one."""
    other = _instance_with_role(client.quietly, POWER if bad else {"Action": "s3:*"}, {"Service": "ec2.amazonaws.com"})
    return _role_of(client, other), instance(client.quietly, False)


def profile_associated(client, bad):
    name, one = _profile(client, bad)
    client("ec2").associate_iam_instance_profile(InstanceId=one, IamInstanceProfile={"Name": name})
    return one


def role_joins_the_profile(client, bad):
    one, name, _ = _weak_instance(client)
    other = _instance_with_role(client.quietly, POWER if bad else {"Action": "s3:*"}, {"Service": "ec2.amazonaws.com"})
    client.quietly("iam").remove_role_from_instance_profile(InstanceProfileName=name, RoleName=name)
    client("iam").add_role_to_instance_profile(InstanceProfileName=name, RoleName=_role_of(client, other))
    return one


def role_of_instance(client, one):
    """All that the role holds: names, documents, trust, boundary."""
    iam = client("iam")
    profile = iam.get_instance_profile(InstanceProfileName=_role_of(client, one))["InstanceProfile"]
    name = profile["Roles"][0]["RoleName"]
    attached = [policy["PolicyArn"] for policy in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]]
    inline = iam.list_role_policies(RoleName=name)["PolicyNames"]
    documents = {one: iam.get_role_policy(RoleName=name, PolicyName=one)["PolicyDocument"] for one in inline}
    return iam.get_role(RoleName=name)["Role"], sorted(attached), documents


def _default_document(iam, arn):
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    return iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]


def has_power(client, one):
    role, attached, inline = role_of_instance(client, one)
    documents = [*(_default_document(client("iam"), arn) for arn in attached), *inline.values()]
    statements = [statement for document in documents for statement in document["Statement"]]
    boundary = role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
    bounded = boundary and _default_document(client("iam"), boundary)["Statement"][0]["Action"] != "*"
    denied = any(statement["Effect"] == "Deny" for statement in statements)
    return any("NotAction" in statement for statement in statements) and not denied and not bounded


def keys_of(client, user):
    return client("iam").list_access_keys(UserName=user)["AccessKeyMetadata"]
