"""Child processes that cannot outlive the stack, ports that two stacks never share, and waiting with a deadline."""

import concurrent.futures
import contextlib
import os
import random
import signal
import socket
import subprocess
import threading
import time
import urllib.request


class StackError(RuntimeError):
    """Something of the stack did not come up or went away; the message ends with the tail of its log."""


def wait_until(predicate, timeout, message="the condition", interval=0.05):
    """Calls `predicate` until it returns something true and returns that; an exception counts as "not yet"."""
    deadline = time.monotonic() + timeout
    problem = None
    while True:
        try:
            value = predicate()
            if value:
                return value
            problem = None
        except Exception as error:  # noqa: BLE001 - whatever the service says while it starts
            problem = error
        if time.monotonic() >= deadline:
            detail = f" (last: {problem!r})" if problem else ""
            raise TimeoutError(f"{message() if callable(message) else message} did not happen in {timeout} s{detail}")
        time.sleep(interval)


# ---- ports ----------------------------------------------------------------------------------------------------
# A port stays the stack's own while its service is stopped (a broker that is down for ten seconds comes back on the
# same port).  So ports are taken below the range that the kernel hands out, and each is claimed by an abstract Unix
# socket of that name, which the kernel releases when this process dies, however it dies.

_claims = []
_claims_lock = threading.Lock()


def free_port():
    for _ in range(2000):
        port = random.randint(20000, 32000)
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            claim.bind(f"\0parapet-test-port-{port}")
            with contextlib.closing(socket.socket()) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        with _claims_lock:
            _claims.append(claim)
        return port
    raise StackError("no free port between 20000 and 32000")


def port_answers(port):
    with contextlib.closing(socket.socket()) as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def http_get(url, timeout=2.0):
    """(status, text) of a plain GET; an HTTP error status is a result, not an exception."""
    try:
        with urllib.request.urlopen(url, timeout=timeout) as response:
            return response.status, response.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode("utf-8", "replace")


# ---- processes ------------------------------------------------------------------------------------------------
# `setpriv --pdeathsig` asks the kernel to kill the child when the thread that started it ends.  Children are therefore
# started by one thread that lives as long as this process.

_starter = concurrent.futures.ThreadPoolExecutor(max_workers=1, thread_name_prefix="stack-starter")


class Process:
    """One child in its own process group, its output in a log file."""

    def __init__(self, name, command, log, env=None, cwd=None, stdin=None):
        self.name, self.command, self.log_path = name, [str(word) for word in command], str(log)
        self.env, self.cwd, self.stdin = env, cwd, stdin
        self.child = None
        self.ended_by_us = False  # by kill() or terminate(): then its exit is no surprise

    def start(self):
        self.ended_by_us = False
        self.child = _starter.submit(self._spawn).result()
        return self

    def _spawn(self):
        with open(self.log_path, "ab") as log:
            return subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *self.command],
                stdin=self.stdin or subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.env,
                cwd=self.cwd,
                start_new_session=True,
            )

    @property
    def pid(self):
        return self.child.pid if self.child else None

    def running(self):
        return self.child is not None and self.child.poll() is None

    def signal(self, number):
        if self.running():
            self.child.send_signal(number)

    def kill(self):
        """kill -9, and waits until it is gone."""
        self.ended_by_us = self.ended_by_us or self.running()
        self._end_group(signal.SIGKILL)
        if self.child:
            self.child.wait(10)

    def terminate(self, timeout=10.0):
        """SIGTERM; after `timeout` seconds SIGKILL.  Returns the exit status (negative: the signal)."""
        if self.child is None:
            return None
        if self.running():
            self.ended_by_us = True
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
            try:
                self.child.wait(timeout)
            except subprocess.TimeoutExpired:
                pass
        self._end_group(signal.SIGKILL)
        return self.child.wait(10)

    def _end_group(self, number):
        if self.child is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.child.pid, number)

    def suspend(self):
        self.signal(signal.SIGSTOP)

    def resume(self):
        self.signal(signal.SIGCONT)

    def log(self):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as log:
                return log.read()
        except FileNotFoundError:
            return ""

    def log_tail(self, lines=20):
        return "\n".join(self.log().splitlines()[-lines:])

    def wait_for(self, predicate, timeout, what="ready"):
        """wait_until, but ends at once, with the log's tail, when the process is gone."""

        def check():
            if not self.running():
                raise StackError("gone")
            return predicate()

        deadline = time.monotonic() + timeout
        while True:
            try:
                return wait_until(check, min(1.0, timeout), f"{self.name} {what}")
            except TimeoutError as error:
                if not self.running():
                    status = self.child.returncode if self.child else None
                    raise StackError(f"{self.name} ended (status {status})\n{self.log_tail()}") from None
                if time.monotonic() >= deadline:
                    raise StackError(f"{error}\n{self.log_tail()}") from None

    def memory_kib(self):
        """Resident memory now and at its peak, KiB."""
        values = {}
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            for line in status:
                if line.startswith(("VmRSS:", "VmHWM:")):
                    values[line.split(":")[0]] = int(line.split()[1])
        return values.get("VmRSS", 0), values.get("VmHWM", 0)


def start_janitor(directory):
    """Removes `directory` once this process is gone, also after kill -9: it waits on a pipe that only we hold open.

    Its shell ignores the terminal's signals, and it waits a moment for children that the kernel is still ending."""
    script = (
        'trap "" INT TERM HUP; cat >/dev/null; '
        'for i in 1 2 3 4 5 6 7 8 9 10; do rm -rf -- "$1" 2>/dev/null; [ -e "$1" ] || exit 0; sleep 0.3; done'
    )
    return subprocess.Popen(
        ["sh", "-c", script, "parapet-stack-janitor", str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
