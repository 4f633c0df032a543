"""Parapet's own programs under test."""

import os
import re
import subprocess

from .process import Process, free_port, http_get, wait_until


def environment_of(settings):
    """{"kafka.brokers": x, …} or kafka_brokers=x → PARAPET_KAFKA_BROKERS; lists joined by commas, None dropped."""
    environment = {}
    for name, value in settings.items():
        if value is None:
            continue
        if isinstance(value, (list, tuple)):
            value = ",".join(str(item) for item in value)
        if isinstance(value, bool):
            value = "true" if value else "false"
        environment["PARAPET_" + name.upper().replace(".", "_")] = str(value)
    return environment


class Program(Process):
    """A worker or collector: its process, its health and metrics, its log."""

    def __init__(self, name, command, log, env):
        self.port = free_port()
        env = {**env, "PARAPET_HTTP_ADDRESS": f"127.0.0.1:{self.port}"}
        super().__init__(name, command, log, env=env)

    def ready(self):
        return http_get(f"http://127.0.0.1:{self.port}/readyz")[0] == 200

    def readiness(self):
        """(status, text) of /readyz; (0, reason) when nobody answers."""
        try:
            return http_get(f"http://127.0.0.1:{self.port}/readyz")
        except OSError as error:
            return 0, str(error)

    def alive(self):
        return http_get(f"http://127.0.0.1:{self.port}/healthz")[0] == 200

    def wait_ready(self, timeout=60):
        self.wait_for(self.ready, timeout, "ready")
        return self

    def wait_not_ready(self, timeout=30):
        wait_until(lambda: self.readiness()[0] != 200, timeout, f"{self.name} not ready")

    def metrics(self):
        """{"name": value, 'name{label="x"}': value}"""
        text = http_get(f"http://127.0.0.1:{self.port}/metrics")[1]
        return {
            match.group(1): float(match.group(2))
            for match in re.finditer(r"(?m)^([a-zA-Z_:][^\s{]*(?:\{.*\})?)\s+(\S+)$", text)
        }

    def metric(self, name, **labels):
        """The sum over the series of `name` that carry these labels."""
        total = 0.0
        for series, value in self.metrics().items():
            if series.partition("{")[0] == name and all(
                f'{key}="{wanted}"' in series for key, wanted in labels.items()
            ):
                total += value
        return total


def run(command, env, timeout=60, check=False, stdin=None):
    """Runs the operator's command to its end: subprocess.CompletedProcess with text output."""
    done = subprocess.run(
        [str(word) for word in command], env=env, capture_output=True, text=True, timeout=timeout, input=stdin
    )
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def clean_environment():
    """Ours without what would lead Parapet or boto3 to somebody's real account."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PARAPET_", "BOTO"))}
