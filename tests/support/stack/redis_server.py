"""Debian's redis-server on a port of its own; what it holds survives stop() and start()."""

from pathlib import Path

from .process import Process, free_port


class RedisServer:
    def __init__(self, directory, append_only=False, arguments=()):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self.append_only, self.arguments = append_only, list(arguments)
        self.process = None

    def launch(self):
        # A save point that is never reached while running makes SIGTERM write the data set.
        self.process = Process(
            "redis",
            ["redis-server", "--port", self.port, "--bind", "127.0.0.1", "--dir", self.directory]
            + ["--save", "86400 1", "--appendonly", "yes" if self.append_only else "no", "--appendfsync", "everysec"]
            + [
                "--maxmemory-policy",
                "noeviction",
                "--protected-mode",
                "no",
                "--daemonize",
                "no",
                "--loglevel",
                "notice",
            ]
            + self.arguments,
            self.directory / "redis.log",
        ).start()

    def wait_ready(self, timeout=20):
        self.process.wait_for(lambda: self.client().ping(), timeout, "ready")

    def start(self, timeout=20):
        if self.process is None or not self.process.running():
            self.launch()
        self.wait_ready(timeout)
        return self

    def client(self, **options):
        """A redis.Redis whose answers are text."""
        import redis

        return redis.Redis(port=self.port, decode_responses=True, socket_timeout=5, **options)

    def answers(self):
        """Is it there, and neither hung nor full of a script?"""
        import redis

        try:
            return self.client().ping()
        except redis.RedisError:
            return False

    def stop(self):
        """Saves and ends."""
        if self.process:
            self.process.terminate(10)

    def kill(self):
        """Ends without saving: what was not on disk is lost."""
        self.process.kill()

    def suspend(self):
        """Stops answering, as a hung machine does; connections stay open."""
        self.process.suspend()

    def resume(self):
        self.process.resume()

    def keys(self, pattern="parapet:*"):
        return sorted(self.client().scan_iter(pattern, count=1000))


class ReplicatedRedis(RedisServer):
    """A master, a replica and a real Sentinel over both; `url` is Sentinel's, and client() finds whoever is master."""

    NAME = "fleet"

    def __init__(self, directory, append_only=False, arguments=()):
        super().__init__(directory, append_only, arguments)
        self.replica = RedisServer(self.directory / "replica", append_only, ["--replicaof", "127.0.0.1", self.port])
        self.sentinel_port, self.sentinel = free_port(), None
        self.url = f"redis+sentinel://127.0.0.1:{self.sentinel_port}/{self.NAME}"

    def launch(self):
        super().launch()
        self.replica.launch()
        settings = self.directory / "sentinel.conf"
        settings.write_text(
            f"port {self.sentinel_port}\nbind 127.0.0.1\ndir {self.directory}\n"
            f"sentinel monitor {self.NAME} 127.0.0.1 {self.port} 1\n"
            f"sentinel down-after-milliseconds {self.NAME} 500\nsentinel failover-timeout {self.NAME} 4000\n"
        )
        command = ["redis-server", settings, "--sentinel"]
        self.sentinel = Process("sentinel", command, self.directory / "sentinel.log").start()

    def _sentinel(self):
        import redis

        return redis.Redis(port=self.sentinel_port, decode_responses=True, socket_timeout=5)

    def wait_ready(self, timeout=20):
        """Until Sentinel knows the replica, and that is in step: before, nobody could be promoted."""
        super().wait_ready(timeout)
        self.replica.wait_ready(timeout)
        self.sentinel.wait_for(lambda: len(self._sentinel().sentinel_slaves(self.NAME)) == 1, 30, "aware of the replica")
        link = lambda: self.replica.client().info("replication")["master_link_status"] == "up"  # noqa: E731
        self.replica.process.wait_for(link, 30, "in step")

    def client(self, **options):
        import redis

        port = self.port
        if self.sentinel is not None and self.sentinel.running():
            port = int(self._sentinel().sentinel_get_master_addr_by_name(self.NAME)[1])
        return redis.Redis(port=port, decode_responses=True, socket_timeout=5, **options)

    def fail_over(self, timeout=60):
        """The master dies without a word; returns when the replica has been promoted."""
        self.kill()
        port = self.replica.port
        promoted = lambda: int(self._sentinel().sentinel_get_master_addr_by_name(self.NAME)[1]) == port  # noqa: E731
        self.sentinel.wait_for(promoted, timeout, "done with the failover")
        self.replica.process.wait_for(lambda: self.replica.client().info("replication")["role"] == "master", timeout, "master")

    def stop(self):
        if self.sentinel:
            self.sentinel.kill()
        super().stop()
        self.replica.stop()
