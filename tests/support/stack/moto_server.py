"""moto as the cloud: one process, or several among which the accounts are spread."""

import os
import sys
import urllib.request
import zlib
from pathlib import Path

from .process import Process, free_port, http_get

RUNNER = Path(__file__).with_name("moto_runner.py")


def shard_of(account, shards):
    """Which of `shards` processes holds an account; the tap and the planting helper must agree."""
    return zlib.crc32(account.encode()) % shards


class Moto:
    def __init__(self, directory, processes=1, environment=None):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.ports = [free_port() for _ in range(processes)]
        self.urls = [f"http://127.0.0.1:{port}" for port in self.ports]
        self.environment = environment or {}
        self.processes = []

    def launch(self):
        env = {name: value for name, value in os.environ.items() if not name.startswith(("MOTO_", "AWS_"))}
        # The account is chosen by a header for each call, so MOTO_ACCOUNT_ID must stay unset.
        env.update(self.environment, PYTHONDONTWRITEBYTECODE="1")
        self.processes = [
            Process(
                f"moto-{index}",
                [sys.executable, RUNNER, "--port", port],
                self.directory / f"moto-{index}.log",
                env=env,
            ).start()
            for index, port in enumerate(self.ports)
        ]

    def wait_ready(self, timeout=60):
        for process, url in zip(self.processes, self.urls):
            process.wait_for(lambda url=url: http_get(f"{url}/moto-api/data.json")[0] == 200, timeout, "ready")

    def url_for(self, account):
        return self.urls[shard_of(account, len(self.urls))]

    def reset(self):
        """Empties every account."""
        for url in self.urls:
            urllib.request.urlopen(urllib.request.Request(f"{url}/moto-api/reset", method="POST"), timeout=30).read()

    def stop(self):
        for process in self.processes:
            process.terminate(3)
