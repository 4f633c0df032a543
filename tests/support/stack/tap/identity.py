"""Access keys, who stands behind them, and STS, which makes new ones.

STS is answered here and not by moto: moto spreads accounts over processes, does not keep session policies, and lets
any role be assumed."""

import base64
import datetime
import hashlib
import re
import secrets
import time
from xml.sax.saxutils import escape

from . import policy
from .errors import Refusal

MEMORY = 200_000  # sessions kept; the oldest is forgotten


class Principal:
    """Who calls: an IAM user or a role session."""

    role = session = policy_text = source_identity = None
    expires = None

    def __init__(self, account, arn, key, secret, token=None):
        self.account, self.arn, self.key, self.secret, self.token = account, arn, key, secret, token

    def identity(self):
        """CloudTrail's userIdentity."""
        name = self.arn.rpartition("/")[2]
        return {
            "type": "IAMUser",
            "principalId": stable_id("AIDA", self.arn),
            "arn": self.arn,
            "accountId": self.account,
            "accessKeyId": self.key,
            "userName": name,
        }


class Session(Principal):
    def __init__(self, role_arn, session, seconds, policy_text, source_identity):
        account, name = role_arn.split(":")[4], role_arn.rpartition("/")[2]
        super().__init__(
            account,
            f"arn:aws:sts::{account}:assumed-role/{name}/{session}",
            "ASIA" + _random_id(16),
            secrets.token_urlsafe(30),
            base64.b64encode(secrets.token_bytes(120)).decode(),
        )
        self.role, self.session, self.policy_text, self.source_identity = (
            role_arn,
            session,
            policy_text,
            source_identity,
        )
        self.created = time.time()
        self.expires = self.created + seconds
        self.role_id = stable_id("AROA", role_arn)

    def identity(self):
        context = {
            "sessionIssuer": {
                "type": "Role",
                "principalId": self.role_id,
                "arn": self.role,
                "accountId": self.account,
                "userName": self.role.rpartition("/")[2],
            },
            "webIdFederationData": {},
            "attributes": {"creationDate": utc(self.created), "mfaAuthenticated": "false"},
        }
        if self.source_identity:
            context["sourceIdentity"] = self.source_identity
        return {
            "type": "AssumedRole",
            "principalId": f"{self.role_id}:{self.session}",
            "arn": self.arn,
            "accountId": self.account,
            "accessKeyId": self.key,
            "sessionContext": context,
        }


def utc(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


def _random_id(length):
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def stable_id(prefix, text):
    """The same id each time for the same user or role."""
    return prefix + base64.b32encode(hashlib.sha256(text.encode()).digest()).decode()[:17]


class Identities:
    """config: {"users": [{key, secret, account, name}], "accounts": [ids that exist], "roles": {name: external id or
    null} or absent (any role exists)}"""

    def __init__(self, config):
        self.keys = {}
        self.accounts = set(config["accounts"])
        self.roles = config.get("roles")
        for user in config["users"]:
            self.add_user(user)

    def add_user(self, user):
        arn = f"arn:aws:iam::{user['account']}:user/{user['name']}"
        self.keys[user["key"]] = Principal(user["account"], arn, user["key"], user["secret"])

    def find(self, key):
        """The Principal, or Refusal."""
        principal = self.keys.get(key)
        if principal is None:
            raise Refusal("unknown-key")
        if principal.expires is not None and principal.expires < time.time():
            raise Refusal("expired")
        return principal

    def _remember(self, session):
        while len(self.keys) >= MEMORY:
            del self.keys[next(key for key in self.keys if key.startswith("ASIA"))]
        self.keys[session.key] = session

    # ---- STS ----

    def sts(self, operation, caller, form, request_id):
        """The body of the answer (XML), or Refusal; None for what moto shall answer."""
        answer = {
            "AssumeRole": self._assume_role,
            "AssumeRoleWithWebIdentity": self._assume_role_web,
            "GetCallerIdentity": self._caller_identity,
        }.get(operation)
        if answer is None:
            return None
        return (
            f'<{operation}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{operation}Result>'
            f"{answer(caller, form)}</{operation}Result><ResponseMetadata><RequestId>{request_id}</RequestId>"
            f"</ResponseMetadata></{operation}Response>"
        )

    def _caller_identity(self, caller, _form):
        name = f"{caller.role_id}:{caller.session}" if caller.role else stable_id("AIDA", caller.arn)
        return f"<Arn>{escape(caller.arn)}</Arn><UserId>{escape(name)}</UserId><Account>{caller.account}</Account>"

    def _assume_role(self, caller, form):
        role_arn = form.get("RoleArn", "")
        self._check_role(caller, role_arn, form.get("ExternalId"))
        return self._session(caller, role_arn, form)

    def _assume_role_web(self, caller, form):
        if not form.get("WebIdentityToken"):
            raise Refusal(code="InvalidIdentityToken", message="No token", status=400)
        role_arn = form.get("RoleArn", "")
        self._check_role(None, role_arn, None)
        provider = "<Provider>tap</Provider><Audience>sts.amazonaws.com</Audience>"
        return self._session(caller, role_arn, form) + provider

    def _check_role(self, caller, role_arn, external_id):
        match = re.fullmatch(r"arn:aws[a-z-]*:iam::(\d{12}):role/(.+)", role_arn)
        who = caller.arn if caller else "a web identity"
        denied = Refusal("deny", f"User: {who} is not authorized to perform: sts:AssumeRole on resource: {role_arn}")
        if not match:
            raise Refusal(code="ValidationError", message=f"{role_arn} is invalid", status=400)
        if match.group(1) not in self.accounts:
            raise denied
        if self.roles is not None:
            if match.group(2) not in self.roles:
                raise denied
            wanted = self.roles[match.group(2)]
            if wanted is not None and wanted != external_id:
                raise denied

    def _session(self, caller, role_arn, form):
        name = form.get("RoleSessionName", "")
        if not re.fullmatch(r"[\w+=,.@-]{2,64}", name, re.A):
            raise Refusal(code="ValidationError", message=f"RoleSessionName {name!r} is invalid", status=400)
        seconds = int(form.get("DurationSeconds") or 3600)
        longest = 3600 if caller is not None and caller.role else 43200
        if not 900 <= seconds <= longest:
            raise Refusal(
                code="ValidationError", message=f"DurationSeconds {seconds} is not in 900..{longest}", status=400
            )
        text = form.get("Policy")
        problem = policy.malformed(text) if text else None
        if problem:
            raise Refusal(code=problem[0], message=problem[1], status=400)
        source = form.get("SourceIdentity") or (caller.source_identity if caller else None)
        session = Session(role_arn, name, seconds, text or None, source)
        self._remember(session)
        source_xml = f"<SourceIdentity>{escape(source)}</SourceIdentity>" if source else ""
        return (
            f"<AssumedRoleUser><AssumedRoleId>{session.role_id}:{escape(name)}</AssumedRoleId>"
            f"<Arn>{escape(session.arn)}</Arn></AssumedRoleUser><Credentials><AccessKeyId>{session.key}</AccessKeyId>"
            f"<SecretAccessKey>{session.secret}</SecretAccessKey><SessionToken>{session.token}</SessionToken>"
            f"<Expiration>{utc(session.expires)}</Expiration></Credentials>{source_xml}"
            f"<PackedPolicySize>{len(text or '') * 100 // 2048}</PackedPolicySize>"
        )
