"""The whole stack as one object: broker, Redis, moto, tap, and Parapet's programs on top of them."""

import json
import os
import secrets
import shutil
import tempfile
from pathlib import Path

import yaml

from . import cloud, kafka, programs
from .moto_server import Moto
from .process import StackError, start_janitor, wait_until
from .redis_server import RedisServer, ReplicatedRedis
from .tap_client import Tap

ROOT = Path(__file__).resolve().parents[3]
HUB = "999999999999"
QUEUE = "parapet-events"
ROLE = "parapet-worker"
REGIONS = ["eu-west-1", "us-east-1", "us-west-2", "ap-southeast-2"]
ALL_REGIONS = [
    "us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "sa-east-1", "eu-west-1", "eu-west-2",
    "eu-west-3", "eu-central-1", "eu-north-1", "ap-south-1", "ap-southeast-1", "ap-southeast-2", "ap-northeast-1",
    "ap-northeast-2", "ap-northeast-3",
]  # fmt: skip


def account_list(accounts, dev=0):
    """A number, ids, or dicts as in accounts.yaml → dicts.  Of a number, the last `dev` are dev accounts, the rest prod."""
    if isinstance(accounts, int):
        ids = [str(n) * 12 if n < 9 else f"{100000000000 + n}" for n in range(1, accounts + 1)]
        accounts = [{"id": one, "environment": "dev" if n >= len(ids) - dev else "prod"} for n, one in enumerate(ids)]
    made = []
    for account in accounts:
        account = {"id": account} if isinstance(account, str) else dict(account)
        environment = account.setdefault("environment", "prod")
        account.setdefault("name", f"{environment}-{account['id'][:4]}")
        account.setdefault("unit", f"workloads/{environment}")
        made.append(account)
    return made


class Stack:
    """with Stack(kafka="real", accounts=3, regions=["eu-west-1"]) as stack: …

    kafka       "real", "embedded" or None
    accounts    number, ids, or dicts as in accounts.yaml; dev: how many of a number are dev accounts
    regions     Regions of the event queues and of accounts.yaml
    moto        processes among which the accounts are spread
    redis       True, "sentinel" (a master, a replica and a Sentinel: stack.redis.fail_over()), or None
    external_id the worker role asks for it; roles: {name: external id or None} (absent: any role can be assumed)
    faketime    moto runs under libfaketime: see moto_time()
    guardrails  names of those that run, with their resources; None: the whole catalogue.  By default one alone, so that
                a test of the worker counts its effects and not those of a guardrail that is added tomorrow
    """

    def __init__(
        self,
        kafka="real",
        redis=True,
        accounts=3,
        dev=0,
        regions=None,
        moto=1,
        append_only=False,
        external_id=None,
        roles=None,
        faketime=False,
        guardrails=("ssh-open-to-internet",),
        verify_signatures=True,
        build=None,
        keep=False,
    ):
        self.build = Path(build or os.environ.get("BUILD") or ROOT / "build").resolve()
        # Programs built with sanitizers, say, lie beside the rest: PROGRAMS=build/asan.
        self.programs_from = Path(os.environ.get("PROGRAMS") or self.build).resolve()
        self.accounts, self.regions = account_list(accounts, dev), list(regions or REGIONS)
        self.ids = [account["id"] for account in self.accounts]
        self.hub_account, self.queue_name, self.role = HUB, QUEUE, ROLE
        self.external_id, self.guardrails = external_id, guardrails
        self.options = {"kafka": kafka, "redis": redis, "moto": moto, "append_only": append_only, "faketime": faketime}
        self.roles = roles if roles is not None or external_id is None else {ROLE: external_id}
        self.verify_signatures, self.keep = verify_signatures, keep
        self.directory = self.kafka = self.redis = self.moto = self.tap = self._janitor = None
        self.programs, self._numbers = [], {}
        self.check_redis = True  # at a test's end, against schemas/redis.md
        self.users = [_user(HUB, "parapet-hub"), *(_user(account, "mallory") for account in self.ids)]

    # ---- life ----

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def start(self):
        self.directory = Path(tempfile.mkdtemp(prefix="parapet-stack-"))
        if not self.keep:
            self._janitor = start_janitor(self.directory)
        try:
            self._start_services()
        except BaseException:
            self.stop()
            raise
        return self

    def _start_services(self):
        options = self.options
        parts = []
        if options["kafka"]:
            kind = {"real": kafka.KafkaBroker, "embedded": kafka.EmbeddedBroker}[options["kafka"]]
            self.kafka = kind(self.directory / "kafka", self.build)
            parts.append(self.kafka)
        self.moto = Moto(self.directory / "moto", options["moto"], self._moto_environment())
        parts.append(self.moto)
        if options["redis"]:
            kind = ReplicatedRedis if options["redis"] == "sentinel" else RedisServer
            self.redis = kind(self.directory / "redis", options["append_only"])
            parts.append(self.redis)
        self.tap = Tap(self.directory / "tap", self._tap_config())
        parts.append(self.tap)
        for part in parts:
            part.launch()
        for part in parts:
            part.wait_ready()
        if options["kafka"] == "real":
            kafka.create_topics(self.bootstrap)
        self.accounts_file = self.write_accounts()
        self.playbooks = self._choose_playbooks()

    def _tap_config(self):
        return {
            "moto_ports": self.moto.ports,
            "hub": HUB,
            "queue": QUEUE,
            "regions": sorted({*self.regions, *ALL_REGIONS}),
            "users": self.users,
            "accounts": [*self.ids, HUB],
            "roles": self.roles,
            "verify_signatures": self.verify_signatures,
        }

    def stop(self):
        for program in reversed(self.programs):
            program.terminate(10)
        for part in (self.tap, self.kafka, self.redis, self.moto):
            if part is not None:
                part.stop()
        if self.directory and not self.keep:
            shutil.rmtree(self.directory, ignore_errors=True)
        if self._janitor:
            self._janitor.stdin.close()
            self._janitor.wait(10)
            self._janitor = None

    def reset(self):
        """Ends programs and empties everything: the cloud, Redis, topics, queues, the tap's memory.

        What a test stopped runs again afterwards."""
        self.check_redis = True
        self.stop_programs()
        for part in (self.redis, self.kafka):
            if part is not None:
                part.resume()
                part.start()
        self.moto.reset()
        if self.redis:
            self.redis.client().flushall()
        if self.options["kafka"] == "real":
            kafka.recreate_topics(self.bootstrap)
        self.tap.reset()
        self.write_accounts()

    # ---- addresses ----

    @property
    def bootstrap(self):
        return self.kafka.bootstrap if self.kafka else None

    def queue_url(self, region=None):
        return f"{self.tap.url}/{HUB}/{QUEUE}"

    def settings(self):
        """The settings that lead Parapet to this stack, by their names."""
        return {
            "kafka.brokers": self.bootstrap,
            "redis.url": self.redis.url if self.redis else None,
            "accounts": self.accounts_file,
            "aws.models": self.build / "models",
            "aws.region": self.regions[0],
            "aws.budget": 0,  # hours of load are pressed into seconds here
            "playbooks": self.playbooks,
            "log.level": "debug",
        }

    def collector_settings(self):
        return {
            "sqs.queue": QUEUE,
            "sqs.regions": self.regions,
            "sqs.wait": "2s",  # a collector ends as soon as its long poll does
        }

    def aws_environment(self):
        hub = self.users[0]
        return {
            "AWS_ENDPOINT_URL": self.tap.url,
            "AWS_ACCESS_KEY_ID": hub["key"],
            "AWS_SECRET_ACCESS_KEY": hub["secret"],
            "AWS_REGION": self.regions[0],
            "AWS_DEFAULT_REGION": self.regions[0],
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def environment(self, **settings):
        """A whole environment for a program of Parapet."""
        chosen = {**self.settings(), **{name.replace("__", "."): value for name, value in settings.items()}}
        return {**programs.clean_environment(), **self.aws_environment(), **programs.environment_of(chosen)}

    def describe(self):
        """Everything another process needs, as `stack.py up` prints it."""
        return {
            "directory": str(self.directory),
            "kafka": self.bootstrap,
            "redis": self.redis.url if self.redis else None,
            "tap": self.tap.url,
            "moto": self.moto.urls,
            "queues": {region: self.queue_url(region) for region in self.regions},
            "accounts": self.accounts,
            "hub": HUB,
            "regions": self.regions,
            "users": {user["account"]: user for user in self.users},
            "env": {
                **self.aws_environment(),
                **programs.environment_of({**self.settings(), **self.collector_settings()}),
            },
        }

    def _choose_playbooks(self):
        """The catalogue, or a directory with the chosen guardrails and the resources that they look at."""
        catalogue = ROOT / "worker" / "playbooks"
        if self.guardrails is None:
            return catalogue
        chosen = self.directory / "playbooks"
        for name in self.guardrails:
            guardrail = catalogue / "guardrails" / f"{name}.yaml"
            kind = yaml.safe_load(guardrail.read_text())["resource"].replace(".", "-")
            for source in (guardrail, catalogue / "resources" / f"{kind}.yaml"):
                (chosen / source.parent.name).mkdir(parents=True, exist_ok=True)
                shutil.copy(source, chosen / source.parent.name)
        return chosen

    def write_accounts(self, accounts=None, name="accounts.yaml", **more):
        """Writes an accounts.yaml (these accounts, or the stack's) and returns its path."""
        content = {"role": ROLE, "regions": self.regions, "accounts": accounts or self.accounts, **more}
        if self.external_id:
            content["external_id"] = self.external_id
        path = self.directory / name
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return path

    # ---- the cloud ----

    def stranger(self, account=None):
        """An administrator of the account who is none of us (IAM user "mallory"), through the tap."""
        user = next(user for user in self.users if user["account"] == (account or self.ids[0]))
        return cloud.Caller(self.tap.url, user["account"], user["key"], user["secret"], arn=user_arn(user))

    def hub(self):
        """The base credentials that Parapet runs with."""
        return self.stranger(HUB)

    def role_session(self, account, role=ROLE, session="parapet", policy=None, **more):
        """A session of a role in the account, assumed by the hub."""
        if self.external_id:
            more.setdefault("ExternalId", self.external_id)
        text = json.dumps(policy) if policy is not None and not isinstance(policy, str) else policy
        return self.hub().assume(f"arn:aws:iam::{account}:role/{role}", session, text, **more)

    def direct(self, account):
        """moto past the tap: no events, no records, no faults."""
        return cloud.Direct(self.moto, account)

    def plant(self, account, region, permissions=(), count=1, name="planted", tags=None):
        """`count` security groups with these ingress permissions, made past the tap; their ids."""
        first = self._number("plant")
        self._numbers["plant"] += count
        return cloud.in_threads(
            lambda n: cloud.plant_group(self.moto, account, region, f"{name}-{first + n}", permissions, tags),
            range(count),
        )

    def plant_everywhere(self, permissions, total, accounts=None, regions=None):
        """`total` groups dealt out over accounts × Regions: [(account, region, group)]."""
        places = [(a, r) for a in accounts or self.ids for r in regions or self.regions]
        first = self._number("plant")
        self._numbers["plant"] += total

        def plant(n):
            account, region = places[n % len(places)]
            group = cloud.plant_group(self.moto, account, region, f"planted-{first + n}", permissions)
            return account, region, group

        return cloud.in_threads(plant, range(total))

    def rules(self, account, region, group, egress=False):
        """The group's rules as they truly are: [SecurityGroupRule] of that direction."""
        found = (
            self.direct(account)
            .client("ec2", region)
            .describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])
        )
        return [rule for rule in found["SecurityGroupRules"] if rule["IsEgress"] == egress]

    def moto_time(self, offset):
        """Moves moto's clock at once, as "-120d" or "+0d" (faketime=True only)."""
        if not self.options["faketime"]:
            raise StackError("the stack was not started with faketime")
        self._write_faketime(offset)

    def _write_faketime(self, offset):
        # Read anew at every look at the clock: never half written.
        fresh = self.directory / "faketime.new"
        fresh.write_text(offset + "\n")
        fresh.replace(self._faketime_file())

    def _faketime_file(self):
        return self.directory / "faketime"

    def _moto_environment(self):
        # Hundreds of public images and their snapshots in every account and Region are moto's alone.
        own = {"MOTO_EC2_LOAD_DEFAULT_AMIS": "false"} if self.guardrails is None else {}
        if not self.options["faketime"]:
            return own
        library = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
        if library is None:
            raise StackError("libfaketime is missing: apt-get install faketime")
        self._write_faketime("+0d")
        return {
            **own,
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._faketime_file()),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    # ---- Parapet ----

    def _number(self, name):
        self._numbers[name] = self._numbers.get(name, 0) + 1
        return self._numbers[name]

    def start_worker(self, *arguments, wait=True, wrapper=(), **settings):
        """build/parapet-worker; settings by name with dots as double underscores or in full: kafka__group="g"."""
        return self._start("parapet-worker", arguments, wait, wrapper, settings)

    def start_collector(self, *arguments, wait=True, wrapper=(), **settings):
        """build/parapet-collector on the event queues; the schedule is off: schedule__enabled=True."""
        settings = {**self.collector_settings(), **settings}
        return self._start("parapet-collector", arguments, wait, wrapper, settings)

    def _start(self, name, arguments, wait, wrapper, settings):
        number = self._number(name)
        program = programs.Program(
            f"{name}-{number}",
            [*wrapper, self.programs_from / name, *arguments],
            self.directory / f"{name}-{number}.log",
            self.environment(**settings),
        )
        program.start()
        self.programs.append(program)
        return program.wait_ready() if wait else program

    def stop_programs(self):
        """Ends all workers and collectors; returns their exit statuses (-9: killed, perhaps because it hung)."""
        statuses = {program.name: program.terminate(20) for program in reversed(self.programs)}
        self.programs.clear()
        return statuses

    def parapet(self, *arguments, timeout=60, check=False, stdin=None, **settings):
        """Runs build/parapet to its end."""
        command = [self.programs_from / "parapet", *arguments]
        return programs.run(command, self.environment(**settings), timeout, check, stdin)

    # ---- Kafka and SQS ----

    def topic(self, name, timeout=30):
        """All messages of a topic now: [{partition, offset, time, key, value (JSON), raw}]."""
        return kafka.read_topic(self.bootstrap, name, timeout)

    def topic_count(self, name):
        return sum(high - low for _, low, high in kafka.topic_ends(self.bootstrap, name))

    def produce(self, topic, messages):
        """Produces (key, value) pairs and waits for the acknowledgements."""
        kafka.produce(self.bootstrap, topic, messages)

    def group_lag(self, group="parapet-workers", topics=("parapet.events", "parapet.sweeps", "parapet.commands")):
        return kafka.group_lag(self.bootstrap, group, topics)

    def group_shares(self, group):
        return kafka.group_shares(self.bootstrap, group)

    def send(self, region, bodies):
        """Puts events (text or JSON) into the Region's queue, past SQS's API."""
        self.tap.send(region, bodies)

    def calls(self, since=0, **filters):
        return self.tap.calls(since, **filters)

    def mutations(self, since=0, **filters):
        """Mutating calls that had an effect: answered 2xx, or cut off after moto had done them."""
        return [
            call
            for call in self.tap.calls(since, kind="mutating", **filters)
            if 200 <= (call.get("real_status") or call["status"]) < 300
        ]

    def wait_until(self, predicate, timeout=30, message="the condition", interval=0.1):
        return wait_until(predicate, timeout, message, interval)

    def wait_queues_empty(self, timeout=60):
        """Until no event queue holds or has in flight any message."""
        wait_until(
            lambda: all(q["visible"] + q["in_flight"] + q["delayed"] == 0 for q in self.tap.queues().values()),
            timeout,
            lambda: f"empty queues {self.tap.queues()}",
        )


def _user(account, name):
    return {
        "account": account,
        "name": name,
        "key": "AKIA" + secrets.token_hex(8).upper(),
        "secret": secrets.token_urlsafe(30),
    }


def user_arn(user):
    return f"arn:aws:iam::{user['account']}:user/{user['name']}"
