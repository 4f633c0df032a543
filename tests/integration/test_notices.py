"""Notices on the real stack: a signed webhook whose body is a template, routes, a dead channel, a storm."""

import hashlib
import hmac
import http.server
import json
import socket
import threading
import time

import yaml
from spine import (
    GUARDRAIL, SSH, counts, open_to_internet, published, sns_topic, start_collector, start_worker, wait_fixed,
)  # fmt: skip

SECRET = "a secret that only these two know"


class Receiver:
    """An HTTP server that keeps what it gets; it answers with `status`, after `delay` seconds."""

    def __init__(self, status=200, delay=0.0):
        outer, self.posts, self.status, self.delay = self, [], status, delay

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                time.sleep(outer.delay)
                outer.posts.append({"time": time.time(), "path": self.path, "headers": self.headers, "body": body})
                self.send_response(outer.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def write_routes(stack, channels, routes, **more):
    path = stack.directory / "notices.yaml"
    (stack.directory / "secret").write_text(SECRET + "\n")
    path.write_text(yaml.safe_dump({"channels": channels, "routes": routes, **more}))
    return path


def signature(post):
    text = post["headers"]["X-Parapet-Timestamp"].encode() + b"." + post["body"]
    return "v1=" + hmac.new(SECRET.encode(), text, hashlib.sha256).hexdigest()


def metric(worker, channel, outcome):
    return worker.metric("parapet_notices_total", channel=channel, outcome=outcome)


def test_a_signed_message_says_who_what_why_and_how_to_undo(stack):
    account, region = stack.ids[0], "eu-west-1"
    (group,) = stack.plant(account, region, tags={"owner": "payments", "Name": "x"})
    (other,) = stack.plant(account, region)
    with Receiver() as receiver, Receiver() as team:
        routes = write_routes(
            stack,
            {
                "chat": {
                    "webhook": receiver.url,
                    "secret": {"file": "secret"},
                    "body": {"text": "${$subject}", "long": "${$text}", "first": "${$notices[0]}", "by": "${$severity}"},
                },
                "payments": {"webhook": team.url + "?team", "secret": {"file": "secret"}},
                "nobody": {"webhook": receiver.url + "/never", "secret": "none"},
            },
            [
                {"match": {"environment": "nowhere"}, "to": "nobody"},
                {"match": {"owner": "pay*", "severity": "high"}, "to": "payments", "also": True},
                {"match": {"actor": "*:user/mallory", "account": account}, "to": "chat"},
            ],
        )
        start_collector(stack)
        worker = start_worker(stack, **{"notice.routes": routes, "notice.window": "2s"})
        began = time.time()
        open_to_internet(stack, [(account, region, group), (account, region, other)])
        wait_fixed(stack, [group, other], 60)
        stack.wait_until(lambda: receiver.posts and team.posts, 30, "both messages")
        post = receiver.posts[0]
        assert post["headers"]["X-Parapet-Signature"] == signature(post)
        assert began - 1 <= int(post["headers"]["X-Parapet-Timestamp"]) <= time.time()
        assert post["headers"]["Content-Type"] == "application/json" and post["headers"]["X-Parapet-Delivery"]
        body = json.loads(post["body"])
        assert body["text"].startswith(f"Parapet: {GUARDRAIL} in {account}: ")
        assert body["by"] == "high" and body["first"]["outcome"] == "fixed"
        action = body["first"]["action"]
        assert any(m["value"].get("action") == action for m in stack.topic("parapet.actions"))
        for part in (
            f"arn:aws:iam::{account}:user/mallory", "Why it matters: ", "How to do it right: ", f"undo: parapet undo {action}",
            f"parapet exceptions add --guardrail {GUARDRAIL} --account {account}", group,
        ):  # fmt: skip
            assert part in body["long"], part
        # By its owner's tag just the one resource goes to the team; without a template the digest goes as it is.
        told = [json.loads(post["body"]) for post in team.posts]
        assert {notice["resource"] for digest in told for notice in digest["notices"]} == {group}
        assert all(digest["owner"] == "payments" and digest["guardrail"]["why"] for digest in told)
        assert all(post["headers"]["X-Parapet-Signature"] == signature(post) for post in team.posts)
        assert not [post for post in receiver.posts if post["path"].endswith("never")]
        assert worker.alive()
        assert SECRET not in worker.log()


def test_a_dead_channel_delays_neither_remediation_nor_another_channel(stack):
    account = stack.ids[1]
    places = stack.plant_everywhere([], 40, [account], stack.regions)
    with socket.socket() as closed, Receiver(delay=60) as hung, Receiver(status=500) as broken, Receiver() as alive:
        closed.bind(("127.0.0.1", 0))  # nobody listens
        channel = {"secret": {"file": "secret"}, "timeout": "2s", "tries": 2}
        routes = write_routes(
            stack,
            {
                "closed": {**channel, "webhook": f"http://127.0.0.1:{closed.getsockname()[1]}/"},
                "hung": {**channel, "webhook": hung.url},
                "broken": {**channel, "webhook": broken.url},
                "alive": {**channel, "webhook": alive.url},
            },
            [{"to": ["closed", "hung", "broken", "alive"]}],
        )
        start_collector(stack)
        worker = start_worker(stack, **{"notice.routes": routes, "notice.window": "1s"})
        open_to_internet(stack, places)
        wait_fixed(stack, [group for _, _, group in places], 90)
        stack.wait_until(
            lambda: sum(json.loads(post["body"])["digest"]["counts"].get("fixed", 0) for post in alive.posts) == 40, 10,
            lambda: f"all told where they can be: {len(alive.posts)} messages", 0.2,
        )  # fmt: skip
        for name in ("closed", "hung", "broken"):
            stack.wait_until(lambda name=name: metric(worker, name, "failed") >= 1, 20, f"a failure of {name}")
            assert metric(worker, name, "sent") == 0
        listed = json.loads(stack.parapet("notices", "list", "--output", "json", check=True, **{"notice.routes": routes}).stdout)
        waiting = {row["channel"]: row["waiting"] for row in listed}
        assert waiting["alive"] == 0 and all(waiting[name] >= 1 for name in ("closed", "hung", "broken")), waiting
        assert worker.ready() and "127.0.0.1:" + str(closed.getsockname()[1]) not in worker.log()
        # It ends at once, whatever its channels are at.
        ended = time.time()
        assert worker.terminate(20) == 0
        assert time.time() - ended < 15


def test_a_receiver_that_refuses_a_body_is_not_asked_again(stack):
    account, region = stack.ids[0], "us-east-1"
    (group,) = stack.plant(account, region)
    with Receiver(status=400) as picky:
        routes = write_routes(stack, {"picky": {"webhook": picky.url, "secret": "none"}}, [{"to": "picky"}])
        start_collector(stack)
        worker = start_worker(stack, **{"notice.routes": routes, "notice.window": "1s"})
        open_to_internet(stack, [(account, region, group)])
        stack.wait_until(lambda: metric(worker, "picky", "given-up") == 1, 60, "it to be given up")
        assert len(picky.posts) == 1
        assert stack.redis.keys("parapet:v1:sending*") == []
        assert worker.alive()


def test_a_storm_keeps_each_channels_limit(stack):
    """200 fixes in four accounts: at most 3 messages begun within 20 s on one channel, 2 on the other, whoever sends.

    What is begun arrives within its timeout of 5 s, so at the receiver the fourth is at least 15 s behind the first."""
    accounts = stack.ids[:4]
    places = stack.plant_everywhere([], 200, accounts, stack.regions)
    topic = sns_topic(stack)
    with Receiver() as receiver:
        routes = write_routes(
            stack,
            {
                "chat": {"webhook": receiver.url, "secret": {"file": "secret"}, "limit": "3/20s"},
                "security": {"sns": topic, "limit": "2/20s"},
            },
            [{"to": ["chat", "security"]}],
        )
        start_collector(stack)
        for _ in range(2):  # the limit is the fleet's
            start_worker(stack, **{"notice.routes": routes, "notice.window": "1s"})
        open_to_internet(stack, places, SSH)
        wait_fixed(stack, [group for _, _, group in places], 150)

        def told():
            return sum(json.loads(post["body"])["digest"]["counts"].get("fixed", 0) for post in receiver.posts)

        stack.wait_until(lambda: told() == 200, 90, lambda: f"all two hundred told: {told()}", 0.5)
        posts = sorted(post["time"] for post in receiver.posts)
        assert all(later - posts[i] > 15 for i, later in enumerate(posts[3:])), posts
        sent = sorted(call["time"] for call in stack.calls(service="sns", operation="Publish"))
        assert 1 <= len(sent) and all(later - sent[i] > 15 for i, later in enumerate(sent[2:])), sent
        assert published(stack) and counts(stack) == {"fixed": 200}
        assert len(posts) <= 3 * (1 + int((posts[-1] - posts[0] + 5) / 20))


def test_mistakes_in_the_routes_are_told_before_anything_starts(stack):
    routes = write_routes(stack, {"chat": {"webhook": "http://example.com/x", "secret": "none"}}, [{"to": "chatt"}])
    checked = stack.parapet("notices", "check", routes)
    assert checked.returncode == 3 and checked.stdout == ""
    lines = checked.stderr.splitlines()
    assert "plain http:// is only for this machine" in lines[0] and 'did you mean "chat"' in lines[1]
    assert all(line.startswith(f"{routes}:") for line in lines)
    worker = stack.start_worker(wait=False, **{"notice.routes": routes})
    stack.wait_until(lambda: not worker.running(), 20, "it to give up")
    assert worker.child.returncode == 1
    worker.ended_by_us = True  # as far as the stack is concerned
    assert "plain http" in worker.log() and "did you mean" in worker.log()
