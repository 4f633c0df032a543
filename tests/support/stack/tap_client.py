"""The tap as a process, and its control API as methods."""

import json
import secrets
import sys
import urllib.parse
import urllib.request
from pathlib import Path

from .process import Process, free_port, http_get


class Tap:
    def __init__(self, directory, config):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.config = {**config, "port": self.port}
        self.process = None

    def launch(self):
        path = self.directory / "tap.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps(self.config))
        self.process = Process(
            "tap",
            [sys.executable, "-m", "stack.tap.server", path],
            self.directory / "tap.log",
            cwd=Path(__file__).resolve().parent.parent,
        ).start()

    def wait_ready(self, timeout=30):
        self.process.wait_for(lambda: http_get(f"{self.url}/_tap/health")[0] == 200, timeout, "ready")

    def stop(self):
        if self.process:
            self.process.terminate(3)

    def request(self, method, path, body=None, **query):
        query = {name: value for name, value in query.items() if value is not None}
        url = f"{self.url}/_tap/{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        data = json.dumps(body).encode() if body is not None else None
        try:
            with urllib.request.urlopen(urllib.request.Request(url, data, method=method), timeout=60) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            raise ValueError(f"{method} {path}: {error.read().decode()}") from None

    # ---- what happened ----

    def mark(self):
        """The number of the last call; give it to calls(since=…) to see only what follows."""
        return self.request("GET", "health")["last"]

    def calls(self, since=0, **filters):
        """Records of calls after `since`; filters are globs over service, operation, account, region, kind (read,
        mutating, data), role, principal, session."""
        return self.request("GET", "calls", since=since, **filters)["calls"]

    def counts(self, since=0, **filters):
        return self.request("GET", "counts", since=since, **filters)

    def emitted(self, since=0):
        """CloudTrail events made so far, in EventBridge's envelope."""
        return self.request("GET", "events", since=since)["events"]

    # ---- what shall happen ----

    def events(self, on=None, delay=None, copies=None):
        given = {"on": on, "delay": delay, "copies": copies}
        return self.request("POST", "events", {name: value for name, value in given.items() if value is not None})

    def fault(self, match=None, **rule):
        """Adds a rule (tap/faults.py) and returns its id: fault({"service": "ec2"}, error="throttle", seconds=10)."""
        return self.request("POST", "faults", {"match": match or {}, **rule})["id"]

    def clear_faults(self, number=None):
        self.request("DELETE", "faults", id=number)

    def faults(self):
        return self.request("GET", "faults")["faults"]

    def add_account(self, account):
        """One more account with an administrator, and with the roles of all."""
        user = {"account": account, "name": "mallory", "key": "AKIA" + secrets.token_hex(8).upper(), "secret": secrets.token_hex(20)}
        self.request("POST", "keys", user)
        return user

    def deny_account(self, account, **rule):
        """Nobody can assume a role in the account any more."""
        return self.fault({"service": "sts", "operation": "AssumeRole", "role_account": account}, error="deny", **rule)

    def reset(self, **what):
        """Forgets calls, faults, queues and stale answers; or only those named: reset(calls=True)."""
        self.request("POST", "reset", what)

    # ---- queues, without SQS's limits ----

    def queues(self):
        return self.request("GET", "queues")

    def send(self, region, bodies):
        """Puts bodies (text, or anything JSON) into the Region's event queue."""
        texts = [body if isinstance(body, str) else json.dumps(body) for body in bodies]
        for start in range(0, len(texts), 1000):
            self.request(
                "POST",
                "queue",
                {
                    "account": self.config["hub"],
                    "region": region,
                    "name": self.config["queue"],
                    "bodies": texts[start : start + 1000],
                },
            )

    def queue_depth(self, region):
        """(visible, in flight) of the Region's event queue."""
        counts = self.queues()[f"{self.config['hub']}/{region}/{self.config['queue']}"]
        return counts["visible"] + counts["delayed"], counts["in_flight"]
