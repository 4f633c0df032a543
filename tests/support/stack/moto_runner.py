"""Runs moto's server with security groups mended where moto differs from AWS in what the tests depend on.

Each patch names what AWS does.  The version of moto is pinned (requirements.txt), so a patch that no longer fits shows
in test_tap.py."""

import argparse
import copy
import functools
import io
import itertools
import os
import queue
import signal
import socket
import sys
import threading
import traceback
import urllib.parse

import moto.backends
import moto.core.responses
import moto.core.utils
from moto.core.responses import ActionResult
from moto.ec2.exceptions import (
    InvalidGroupIdMalformedError,
    InvalidParameterCombination,
    InvalidParameterValue,
    InvalidSecurityGroupNotFoundError,
    InvalidSecurityGroupRuleIdNotFoundError,
    MissingParameter,
)
from moto.ec2.models.security_groups import SecurityGroup, SecurityGroupBackend, SecurityGroupRule
from moto.ec2.responses.security_groups import SecurityGroups
from moto.ec2.utils import is_valid_security_group_id
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

# Changes of groups happen one at a time, so that what a change added or took is known by comparing.
_changing = threading.RLock()


def _one_at_a_time(function):
    @functools.wraps(function)
    def locked(*arguments):
        with _changing:
            return function(*arguments)

    return locked


# ---- Authorize: all rules of all permissions come back, and either all of them are added or none ----


@_one_at_a_time
def _authorize(response, direction):
    response.error_on_dryrun()
    backend = response.ec2_backend
    added = []
    try:
        for arguments in response._process_rules_from_querystring():
            group = backend.get_security_group_by_name_or_id(arguments["group_name_or_id"])
            rules_before = list(_rules(group, direction)) if group else []
            try:
                rules, _ = getattr(backend, f"authorize_security_group_{direction}")(**arguments)
            finally:
                if group:
                    added += [(group, rule) for rule in _rules(group, direction) if rule not in _Identity(rules_before)]
    except Exception:
        for group, rule in added:
            _set_rules(group, direction, [r for r in _rules(group, direction) if r is not rule])
        raise
    return ActionResult({"Return": True, "SecurityGroupRules": [_shown(rule) for _, rule in added]})


class _Identity:
    """`in` by identity: moto's rules compare equal when they mean the same."""

    def __init__(self, items):
        self.ids = {id(item) for item in items}

    def __contains__(self, item):
        return id(item) in self.ids


def _rules(group, direction):
    return group.ingress_rules if direction == "ingress" else group.egress_rules


def _set_rules(group, direction, rules):
    setattr(group, f"{direction}_rules", rules)


def _shown(rule):
    """A rule as DescribeSecurityGroupRules and the answer of Authorize show it: ports of -1 where there are none."""
    shown = copy.copy(rule)
    shown.from_port = -1 if shown.from_port is None else shown.from_port
    shown.to_port = -1 if shown.to_port is None else shown.to_port
    return shown


# ---- Revoke: an unknown rule id has its own error, and the answer tells what was revoked ----


@_one_at_a_time
def _revoke(response, direction):
    response.error_on_dryrun()
    backend, revoked = response.ec2_backend, []
    for arguments in response._process_rules_from_querystring():
        del arguments["sgrule_tags"]
        group = backend.get_security_group_by_name_or_id(arguments["group_name_or_id"])
        if group and arguments["security_rule_ids"]:
            known = {rule.id for rule in _rules(group, direction)}
            for rule_id in arguments["security_rule_ids"]:
                if rule_id not in known:
                    raise InvalidSecurityGroupRuleIdNotFoundError(rule_id)
        before = list(_rules(group, direction)) if group else []
        getattr(backend, f"revoke_security_group_{direction}")(**arguments)
        left = _Identity(_rules(group, direction))
        revoked += [_as_revoked(rule) for rule in before if rule not in left]
    return ActionResult({"Return": True, "RevokedSecurityGroupRules": revoked})


def _as_revoked(rule):
    shown = _shown(rule)
    fields = {
        "SecurityGroupRuleId": shown.id,
        "GroupId": shown.group_id,
        "IsEgress": shown.is_egress,
        "IpProtocol": shown.ip_protocol,
        "FromPort": shown.from_port,
        "ToPort": shown.to_port,
        "CidrIpv4": shown.cidr_ipv4,
        "CidrIpv6": shown.cidr_ipv6,
        "PrefixListId": shown.prefix_list_id,
        "ReferencedGroupId": (shown.source_group or {}).get("GroupId"),
        "Description": shown.description,
    }
    return {name: value for name, value in fields.items() if value is not None}


# ---- Modify: every kind of target can be changed within its kind; -1 needs no ports ----

_TARGETS = ("CidrIpv4", "CidrIpv6", "PrefixListId", "ReferencedGroupId")


@_one_at_a_time
def _modify(backend, group_id, rules):
    group = backend.get_security_group_by_name_or_id(group_id)
    if group is None:
        raise InvalidSecurityGroupNotFoundError(group_id)
    for rule_id, wanted in rules.items():
        _check_modification(group, rule_id, wanted)
    for rule_id, wanted in rules.items():
        _apply_modification(group.get_rule(rule_id), wanted)


def _kind_of(rule):
    if rule.cidr_ipv4:
        return "CidrIpv4"
    if rule.cidr_ipv6:
        return "CidrIpv6"
    return "PrefixListId" if rule.prefix_list_id else "ReferencedGroupId"


def _check_modification(group, rule_id, wanted):
    given = [name for name in _TARGETS if wanted.get(name) is not None]
    if len(given) > 1:
        raise InvalidParameterCombination(
            "Only one of cidrIp, cidrIpv6, prefixListId, or referencedGroupId can be specified"
        )
    if not given:
        raise MissingParameter(
            "The request must contain exactly one of: cidrIp, cidrIpv6, prefixListId, or referencedGroupId"
        )
    rule = group.get_rule(rule_id)
    if rule is None:
        raise InvalidSecurityGroupRuleIdNotFoundError(rule_id)
    if wanted.get("IpProtocol") is None:
        raise InvalidParameterValue(
            "Invalid value 'null' for protocol. VPC security group rules must specify protocols explicitly."
        )
    if wanted["IpProtocol"] != "-1" and (wanted.get("FromPort") is None or wanted.get("ToPort") is None):
        raise InvalidParameterValue("Invalid value for portRange. Must specify both from and to ports with TCP/UDP.")
    if given[0] != _kind_of(rule):
        raise InvalidParameterValue(
            f"Invalid rule type for security group rule '{rule_id}'. You may not specify {given[0]} for an existing "
            f"{_kind_of(rule)} rule."
        )


def _apply_modification(rule, wanted):
    rule.ip_protocol = wanted["IpProtocol"]
    no_ports = rule.ip_protocol == "-1"
    rule.from_port = None if no_ports else int(wanted["FromPort"])
    rule.to_port = None if no_ports else int(wanted["ToPort"])
    if wanted.get("CidrIpv4"):
        rule.ip_range["CidrIp"] = wanted["CidrIpv4"]
    if wanted.get("CidrIpv6"):
        rule.ip_range["CidrIpv6"] = wanted["CidrIpv6"]
    if wanted.get("PrefixListId"):
        rule.prefix_list_id = wanted["PrefixListId"]
    if wanted.get("ReferencedGroupId"):
        rule.source_group["GroupId"] = wanted["ReferencedGroupId"]
    if wanted.get("Description") is not None:
        (rule.source_group if rule.source_group else rule.ip_range)["Description"] = wanted["Description"]


# ---- Describe: rules carry their owner; a group-id filter does not walk every group of the Region ----


def _describe_rules(backend, sg_rule_ids, filters):
    wanted = filters.get("group-id")
    for group_id in wanted or []:
        if not is_valid_security_group_id(group_id):
            raise InvalidGroupIdMalformedError(group_id)
    exact = wanted and not any("*" in value or "?" in value for value in wanted)
    groups = itertools.chain.from_iterable(list(groups.values()) for groups in list(backend.groups.values()))
    chosen = [group for group in groups if not exact or group.id in wanted]
    rules = [_shown(rule) for group in chosen for rule in [*group.egress_rules, *group.ingress_rules]]
    if sg_rule_ids:
        known = {rule.id: rule for rule in rules}
        for rule_id in sg_rule_ids:
            if rule_id not in known:
                raise InvalidSecurityGroupRuleIdNotFoundError(rule_id)
        rules = [known[rule_id] for rule_id in dict.fromkeys(sg_rule_ids)]
    return [rule for rule in rules if rule.matches_filters(filters)] if filters else rules


def _filter_by(direction, value_of):
    def matches(group, values):
        return any(value_of(rule) in values for rule in _rules(group, direction))

    return matches


def _mend_security_groups():
    SecurityGroups.authorize_security_group_ingress = lambda self: _authorize(self, "ingress")
    SecurityGroups.authorize_security_group_egress = lambda self: _authorize(self, "egress")
    SecurityGroups.revoke_security_group_ingress = lambda self: _revoke(self, "ingress")
    SecurityGroups.revoke_security_group_egress = lambda self: _revoke(self, "egress")
    SecurityGroupBackend.modify_security_group_rules = _modify
    SecurityGroupBackend.describe_security_group_rules = _describe_rules
    SecurityGroupRule.group_owner_id = property(lambda rule: rule.ec2_backend.account_id)
    SecurityGroupRule.security_group_rule_id = property(lambda rule: rule.id)
    SecurityGroupRule.security_group_rule_arn = property(
        lambda rule: f"arn:aws:ec2:{rule.ec2_backend.region_name}:{rule.ec2_backend.account_id}"
        f":security-group-rule/{rule.id}"
    )
    for direction, prefix in (("ingress", ""), ("egress", "egress__")):
        for name, value_of in (("ipv6_cidr", "cidr_ipv6"), ("prefix_list_id", "prefix_list_id")):
            setattr(
                SecurityGroup,
                f"filter_{prefix}ip_permission__{name}",
                _filter_by(direction, lambda rule, attribute=value_of: getattr(rule, attribute)),
            )
    SecurityGroupRule.description = property(
        lambda rule: rule.ip_range.get("Description") or rule.source_group.get("Description")
    )


# ---- What moto does not implement: 501, so that the tap can tell it from a crash (500) ----


def _mark_missing_operations():
    original = moto.core.responses.BaseResponse.call_action

    def call_action(self):
        try:
            return original(self)
        except NotImplementedError as error:
            return 501, {"Content-Type": "text/plain"}, str(error)

    moto.core.responses.BaseResponse.call_action = call_action


def _without_unknown_services(application):
    def answer(environ, start_response):
        try:
            chosen = application.get_application(environ)
        except Exception as error:
            start_response("501 Not Implemented", [("Content-Type", "text/plain")])
            return [f"moto has no such service: {error!r}".encode()]
        return chosen(environ, start_response)

    return answer


# ---- Speed: what moto works out anew for each request though it never changes ----


def _cache_lookups():
    modules = frozenset(moto.backends.list_of_moto_modules())
    moto.backends.list_of_moto_modules = lambda: modules
    DomainDispatcherApplication.get_backend_for_host = _remember_by_host(
        DomainDispatcherApplication.get_backend_for_host
    )
    moto.core.responses.method_names_from_class = functools.cache(moto.core.utils.method_names_from_class)


def _remember_by_host(find):
    known = {}

    def get_backend_for_host(self, host):
        if host not in known:
            known[host] = find(self, host)
        return known[host]

    return get_backend_for_host


# ---- A plain server: werkzeug's development server costs more than a small call of moto ----


def _serve(port, application, threads=8):
    listener = socket.create_server(("127.0.0.1", port), backlog=512)
    waiting = queue.SimpleQueue()
    for _ in range(threads):
        threading.Thread(target=_work, args=(waiting, application, port), daemon=True).start()
    while True:
        waiting.put(listener.accept()[0])


def _work(waiting, application, port):
    while True:
        connection = waiting.get()
        try:
            connection.settimeout(60)
            _answer(connection, application, port)
        except Exception:
            traceback.print_exc()
        finally:
            connection.close()


def _answer(connection, application, port):
    """One request a connection."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection.makefile("rb") as reader:
        request = reader.readline().decode("latin-1").split()
        if len(request) != 3:
            return
        environ = _environ(request, reader, port)
        head = []

        def start_response(status, headers, _exc_info=None):
            head[:] = [status, headers]

        result = application(environ, start_response)
        body = b"".join(result)
        if hasattr(result, "close"):
            result.close()
        lines = [f"HTTP/1.0 {head[0]}"] + [f"{n}: {v}" for n, v in head[1] if n.lower() != "content-length"]
        declared = dict((n.lower(), v) for n, v in head[1]).get("content-length")
        length = declared if request[0] == "HEAD" and declared else len(body)
        lines.append(f"Content-Length: {length}\r\n\r\n")
        connection.sendall("\r\n".join(lines).encode("latin-1") + (b"" if request[0] == "HEAD" else body))


def _environ(request, reader, port):
    method, target, protocol = request
    path, _, query = target.partition("?")
    environ = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": urllib.parse.unquote(path, "latin-1"),
        "QUERY_STRING": query,
        "RAW_URI": target,
        "REQUEST_URI": target,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": protocol,
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    while line := reader.readline().decode("latin-1").strip():
        name, _, value = line.partition(":")
        name, value = name.upper().replace("-", "_"), value.strip()
        name = name if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + name
        environ[name] = f"{environ[name]},{value}" if name in environ else value
    environ.setdefault("HTTP_HOST", f"127.0.0.1:{port}")
    environ["wsgi.input"] = io.BytesIO(reader.read(int(environ.get("CONTENT_LENGTH") or 0)))
    return environ


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    _mend_security_groups()
    _mark_missing_operations()
    _cache_lookups()
    application = DomainDispatcherApplication(create_backend_app)
    application.debug = True
    _serve(port, _without_unknown_services(application))


if __name__ == "__main__":
    main()
