"""The broker: real Apache Kafka (KRaft, one node) from its Maven jars, or librdkafka's mock cluster."""

import fcntl
import json
import os
import re
import shutil
import subprocess
import uuid
from pathlib import Path

from .process import Process, StackError, free_port, port_answers, wait_until

TOPICS = {
    # name: (partitions, compacted)
    "parapet.events": (6, False),
    "parapet.sweeps": (6, False),
    "parapet.commands": (1, False),
    "parapet.findings": (3, False),
    "parapet.actions": (3, False),
    "parapet.deadletter": (1, False),
    "parapet.state": (3, True),
}

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},WATCHED://127.0.0.1:{watched},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},WATCHED://127.0.0.1:{watch}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,WATCHED:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
num.partitions=1
default.replication.factor=1
min.insync.replicas=1
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
log.segment.bytes=67108864
log.index.size.max.bytes=1048576
log.cleaner.dedupe.buffer.size=16777216
message.max.bytes=1048588
num.network.threads=2
num.io.threads=4
num.recovery.threads.per.data.dir=2
background.threads=2
controlled.shutdown.enable=true
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
"""

LOG4J = """\
Configuration:
  status: WARN
  Appenders:
    Console:
      name: STDOUT
      target: SYSTEM_OUT
      PatternLayout:
        pattern: "%d %p %c{1}: %m%n"
  Loggers:
    Root:
      level: WARN
      AppenderRef:
        - ref: STDOUT
"""

JVM = [
    "-Xms128m",
    "-Xmx400m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xshare:auto",
    "-XX:-UsePerfData",
    "-Djava.awt.headless=true",
    "-Dorg.apache.kafka.automatic.config.providers=none",
]


class KafkaBroker:
    """One real broker that is its own controller.  stop(), kill() and start() keep data and ports."""

    kind = "real"

    def __init__(self, directory, build):
        self.directory = Path(directory)
        self.libs = Path(build) / "kafka" / "libs"
        if not self.libs.is_dir():
            raise StackError(f"{self.libs} is missing: run tests/support/deps.sh all")
        self.directory.mkdir(parents=True, exist_ok=True)
        self.port, self.controller = free_port(), free_port()
        # A second address, whose clients are sent to `watch`: there a test may put a proxy that leads to `watched`.
        self.watched, self.watch = free_port(), free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"
        self.data = self.directory / "data"
        self.process = None

    # The storage tool is a JVM of its own (about two seconds), and what it writes differs between two stacks in the
    # cluster's id alone.  So it runs once a build; each broker gets a copy with an id of its own.
    def _format(self):
        template = self.libs.parent / "formatted"
        with open(self.libs.parent / ".format.lock", "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (template / "meta.properties").exists():
                self._format_template(template)
        shutil.copytree(template, self.data)
        cluster = _cluster_id()
        meta = self.data / "meta.properties"
        text = re.sub(r"(?m)^cluster\.id=.*$", f"cluster.id={cluster}", meta.read_text())
        text = re.sub(r"(?m)^directory\.id=.*$", f"directory.id={_cluster_id()}", text)
        meta.write_text(text)

    def _format_template(self, template):
        scratch = self.directory / "format"
        scratch.mkdir()
        properties = scratch / "server.properties"
        properties.write_text(PROPERTIES.format(port=9092, controller=9093, watched=9094, watch=9095, data=scratch / "data"))
        done = subprocess.run(
            [
                *self._java(),
                "kafka.tools.StorageTool",
                "format",
                "-t",
                _cluster_id(),
                "-c",
                str(properties),
            ],
            capture_output=True,
            text=True,
            timeout=120,
        )
        if done.returncode:
            raise StackError(f"formatting Kafka's storage failed:\n{done.stdout}{done.stderr}")
        shutil.move(scratch / "data", template)

    def _java(self):
        log4j = self.directory / "log4j2.yaml"
        log4j.write_text(LOG4J)
        return ["java", *JVM, f"-Dlog4j2.configurationFile={log4j}", "-cp", f"{self.libs}/*"]

    def launch(self):
        """Starts the process without waiting for it."""
        if not self.data.exists():
            self._format()
            (self.directory / "server.properties").write_text(
                PROPERTIES.format(
                    port=self.port,
                    controller=self.controller,
                    watched=self.watched,
                    watch=self.watch,
                    data=self.data,
                )
            )
        # What the child inherits of Java's settings must not enlarge or instrument the broker.
        env = {
            name: value for name, value in os.environ.items() if not name.startswith(("KAFKA_", "JAVA_TOOL", "_JAVA"))
        }
        self.process = Process(
            "kafka",
            [*self._java(), "kafka.Kafka", self.directory / "server.properties"],
            self.directory / "kafka.log",
            env=env,
        ).start()

    def wait_ready(self, timeout=90):
        self.process.wait_for(lambda: port_answers(self.port) and self._metadata(), timeout, "ready")

    def _metadata(self):
        return admin(self.bootstrap).list_topics(timeout=2).brokers

    def start(self, timeout=90):
        if self.process is None or not self.process.running():
            self.launch()
        self.wait_ready(timeout)
        return self

    def stop(self):
        """Ends the broker cleanly."""
        if self.process:
            self.process.terminate(20)

    def kill(self):
        self.process.kill()

    def suspend(self):
        self.process.suspend()

    def resume(self):
        self.process.resume()


class EmbeddedBroker:
    """librdkafka's mock cluster in a process of its own: quick and light, but it forgets when it ends."""

    kind = "embedded"

    def __init__(self, directory, build):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.program = Path(build) / "tests" / "support" / "embedded_broker"
        if not self.program.exists():
            raise StackError(f"{self.program} is missing: run make")
        self.process = None
        self.bootstrap = None

    def launch(self):
        topics = [f"{name}:{partitions}" for name, (partitions, _) in TOPICS.items()]
        self.process = Process(
            "embedded-broker", [self.program, *topics], self.directory / "broker.log", stdin=subprocess.PIPE
        ).start()

    def wait_ready(self, timeout=20):
        def printed():
            match = re.search(r"bootstrap=(\S+)", self.process.log())
            return match and match.group(1)

        self.bootstrap = self.process.wait_for(printed, timeout, "ready")

    def start(self, timeout=20):
        if self.process is None:
            self.launch()
        self.wait_ready(timeout)
        return self

    def stop(self):
        if self.process:
            self.process.terminate(5)

    def kill(self):
        self.process.kill()

    def suspend(self):
        self.process.suspend()

    def resume(self):
        self.process.resume()


def _cluster_id():
    """22 characters of URL-safe base64 that do not start with a dash, as Kafka's Uuid.randomUuid."""
    import base64

    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text


def admin(bootstrap):
    from confluent_kafka.admin import AdminClient

    return AdminClient({"bootstrap.servers": bootstrap, "socket.timeout.ms": 5000, "log_level": 2}, logger=_quiet())


def _quiet():
    import logging

    logger = logging.getLogger("parapet.stack.kafka")
    logger.setLevel(logging.CRITICAL)
    return logger


def create_topics(bootstrap, topics=None):
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import NewTopic

    wanted = []
    for name, (partitions, compacted) in (topics or TOPICS).items():
        config = {"cleanup.policy": "compact"} if compacted else {}
        wanted.append(NewTopic(name, num_partitions=partitions, replication_factor=1, config=config))
    client = admin(bootstrap)
    for name, future in client.create_topics(wanted, request_timeout=20).items():
        try:
            future.result(30)
        except KafkaException as error:
            if "TOPIC_ALREADY_EXISTS" not in str(error):
                raise StackError(f"creating topic {name}: {error}") from error
    wait_until(
        lambda: all(
            name in (seen := client.list_topics(timeout=5).topics)
            and all(p.leader >= 0 for p in seen[name].partitions.values())
            for name in (topics or TOPICS)
        ),
        20,
        "leaders of all topics",
    )
    consumer = _consumer(bootstrap)
    try:
        for name in topics or TOPICS:
            _ends(consumer, name)
    finally:
        consumer.close()


def recreate_topics(bootstrap):
    """Empties all topics and forgets all groups."""
    from confluent_kafka import KafkaException

    client = admin(bootstrap)
    present = [name for name in client.list_topics(timeout=10).topics if name in TOPICS]
    if set(present) == set(TOPICS) and _untouched(bootstrap):
        return
    # A group whose members were killed is not empty until their session ends; its offsets then point at topics that
    # are gone, and start anew at the first offset.
    groups = [group.group_id for group in client.list_consumer_groups(request_timeout=10).result(15).valid]
    for future in (client.delete_consumer_groups(groups, request_timeout=10) if groups else {}).values():
        try:
            future.result(15)
        except KafkaException:
            pass
    for future in (client.delete_topics(present, request_timeout=20) if present else {}).values():
        future.result(30)
    wait_until(lambda: not set(client.list_topics(timeout=5).topics) & set(TOPICS), 20, "topics are gone")
    create_topics(bootstrap)


def _untouched(bootstrap):
    """Never had a message, so no group can have committed anything."""
    consumer = _consumer(bootstrap)
    try:
        return all(high == 0 for name in TOPICS for _, _, high in _ends(consumer, name))
    finally:
        consumer.close()


def _consumer(bootstrap):
    from confluent_kafka import Consumer

    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"stack-reader-{uuid.uuid4()}",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 20,
            "log_level": 2,
        },
        logger=_quiet(),
    )


def topic_ends(bootstrap, topic):
    """[(partition, first offset, next offset)]."""
    consumer = _consumer(bootstrap)
    try:
        return _ends(consumer, topic)
    finally:
        consumer.close()


def _ends(consumer, topic):
    from confluent_kafka import TopicPartition

    def ends():
        # Just after a topic was made or a broker came back, it may still say that it is not the leader.
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        found = [(p, *consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=10)) for p in sorted(partitions)]
        return {"ends": found}

    return wait_until(ends, 15, f"the ends of {topic}")["ends"]


def read_topic(bootstrap, topic, timeout=30):
    """All messages of a topic as far as it reached when called: [{partition, offset, time, key, value, raw}].

    `value` is the decoded JSON (None for a tombstone or where it is no JSON), `raw` the bytes."""
    from confluent_kafka import TopicPartition

    consumer = _consumer(bootstrap)
    try:
        ends = {p: high for p, low, high in _ends(consumer, topic) if high > low}
        consumer.assign([TopicPartition(topic, p, 0) for p in ends])
        messages, reached = [], dict.fromkeys(ends, 0)

        def done():
            for message in consumer.consume(1000, timeout=0.2):
                if message.error():
                    raise StackError(str(message.error()))
                if message.offset() < ends[message.partition()]:
                    messages.append(_decode(message))
            # A compacted or transactional topic has holes, so positions tell the end, not the messages.
            for position in consumer.position([TopicPartition(topic, p) for p in ends]):
                reached[position.partition] = max(reached[position.partition], position.offset)
            return all(reached[p] >= end for p, end in ends.items())

        if ends:
            wait_until(done, timeout, f"reading {topic}", interval=0)
        return messages
    finally:
        consumer.close()


def _decode(message):
    raw = message.value()
    try:
        value = json.loads(raw) if raw is not None else None
    except ValueError:
        value = None
    key = message.key()
    return {
        "partition": message.partition(),
        "offset": message.offset(),
        "time": message.timestamp()[1] / 1000,
        "key": key.decode("utf-8", "replace") if key is not None else None,
        "value": value,
        "raw": raw,
    }


def produce(bootstrap, topic, messages, timeout=30):
    """Produces (key, value) pairs; value: bytes, text, or anything JSON.  Returns when all are acknowledged."""
    from confluent_kafka import Producer

    producer = Producer(
        {"bootstrap.servers": bootstrap, "linger.ms": 5, "acks": "all", "log_level": 2}, logger=_quiet()
    )
    failures = []

    def delivered(error, _message):
        if error is not None:
            failures.append(error)

    for key, value in messages:
        if value is not None and not isinstance(value, (bytes, str)):
            value = json.dumps(value)
        while True:
            try:
                producer.produce(topic, value=value, key=key, on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    if producer.flush(timeout) or failures:
        raise StackError(f"producing to {topic}: {failures[:3] or 'time-out'}")


def group_lag(bootstrap, group, topics):
    """What `group` has not committed yet, over `topics`; a partition without a commit counts whole."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "log_level": 2}, logger=_quiet())
    try:
        lag = 0
        for topic in topics:
            ends = _ends(consumer, topic)
            for position in consumer.committed([TopicPartition(topic, p) for p, _, _ in ends], timeout=10):
                low, high = next((low, high) for p, low, high in ends if p == position.partition)
                lag += high - (position.offset if position.offset >= 0 else low)
        return lag
    finally:
        consumer.close()


def group_shares(bootstrap, group):
    """How many partitions each member of `group` has, in order; None while the group is between two assignments."""
    from confluent_kafka import ConsumerGroupState

    client = admin(bootstrap)  # which has to live until it has answered
    told = client.describe_consumer_groups([group], request_timeout=10)[group].result(15)
    if told.state != ConsumerGroupState.STABLE:
        return None
    return sorted(len(member.assignment.topic_partitions) for member in told.members)
