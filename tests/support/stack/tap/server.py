"""The tap's server: accepts calls, identifies, judges, forwards and records them, and tells CloudTrail's part of them.

Run as `python -m stack.tap.server CONFIG.json`; the configuration is written by stack/environment.py."""

import asyncio
import collections
import json
import logging
import re
import sys
import time
import urllib.parse
import uuid

from aiohttp import web

from ..moto_server import shard_of
from . import cloudtrail, errors, operations, policy, queues, signing, stale
from .control import Control
from .errors import Refusal
from .faults import Faults
from .identity import Identities
from .upstream import UpstreamGone, fetch

log = logging.getLogger("tap")
HOP_BY_HOP = {
    "connection",
    "content-length",
    "transfer-encoding",
    "keep-alive",
    "expect",
    "te",
    "upgrade",
    "x-moto-account-id",
}
NOT_PASSED_BACK = HOP_BY_HOP | {"date", "server", "x-amzn-requestid", "x-amz-request-id"}
MAXIMUM_BODY = 64 * 1024 * 1024
MAXIMUM_RECORDS = 500_000
_REQUEST_IDS = re.compile(rb"<(RequestId|requestId|RequestID)>[^<]*<")


class Request:
    """One HTTP request, as the modules here look at it."""

    def __init__(self, incoming, body):
        self.method, self.body, self.headers = incoming.method, body, incoming.headers
        self.target = incoming.raw_path
        self.raw_path, _, self.query = self.target.partition("?")
        self.path = urllib.parse.unquote(self.raw_path)
        self.path_parameters = {}
        kind = self.headers.get("Content-Type", "")
        is_form = kind.startswith("application/x-www-form-urlencoded")
        self.form = (
            dict(urllib.parse.parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)) if is_form else {}
        )
        if not is_form and self.method == "GET" and "Action=" in self.query:
            self.form = dict(urllib.parse.parse_qsl(self.query, keep_blank_values=True))

    @property
    def query_names(self):
        return [name for name, _ in urllib.parse.parse_qsl(self.query, keep_blank_values=True)]


class Call:
    """One call on its way: who, what, where, and what came of it."""

    def __init__(self, request, remote):
        self.request, self.time, self.started = request, time.time(), time.perf_counter()
        self.request_id = str(uuid.uuid4())
        self.principal = self.operation = self.protocol = None
        self.signing_name, self.region = "sts", "us-east-1"
        self.source_ip, self.user_agent = remote, request.headers.get("User-Agent", "")
        self.host, self.query_names = request.headers.get("Host", ""), request.query_names
        self.notes = {}
        self._parameters = None

    @property
    def account(self):
        return self.principal.account if self.principal else None

    @property
    def parameters(self):
        if self._parameters is None:
            self._parameters = operations.parse_parameters(self.operation, self.request)
        return self._parameters

    def facts(self):
        """What fault rules match on."""
        role_arn = self.request.form.get("RoleArn", "") if self.signing_name == "sts" else ""
        return {
            "service": self.operation.service,
            "operation": self.operation.name,
            "account": self.account,
            "region": self.region,
            "mutating": self.operation.mutating,
            "principal": self.principal.arn if self.principal else "",
            "role": (self.principal.role if self.principal else None) or "",
            "role_account": role_arn.split(":")[4] if role_arn.count(":") >= 5 else "",
        }


class Tap:
    def __init__(self, config):
        self.config = config
        self.identities = Identities(config)
        self.queues = queues.Queues()
        self.faults, self.stale = Faults(), stale.Stale()
        self.records = collections.deque(maxlen=MAXIMUM_RECORDS)
        self.next_record = 1
        self.emitted = collections.deque(maxlen=20_000)
        self.events = {"on": True, "delay": 0.0, "copies": 1}
        self.verify_signatures = config.get("verify_signatures", True)
        self.control = Control(self)
        self.tasks = set()
        for region in config["regions"]:
            self.queues.ensure(config["hub"], region, config["queue"])

    # ---- one request ----

    async def handle(self, incoming):
        body = await incoming.read()
        if incoming.path.startswith("/_tap/"):
            return await self.control.handle(incoming, body)
        call = Call(Request(incoming, body), incoming.remote or "127.0.0.1")
        try:
            answer = await self._answer(call)
        except Refusal as refusal:
            answer = self._refused(call, refusal)
        except UpstreamGone as error:
            call.notes["emulator"] = str(error)
            answer = self._refused(call, Refusal("unavailable", str(error)))
        except Exception as error:
            log.exception("%s", call.operation and call.operation.full_name)
            call.notes["tap_error"] = repr(error)
            answer = self._refused(call, Refusal("internal", f"the tap failed: {error!r}"))
        return await self._finish(incoming, call, answer)

    async def _answer(self, call):
        """(status, headers, body); the steps in the order in which AWS takes them."""
        self._identify(call)
        delay, fault = self.faults.for_call(call.facts())
        if delay:
            call.notes["delay"] = delay
            await asyncio.sleep(delay)
        if fault:
            call.notes["fault"] = {name: value for name, value in fault.items() if name not in ("match", "body")}
            if fault.get("cut") == "before":
                return None
            if "error" in fault:
                raise _fault_refusal(fault["error"])
            if "body" in fault:
                return fault.get("status", 200), {"Content-Type": "text/html"}, fault["body"].encode()
        self._authorize(call)
        answer = await self._perform(call)
        if fault and fault.get("cut") == "after":
            self._tell(call, answer)
            call.notes["cut_after"], call.notes["real_status"] = True, answer[0]
            return None
        return answer

    def _identify(self, call):
        request = call.request
        scope = signing.scope_of(request.headers.get("Authorization"))
        if scope is None and request.form.get("Action") != "AssumeRoleWithWebIdentity":
            call.protocol = "query"
            raise Refusal(code="MissingAuthenticationToken", message="The request is not signed.", status=403)
        if scope is not None:
            call.signing_name, call.region = scope.service, scope.region
        try:
            service = operations.service_of(call.signing_name, request.path, request.form)
            call.protocol = operations.protocol_of(service)
        except Exception:
            call.protocol = "query"
            raise Refusal("unknown-operation", f"No service is signed for as {call.signing_name!r}") from None
        self._find_operation(call, service)
        if scope is not None:
            call.principal = self.identities.find(scope.key)
            if self.verify_signatures:
                signing.verify(scope, call.principal, request)

    @staticmethod
    def _find_operation(call, service):
        request = call.request
        target = request.headers.get("X-Amz-Target")
        try:
            if target:
                name = target.rpartition(".")[2]
            elif request.form.get("Action"):
                name = request.form["Action"]
                call.protocol = "ec2" if service == "ec2" else "query"
            else:
                query = dict(urllib.parse.parse_qsl(request.query, keep_blank_values=True))
                name, request.path_parameters = operations.route(service, request.method, request.path, query)
            call.operation = operations.operation(service, name)
        except operations.UnknownOperation as error:
            raise Refusal("unknown-operation", str(error)) from None

    @staticmethod
    def _authorize(call):
        principal = call.principal
        if principal is None or principal.policy_text is None or call.operation.full_name == "sts.GetCallerIdentity":
            return
        action = policy.action_of(call.operation)
        if not policy.allows(principal.policy_text, action, call.region):
            call.notes["session_policy"] = action
            raise Refusal(
                "deny",
                f"User: {principal.arn} is not authorized to perform: {action} "
                f"because no session policy allows the {action} action",
            )

    async def _perform(self, call):
        service = call.operation.service
        if service == "sqs":
            return await self._sqs(call)
        if service == "sts":
            body = self.identities.sts(call.operation.name, call.principal, call.request.form, call.request_id)
            if body is not None:
                return 200, {"Content-Type": "text/xml"}, body.encode()
        seconds = self.faults.stale_seconds(call.facts()) if self.faults.any_stale() else 0
        if seconds:
            return await self._perform_stale(call, seconds)
        return await self._forward(call)

    async def _sqs(self, call):
        by_query = bool(call.request.form.get("Action"))
        base = f"http://{call.host}"
        if by_query:
            parameters = queues.query_parameters(call.request.form)
        else:
            parameters = json.loads(call.request.body or b"{}")
        result = await self.queues.call(call.operation.name, call.account, call.region, base, parameters)
        if by_query:
            return 200, {"Content-Type": "text/xml"}, queues.xml_answer(call.operation.name, result, call.request_id)
        return 200, {"Content-Type": "application/x-amz-json-1.0"}, queues.json_answer(result)

    # ---- towards moto ----

    def _port(self, account):
        return self.config["moto_ports"][shard_of(account, len(self.config["moto_ports"]))]

    async def _forward(self, call):
        request = call.request
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP]
        headers.append(("x-moto-account-id", call.account))
        status, fields, body = await fetch(
            self._port(call.account), request.method, request.target, headers, request.body
        )
        if status == 501 or (status >= 400 and b"<!doctype html>" in body[:64].lower()):
            call.notes["emulator"] = "not implemented" if status in (404, 501) else "crashed"
            raise Refusal(
                "internal" if status == 500 else "unknown-operation", f"moto: {call.notes['emulator']} ({status})"
            )
        self._learn(call, status, fields, body)
        return status, fields, body

    async def _read_now(self, call, form_body):
        """A read of our own at moto, on behalf of a call (for stale.py)."""
        headers = [
            ("Host", call.host),
            ("Authorization", call.request.headers["Authorization"]),
            ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"),
            ("x-moto-account-id", call.account),
        ]
        return await fetch(self._port(call.account), "POST", "/", headers, form_body.encode())

    async def _read_shadow(self, call, operation, form_body):
        taken_at = time.monotonic()
        answer = await self._read_now(call, form_body)
        form = dict(urllib.parse.parse_qsl(form_body, keep_blank_values=True))
        self.stale.keep(stale.key_of(call.account, call.region, operation, form), taken_at, answer)

    async def _perform_stale(self, call, seconds):
        form = call.request.form
        group = stale.subject(form)
        if call.operation.mutating:
            if call.operation.service == "ec2" and group:
                for operation, form_body in stale.shadow_requests(group):
                    await self._read_shadow(call, operation, form_body)
            self.stale.mutated(call.account, call.region, group)
            return await self._forward(call)
        if call.protocol not in ("ec2", "query"):
            return await self._forward(call)
        several = stale.one_by_one(call.operation.name, form)
        if several:
            answers = [await self._read_stale(call, seconds, one) for one in several]
            return stale.together(call.operation.name, answers)
        return await self._read_stale(call, seconds, form)

    async def _read_stale(self, call, seconds, form):
        """The answer to the call, or to one of the reads that it stands for, as it was then."""
        key = stale.key_of(call.account, call.region, call.operation.name, form)
        hidden = self.stale.hides(call.account, call.region, stale.subject(form), seconds)
        if hidden is not None:
            old = self.stale.before(key, hidden)
            if old is not None:
                call.notes["stale"] = round(time.monotonic() - hidden, 3)
                return tuple(old)
            call.notes["stale_miss"] = True
        taken_at = time.monotonic()
        whole = form is call.request.form
        answer = await (self._forward(call) if whole else self._read_now(call, urllib.parse.urlencode(form)))
        if hidden is None:
            self.stale.keep(key, taken_at, answer)
        return answer

    def _learn(self, call, status, headers, body):
        if call.operation.full_name == "iam.CreateAccessKey" and status == 200:
            made = cloudtrail.parse_response(call.operation, status, headers, body)["AccessKey"]
            self.identities.add_user(
                {
                    "key": made["AccessKeyId"],
                    "secret": made["SecretAccessKey"],
                    "account": call.account,
                    "name": made["UserName"],
                }
            )

    # ---- the answer ----

    def _refused(self, call, refusal):
        service = call.operation.service if call.operation else call.signing_name
        protocol = call.protocol or "query"
        code, status = refusal.for_protocol(service, protocol)
        return errors.shape(service, protocol, code, refusal.message, status, call.request_id)

    async def _finish(self, incoming, call, answer):
        if answer is None:
            self._record(call, 0, "ConnectionCut")
            if incoming.transport is not None:
                incoming.transport.abort()
            return web.Response(status=500)
        status, fields, body = answer
        if b"equest" in body[:300] or b"equest" in body[-400:]:
            body = _REQUEST_IDS.sub(rb"<\1>" + call.request_id.encode() + b"<", body)
        code, _ = self._tell(call, (status, fields, body))
        self._record(call, status, code)
        headers = {name: value for name, value in fields.items() if name.lower() not in NOT_PASSED_BACK}
        headers["x-amz-request-id" if call.signing_name == "s3" else "x-amzn-RequestId"] = call.request_id
        return web.Response(status=status, body=body, headers=headers)

    def _tell(self, call, answer):
        """Emits CloudTrail's event where AWS would; (error code, message)."""
        status, fields, body = answer
        code, message = errors.read(status, fields, body)
        operation = call.operation
        if operation is None or call.principal is None or not operation.mutating or operation.is_data:
            return code, message
        if operation.service == "sts" or not self.events["on"] or call.notes.get("emulator"):
            return code, message
        try:
            event = cloudtrail.envelope(cloudtrail.record(call, status, fields, body, code, message))
        except Exception as error:
            log.exception("record of %s", operation.full_name)
            call.notes["tap_error"] = repr(error)
            return code, message
        call.notes["event"] = event["detail"]["eventID"]
        self.emitted.append(event)
        task = asyncio.ensure_future(self._deliver(event))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return code, message

    async def _deliver(self, event):
        if self.events["delay"]:
            await asyncio.sleep(self.events["delay"])
        bodies = [json.dumps(event)] * int(self.events["copies"])
        await self.queues.put(self.config["hub"], event["region"], self.config["queue"], bodies)

    def _record(self, call, status, code):
        operation, principal = call.operation, call.principal
        kind = "unknown" if operation is None else ("mutating" if operation.mutating else "read")
        record = {
            "seq": self.next_record,
            "time": call.time,
            "service": operation.service if operation else call.signing_name,
            "operation": operation.name if operation else None,
            "kind": "data" if operation and operation.is_data and operation.mutating else kind,
            "account": call.account,
            "region": call.region,
            "principal": principal.arn if principal else None,
            "role": principal.role if principal else None,
            "session": principal.session if principal else None,
            "source_identity": principal.source_identity if principal else None,
            "status": status,
            "error": code,
            "ms": round((time.perf_counter() - call.started) * 1000, 3),
            "request_id": call.request_id,
            **call.notes,
        }
        if operation and operation.service == "sts" and call.request.form.get("RoleArn"):
            form = call.request.form
            record["params"] = {
                name: form.get(name) for name in ("RoleArn", "RoleSessionName", "SourceIdentity", "Policy")
            }
        elif operation and (operation.mutating or operation.name == "DescribeSecurityGroups") and operation.service != "sqs":
            try:
                record["params"] = json.loads(json.dumps(call.parameters, default=str))
            except Exception as error:
                record["params_error"] = repr(error)
        self.next_record += 1
        self.records.append(record)


def _fault_refusal(error):
    if isinstance(error, dict):
        return Refusal(code=error["code"], message=error.get("message", "injected"), status=error.get("status", 400))
    return Refusal(error)


def _make_request(message, payload, protocol, writer, task):
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=MAXIMUM_BODY)


async def serve(config):
    tap = Tap(config)
    server = web.Server(
        tap.handle,
        request_factory=_make_request,
        access_log=None,
        keepalive_timeout=300,
        max_line_size=65536,
        max_field_size=65536,
    )
    runner = web.ServerRunner(server, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", config["port"], backlog=1024).start()
    await asyncio.Event().wait()


def main():
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    with open(sys.argv[1], encoding="utf-8") as file:
        config = json.load(file)
    try:
        asyncio.run(serve(config))
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
