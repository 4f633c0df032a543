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
