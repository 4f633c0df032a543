"""The tap's control API, under /_tap/; JSON in and out.

GET    health
GET    calls?since=SEQ&service=&operation=&account=&region=&kind=&role=&limit=   recorded calls with seq > SEQ
GET    counts?since=SEQ                 {"ec2.AuthorizeSecurityGroupIngress": n, …}
GET    events?since=N                   the last CloudTrail events made (in their envelopes)
POST   events {"on", "delay", "copies"} whether, how late and how often they are delivered
GET    faults | POST faults RULE | DELETE faults[?id=N]      see faults.py
POST   keys {"key", "secret", "account", "name"}             another IAM user
GET    queues | POST queue {"account", "region", "name", "bodies"}
POST   reset {"calls", "faults", "queues", "stale"}          what to forget; nothing named: all of it
"""

import fnmatch
import json

from aiohttp import web

FILTERS = ("service", "operation", "account", "region", "kind", "role", "principal", "session")


class Control:
    def __init__(self, tap):
        self.tap = tap

    async def handle(self, incoming, body):
        name = f"{incoming.method.lower()}_{incoming.path.removeprefix('/_tap/')}"
        handler = getattr(self, "do_" + name, None)
        if handler is None:
            return web.json_response({"error": f"no {incoming.method} {incoming.path}"}, status=404)
        try:
            result = handler(dict(incoming.query), json.loads(body) if body else {})
            if hasattr(result, "__await__"):
                result = await result
        except (ValueError, KeyError, TypeError) as error:
            return web.json_response({"error": repr(error)}, status=400)
        return web.json_response(result)

    def do_get_health(self, _query, _body):
        return {"ok": True, "last": self.tap.next_record - 1}

    def _chosen(self, query):
        since, wanted = int(query.get("since", 0)), [(n, query[n]) for n in FILTERS if n in query]
        for record in self.tap.records:
            if record["seq"] > since and all(fnmatch.fnmatchcase(record[n] or "", value) for n, value in wanted):
                yield record

    def do_get_calls(self, query, _body):
        calls = list(self._chosen(query))
        limit = int(query.get("limit", 0))
        return {"calls": calls[-limit:] if limit else calls, "last": self.tap.next_record - 1}

    def do_get_counts(self, query, _body):
        counts = {}
        for record in self._chosen(query):
            name = f"{record['service']}.{record['operation']}"
            counts[name] = counts.get(name, 0) + 1
        return counts

    def do_get_events(self, query, _body):
        return {"events": list(self.tap.emitted)[int(query.get("since", 0)) :]}

    def do_post_events(self, _query, body):
        unknown = set(body) - set(self.tap.events)
        if unknown:
            raise ValueError(f"unknown: {sorted(unknown)}")
        self.tap.events.update(body)
        return self.tap.events

    def do_get_faults(self, _query, _body):
        return {"faults": [rule.shown() for rule in self.tap.faults.rules]}

    def do_post_faults(self, _query, body):
        return {"id": self.tap.faults.add(body)}

    def do_delete_faults(self, query, _body):
        self.tap.faults.remove(int(query["id"]) if "id" in query else None)
        return {}

    def do_post_keys(self, _query, body):
        self.tap.identities.add_user(body)
        self.tap.identities.accounts.add(body["account"])
        return {}

    def do_get_queues(self, _query, _body):
        return {
            f"{account}/{region}/{name}": dict(
                zip(("visible", "in_flight", "delayed"), queue.counts()),
                sent=queue.sent,
                received=queue.received,
                deleted=queue.deleted,
            )
            for (account, region, name), queue in self.tap.queues.queues.items()
        }

    async def do_post_queue(self, _query, body):
        await self.tap.queues.put(body["account"], body["region"], body["name"], body["bodies"])
        return {"sent": len(body["bodies"])}

    def do_post_reset(self, _query, body):
        tap = self.tap
        everything = not body
        if everything or body.get("calls"):
            tap.records.clear()
            tap.emitted.clear()
        if everything or body.get("faults"):
            tap.faults.remove()
            tap.events.update(on=True, delay=0.0, copies=1)
        if everything or body.get("queues"):
            for queue in tap.queues.queues.values():
                queue.purge()
        if everything or body.get("stale"):
            tap.stale.__init__()
        return {}
