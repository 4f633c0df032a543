"""Clients of the cloud: strangers and roles through the tap, and planting straight at moto."""

import concurrent.futures
import http.client
import re
import threading
import urllib.parse

import boto3
from botocore.config import Config

# One session serves all clients, so that each service's model is parsed once.
_session = None
_lock = threading.Lock()


def _client(service, region, url, key, secret, token=None, **config):
    global _session
    options = {
        "retries": {"mode": "standard", "total_max_attempts": 3},
        "s3": {"addressing_style": "path"},
        "inject_host_prefix": False,
        "connect_timeout": 5,
        "read_timeout": 60,
        "max_pool_connections": 50,
        **config,
    }
    with _lock:  # making a client is not thread-safe
        if _session is None:
            _session = boto3.Session()
        return _session.client(
            service,
            region_name=region,
            endpoint_url=url,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=Config(**options),
        )


class Caller:
    """Somebody with credentials; clients are made once and shared (boto3 clients are thread-safe)."""

    def __init__(self, url, account, key, secret, token=None, arn=None):
        self.url, self.account, self.key, self.secret, self.token, self.arn = url, account, key, secret, token, arn
        self._clients = {}

    def client(self, service, region="us-east-1", **config):
        name = (service, region, repr(sorted(config.items())))
        if name not in self._clients:
            self._clients[name] = _client(service, region, self.url, self.key, self.secret, self.token, **config)
        return self._clients[name]

    def assume(self, role_arn, session="session", policy=None, region="us-east-1", **more):
        """The Caller that AssumeRole makes of this one."""
        if policy:
            more["Policy"] = policy
        made = self.client("sts", region).assume_role(RoleArn=role_arn, RoleSessionName=session, **more)
        credentials = made["Credentials"]
        return Caller(
            self.url,
            role_arn.split(":")[4],
            credentials["AccessKeyId"],
            credentials["SecretAccessKey"],
            credentials["SessionToken"],
            made["AssumedRoleUser"]["Arn"],
        )


class Direct:
    """moto itself, past the tap: no event, no record, no fault.  For planting and for looking at the true state."""

    def __init__(self, moto, account):
        self.moto, self.account = moto, account
        self._clients = {}

    def client(self, service, region="us-east-1"):
        if (service, region) not in self._clients:
            client = _client(service, region, self.moto.url_for(self.account), "AKIADIRECTDIRECTDIRE", "direct")

            def choose_account(request, **_):
                request.headers["x-moto-account-id"] = self.account

            client.meta.events.register("before-sign.*.*", choose_account)
            self._clients[(service, region)] = client
        return self._clients[(service, region)]


def moto_ec2(moto, account, region, action, parameters):
    """One EC2 call at moto without boto3, some ten times cheaper for the caller; the XML."""
    scope = f"AKIADIRECTDIRECTDIRE/20260101/{region}/ec2/aws4_request"
    connection = http.client.HTTPConnection(moto.url_for(account).removeprefix("http://"), timeout=60)
    try:
        connection.request(
            "POST",
            "/",
            urllib.parse.urlencode({"Action": action, "Version": "2016-11-15", **parameters}),
            {
                "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0",
                "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
                "x-moto-account-id": account,
            },
        )
        response = connection.getresponse()
        text = response.read().decode()
    finally:
        connection.close()
    if response.status != 200:
        raise RuntimeError(f"moto: {action} in {account} {region}: {response.status} {text[:500]}")
    return text


def permission(protocol="tcp", ports=(22, 22), cidr="0.0.0.0/0"):
    """An IpPermissions element as boto3 takes it; ports None for -1."""
    rule = {"IpProtocol": protocol}
    if ports is not None:
        rule["FromPort"], rule["ToPort"] = ports
    if ":" in cidr:
        rule["Ipv6Ranges"] = [{"CidrIpv6": cidr}]
    else:
        rule["IpRanges"] = [{"CidrIp": cidr}]
    return rule


def _form(prefix, value):
    if isinstance(value, dict):
        for name, member in value.items():
            yield from _form(f"{prefix}.{name}", member)
    elif isinstance(value, list):
        for number, item in enumerate(value, 1):
            yield from _form(f"{prefix}.{number}", item)
    else:
        yield prefix, value


def plant_group(moto, account, region, name, permissions=(), tags=None):
    """A security group in the default VPC with these ingress permissions, made at moto; its id."""
    parameters = {"GroupName": name, "GroupDescription": "planted"}
    if tags:
        pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
        parameters.update(_form("TagSpecification", [{"ResourceType": "security-group", "Tag": pairs}]))
    text = moto_ec2(moto, account, region, "CreateSecurityGroup", parameters)
    group = re.search(r"<groupId>(sg-[0-9a-f]+)</groupId>", text).group(1)
    if permissions:
        authorize = {"GroupId": group, **dict(_form("IpPermissions", list(permissions)))}
        moto_ec2(moto, account, region, "AuthorizeSecurityGroupIngress", authorize)
    return group


def in_threads(function, items, threads=8):
    """[function(item)] by several threads, in the order of `items`; the first exception is raised."""
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        return list(pool.map(function, items))
