#!/usr/bin/env python3
"""The demo: a small organization with things wrong in it, a stranger who breaks rules, and Parapet at work on both.

Real parts: Parapet's collector and two workers, Redis.  Instead of AWS: moto, behind the tap that tells of each change
as CloudTrail would; instead of a cluster: an embedded Kafka broker.  Every chapter waits for what it promises; what
does not happen in time is said, and the exit status is 1.  Nothing stays but the programs' logs in build/demo/."""

import contextlib
import concurrent.futures
import os
import shutil
import signal
import sys
import time
from pathlib import Path

from demo_screen import Screen
from demo_watch import GUARDRAIL, Watch, percentile
from stack import QUEUE, Stack, StackError, permission

LONGEST = 170  # seconds; then the demo gives up
LIMIT, STORM, PACE = 20, 60, 5
RULES = {  # how a group is open: (what the stranger asks for, in words, mutations that narrow it)
    "ssh": (permission(), "22 from 0.0.0.0/0", 2),
    "ssh6": (permission(cidr="::/0"), "22 from ::/0", 2),
    "wide": (permission(ports=(0, 65535), cidr="::/0"), "0-65535 from ::/0", 4),
}
SHOP, PAYMENTS, DATA, SANDBOX = "111111111111", "222222222222", "333333333333", "444444444444"
NAMES = {SHOP: "shop", PAYMENTS: "payments", DATA: "data", SANDBOX: "sandbox"}
ACCOUNTS = [
    {"id": account, "name": name, "environment": "dev" if account == SANDBOX else "prod"}
    for account, name in NAMES.items()
]
STATUS_WORDS = {"open": ("told", "yellow"), "fixed": ("fixed", "green"), "excepted": ("excepted", "blue"),
                "parked": ("parked", "yellow"), "failed": ("FAILED", "red"), "closed": ("closed", None)}  # fmt: skip

# Of the table: head, the findings' status (None: all), width.
COLUMNS = [("found", None, 8), ("fixed", "fixed", 8), ("told", "open", 8), ("excepted", "excepted", 10),
           ("parked", "parked", 8)]  # fmt: skip


class NotAsPromised(Exception):
    """Something did not happen; the message says what."""


class Demo:
    def __init__(self, stack, screen, started, window):
        self.stack, self.screen, self.started, self.window = stack, screen, started, window
        self.watch = Watch(stack)
        self.expected_mutations, self.expected = 0, {"fixed": 0, "open": 0, "excepted": 0}
        self.quiet = set()  # groups whose changes are only counted, not told one by one
        self.storm, self.worst = [], {}
        self.workers, self.waiting = [], ""

    # ---- waiting ----

    def look(self):
        for finding in self.watch.look():
            if finding.group not in self.quiet:
                self.tell(finding)
        self.screen.refresh()
        for program in self.stack.programs:
            if not program.running():
                raise NotAsPromised(f"{program.name} ended by itself\n{program.log_tail(10)}")

    def until(self, condition, seconds, promise, waiting=""):
        """Looks until the condition holds; `promise` is what did not happen when it never does."""
        deadline = min(time.monotonic() + seconds, self.started + LONGEST)
        self.waiting = waiting
        while True:
            self.look()
            if condition():
                return
            if time.monotonic() > deadline:
                raise NotAsPromised(f"{promise} (waited {seconds} s)")
            time.sleep(0.2)

    def until_status(self, groups, status, seconds, promise):
        self.until(lambda: self.watch.count(status, groups=groups) == len(groups), seconds, promise)

    def tell(self, finding):
        word, colour = STATUS_WORDS[finding.status]
        more = {"fixed": "office only", "open": "not changed",
                "excepted": "left alone"}.get(finding.status, finding.record.get("note", ""))  # fmt: skip
        text = where(finding.account, finding.region, finding.group) + more
        self.screen.happened(self.watch.seconds(finding), word, text, colour)

    # ---- the stranger and the operator ----

    def plant(self, account, region, kind):
        return self.stack.plant(account, region, [RULES[kind][0]], name="legacy")[0]

    def open(self, account, region, group, kind="ssh"):
        client = self.stack.stranger(account).client("ec2", region)
        self.watch.opened[group] = time.time()
        client.authorize_security_group_ingress(GroupId=group, IpPermissions=[RULES[kind][0]])

    def mallory_opens(self, account, region, kind="ssh"):
        group = self.stack.plant(account, region, name="web")[0]
        self.screen.happened(None, "mallory", where(account, region, group) + RULES[kind][1], "red")
        self.open(account, region, group, kind)
        return group

    def operator(self, *words, lines=12, shown=None):
        """Runs parapet; shows what was typed and what it answered."""
        done = self.stack.parapet(*words, log__level="error")
        if done.returncode:
            raise NotAsPromised(f"parapet {' '.join(words)}: exit {done.returncode}: {done.stderr.strip()}")
        self.screen.command(shown or " ".join(words), done.stdout, lines)

    def expect(self, outcome, kinds):
        self.expected[outcome] += len(kinds)
        if outcome == "fixed":
            self.expected_mutations += sum(RULES[kind][2] for kind in kinds)

    # ---- the living table ----

    def table(self):
        heads = "".join(f"{head:>{wide}}" for head, _, wide in COLUMNS)
        lines = [(f"    {'account':<16}{heads}   until fixed", "dim")]
        for account in ACCOUNTS:
            lines.append((self._row(f"{account['name']:<10}{account['environment']}", account["id"]), None))
        lines.append((self._row("all", None), "bold"))
        return lines

    def living(self):
        return [*self.table(), ("    " + self.waiting, "dim")]

    def _row(self, name, account):
        numbers = "".join(f"{self.watch.count(status, account) or '·':>{wide}}" for _, status, wide in COLUMNS)
        latencies = self.watch.latencies(account)
        span = f"{latencies[0]:.1f} to {latencies[-1]:.1f} s" if latencies else ""
        return f"    {name:<16}{numbers}   {span}".rstrip()

    def progress(self):
        words = {"fixed": "fixed", "open": "told", "excepted": "excepted", "parked": "parked"}
        counts = [f"{self.watch.count(status)} {word}" for status, word in words.items()]
        return f"… {self.watch.count()} found: " + ", ".join(counts) + (f"; {self.waiting}" if self.waiting else "")

    # ---- the chapters ----

    def prepare(self):
        """What is wrong in the organization before Parapet comes, and what only looks like it."""
        wrong = [(SHOP, "eu-west-1", "ssh"), (SHOP, "us-east-1", "wide"), (SHOP, "us-west-2", "ssh6"),
                 (SHOP, "ap-southeast-2", "ssh"), (SANDBOX, "eu-west-1", "ssh"),
                 (SANDBOX, "us-east-1", "wide")]  # fmt: skip
        self.planted = {self.plant(*one): one for one in wrong}
        for account in NAMES:  # a web server's port, and SSH from the office: nobody's business
            self.stack.plant(account, "eu-west-1", [permission(ports=(443, 443)), permission(cidr="203.0.113.0/24")])
        self.storm = self.stack.plant(PAYMENTS, "eu-west-1", count=STORM, name="batch")
        self.expect("fixed", [kind for account, _, kind in wrong if account == SHOP])
        self.expect("open", [kind for account, _, kind in wrong if account == SANDBOX])

    def start(self):
        topic = self.stack.hub().client("sns", self.stack.regions[0]).create_topic(Name="parapet-notices")["TopicArn"]
        # The short session: the embedded broker hands partitions over only when a session has run out.
        settings = {"log.level": "info", "patience": "1s,3s", "notice.sns_topic": topic, "threads": 16,
                    "notice.window": f"{self.window}s", "kafka.session_timeout": "8s",
                    "kafka.properties": "heartbeat.interval.ms=1000"}  # fmt: skip
        self.workers = [self.stack.start_worker(wait=False, **settings) for _ in range(2)]
        collector = self.stack.start_collector(
            wait=False,
            **{"log.level": "info", "sqs.queue": QUEUE, "sqs.regions": self.stack.regions, "sqs.wait": "1s",
               "schedule.enabled": True, "schedule.at_start": True},
        )  # fmt: skip
        for program in (*self.workers, collector):
            program.wait_ready(60)

    def chapter_sweep(self):
        self.screen.chapter(1, "The sweep", "Nobody told Parapet of these: they were open before it came. Its sweep "
                            "of every account and Region finds them; prod is fixed, dev is only told.")  # fmt: skip
        prod = {group for group, (account, *_) in self.planted.items() if account == SHOP}
        self.until_status(prod, "fixed", 40, "the sweep did not fix the groups that were open in prod")
        self.until_status(set(self.planted) - prod, "open", 20, "the sweep did not report the groups open in dev")

    def chapter_stranger(self):
        self.screen.chapter(2, "A stranger", "mallory opens SSH to the world in prod: CloudTrail tells, Parapet "
                            "looks, fixes and looks again. In dev the same is only told.")  # fmt: skip
        for region, kind in (("eu-west-1", "ssh"), ("us-west-2", "wide")):
            group = self.mallory_opens(DATA, region, kind)
            self.expect("fixed", [kind])
            self.until_status({group}, "fixed", 30, f"{group} in {region} was not fixed")
        sent = self.watch.notices_of
        self.until(lambda: sent(SHOP) and sent(SANDBOX), self.window + 20, "the sweep's notices were not sent",
                   "waiting for the sweep's notices, one an account")  # fmt: skip
        group = self.mallory_opens(SANDBOX, "eu-west-1")
        self.expect("open", ["ssh"])
        self.until_status({group}, "open", 30, f"{group} in dev was not told")

    def chapter_exception(self):
        self.screen.chapter(3, "An exception", "Ann answers for one machine that must stay reachable until tonight. "
                            "An exception has an owner, a reason and an end.")  # fmt: skip
        group = self.stack.plant(DATA, "us-east-1", name="bastion")[0]
        self.operator("exceptions", "add", "--guardrail", GUARDRAIL, "--account", DATA, "--resource", group, "--owner",
                      "ann@example.com", "--reason", "migration", "--for", "30d")  # fmt: skip
        self.screen.happened(None, "ann", where(DATA, "us-east-1", group) + RULES["ssh"][1], "blue")
        self.open(DATA, "us-east-1", group)
        self.expect("excepted", ["ssh"])
        self.until_status({group}, "excepted", 30, f"the exception of {group} was not respected")

    def chapter_storm(self):
        self.screen.chapter(4, "A storm", f"A script gone wild opens {STORM} groups in prod at once. More than "
                            f"{LIMIT} changes in ten minutes is no longer a fix but an incident: the breaker trips, "
                            "the rest is parked for a person to decide, and one message tells of it all.")  # fmt: skip
        storm, before = set(self.storm), len(self.watch.notices_of(PAYMENTS))
        self.quiet |= storm
        self.screen.happened(None, "mallory", where(PAYMENTS, "eu-west-1", f"{STORM} groups") + RULES["ssh"][1], "red")
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            calls = [pool.submit(self.open, PAYMENTS, "eu-west-1", group) for group in self.storm]
            self.until(lambda: all(call.done() for call in calls), 60, "mallory could not open the groups")
            for call in calls:
                call.result()

        def settled():
            fixed, parked = (self.watch.count(status, groups=storm) for status in ("fixed", "parked"))
            return fixed + parked == STORM

        self.until(settled, 60, f"not all {STORM} groups were fixed or parked")
        fixed = self.watch.count("fixed", groups=storm)
        if fixed != LIMIT:
            raise NotAsPromised(f"{fixed} of the storm were fixed, not {LIMIT}")
        self.screen.happened(None, "breaker", f"{fixed} fixed, {STORM - fixed} parked, nothing lost", "yellow")
        self.operator("status")
        self.until(lambda: len(self.watch.notices_of(PAYMENTS)) > before, self.window + 20,
                   "the storm's notice was not sent", "waiting for the one notice of it all")  # fmt: skip
        notice = self.watch.notices_of(PAYMENTS)[-1]
        self.screen.happened(None, "notice", notice["Subject"], "cyan")
        for line in notice["Message"].splitlines():
            if line.startswith(("Why it matters", "How to do it right", "What is parked waits")):
                self.screen.remark(line)

    def chapter_release(self):
        self.screen.chapter(5, "The release", "The operator has looked, closes the breaker and brings back what was "
                            f"parked, {PACE} a second: each is read and judged anew before it is touched.")  # fmt: skip
        storm, before = set(self.storm), len(self.watch.notices_of(PAYMENTS))
        parked = {finding.group for finding in self.watch.findings.values() if finding.status == "parked"}
        begun = time.time()
        self.operator("breaker", "reset", f"{GUARDRAIL}/{PAYMENTS}", "--release", "--pace", f"{PACE}/s")
        self.until_status(storm, "fixed", 60, "not all that was parked was fixed after the release")
        self.expect("fixed", ["ssh"] * STORM)
        took = max(self.watch.findings[group].history[-1][1] for group in parked) - begun
        if took < (len(parked) - 1) / PACE * 0.8:
            raise NotAsPromised(f"{len(parked)} parked units came back in {took:.1f} s: faster than {PACE} a second")
        self.screen.happened(None, "released", f"{len(parked)} fixed in {took:.1f} s", "green")
        self.operator("findings", "--limit", "4")
        sent = lambda: len(self.watch.notices_of(PAYMENTS)) > before  # noqa: E731
        self.until(sent, self.window + 20, "the release's notice was not sent", "waiting for the last notice")
        self.until(
            lambda: self.own_events() >= self.own_calls(), 15, "Parapet's own changes did not all come back to it"
        )

    # ---- the summary ----

    def own_events(self):
        return int(sum(worker.metric("parapet_own_events_total") for worker in self.workers))

    def own_calls(self):
        """Parapet's own changes that CloudTrail told back and that match the guardrail's pattern."""
        return sum(call["operation"] == "AuthorizeSecurityGroupIngress" for call in self.mutations())

    def mutations(self):
        return self.stack.mutations(service="ec2", role=f"*{self.stack.role}")

    def open_to_the_world(self):
        """How many groups are open in truth, asked past the tap."""
        rules = []
        for account in NAMES:
            for region in self.stack.regions:
                client = self.stack.direct(account).client("ec2", region)
                rules += client.describe_security_group_rules(MaxResults=1000)["SecurityGroupRules"]
        return len({rule["GroupId"] for rule in rules if not rule["IsEgress"] and reaches_ssh(rule)})

    def summary(self):
        self.look()
        least, most = self.watch.digests(self.window)
        notices = len(self.watch.notices)
        rows = [
            ("violations fixed and verified", self.watch.count("fixed"), self.expected["fixed"]),
            ("told only (dev)", self.watch.count("open"), self.expected["open"]),
            ("excepted", self.watch.count("excepted"), self.expected["excepted"]),
            ("parked or failed", self.watch.count("parked") + self.watch.count("failed"), 0),
            ("groups still open to the world, asked at AWS", self.open_to_the_world(),
             self.expected["open"] + self.expected["excepted"]),
            ("changes made in the accounts", len(self.mutations()), self.expected_mutations),
            ("own changes recognised and not acted on", self.own_events(), self.own_calls()),
            ("notices sent", notices, notices if least <= notices <= most else f"{least} to {most}"),
        ]  # fmt: skip
        self.screen.rest()
        self.screen.chapter(6, "Summary", "What happened, and what had to happen.")
        self.screen.say()
        for text, colour in self.table():
            self.screen.say(text, colour)
        self.screen.say()
        self.screen.say(f"{'':<48}{'counted':>9}{'expected':>11}", "dim", indent=4)
        wrong = [name for name, got, wanted in rows if got != wanted]
        for name, got, wanted in rows:
            self.screen.check(f"{name:<48}{got:>9}{wanted:>11}", got == wanted)
        latencies = self.watch.latencies()
        self.screen.say()
        p50, p99, count = percentile(latencies, 50), percentile(latencies, 99), len(latencies)
        self.screen.say(f"{count} fixes that waited for nobody, from mallory's call to the verified fix:", indent=4)
        self.screen.say(f"p50 {p50:.1f} s, p99 {p99:.1f} s", "bold", 4)
        if wrong:
            raise NotAsPromised("; ".join(wrong) + ": not the number expected")

    def play(self):
        self.screen.table, self.screen.progress = self.living, self.progress
        self.chapter_sweep()
        self.chapter_stranger()
        self.chapter_exception()
        self.chapter_storm()
        self.chapter_release()
        self.summary()


def where(account, region, group):
    return f"{group:<20} {NAMES[account] + ', ' + region:<21} "


def reaches_ssh(rule):
    everyone = rule.get("CidrIpv4") == "0.0.0.0/0" or rule.get("CidrIpv6") == "::/0"
    if rule["IpProtocol"] == "tcp":
        return everyone and rule["FromPort"] <= 22 <= rule["ToPort"]
    return everyone and rule["IpProtocol"] == "-1"


# ---- logs ----


def log_directory(build):
    """build/demo/<time>-<process>; only the last five are kept."""
    parent = Path(build) / "demo"
    parent.mkdir(parents=True, exist_ok=True)
    for old in sorted(parent.iterdir(), key=lambda path: path.stat().st_mtime)[:-4]:
        shutil.rmtree(old, ignore_errors=True)
    directory = parent / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    directory.mkdir()
    return directory


def keep_logs(stack, directory):
    for log in stack.directory.glob("*.log"):
        with contextlib.suppress(OSError):
            shutil.copy(log, directory)


def run(screen, logs):
    started = time.monotonic()
    screen.say()
    screen.say(" Parapet demo", "bold")
    screen.explain("4 accounts, 3 prod and 1 dev, in 4 Regions. Parapet's collector, two workers and Redis are the "
                   "real programs; moto stands in for AWS, with a tap that tells of changes as CloudTrail does; the "
                   "Kafka "
                   "broker is an embedded one.")  # fmt: skip
    with Stack(kafka="embedded", accounts=ACCOUNTS) as stack:
        slow = time.monotonic() - started > 12
        demo = Demo(stack, screen, started, window=25 if slow else 12)
        try:
            demo.prepare()
            demo.start()
            screen.say(f"Everything is up after {time.monotonic() - started:.0f} s.", "dim", 4)
            demo.play()
        finally:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
                signal.signal(number, signal.SIG_IGN)  # cleaning up is short, and must not be half done
            screen.rest()
            demo.watch.close()
            keep_logs(stack, logs)
    screen.say()
    took = time.monotonic() - started
    screen.say(f"Done after {took:.0f} s. The programs' logs: {os.path.relpath(logs)}/", "bold", 4)


def interrupt(*_):
    raise KeyboardInterrupt


def give_up(*_):
    raise NotAsPromised(f"the demo was not over after {LONGEST + 30} s")


def main():
    screen = Screen()
    logs = log_directory(os.environ.get("BUILD") or "build")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    signal.signal(signal.SIGALRM, give_up)  # should a call hang that has no deadline of its own
    signal.alarm(LONGEST + 30)
    try:
        run(screen, logs)
    except KeyboardInterrupt:
        screen.say()
        screen.say("Stopped; everything is cleaned up.", "bold", 4)
        return 130
    except BrokenPipeError:  # whoever watched went away
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (NotAsPromised, StackError, TimeoutError) as problem:
        screen.say()
        for line in f"Not as promised: {problem}".splitlines():
            screen.say(line, "red", 4)
        screen.say(f"The programs' logs: {os.path.relpath(logs)}/", None, 4)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
