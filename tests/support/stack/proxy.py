"""TCP proxies on loopback: between a program and Redis, Kafka or the tap, to slow its calls down, to count them, and to
do something right before one of them, such as killing the program."""

import select
import socket
import socketserver
import threading
import time

CHUNK = 1 << 16


def _command_end(data):
    """Where the first command (RESP: "*COUNT", then "$LENGTH" and so many bytes, each line ended by CR LF) ends; 0: not yet."""
    line = data.find(b"\r\n")
    if line < 0:
        return 0
    end = line + 2
    for _ in range(int(data[1:line])):
        line = data.find(b"\r\n", end)
        if line < 0:
            return 0
        end = line + 2 + int(data[end + 1 : line]) + 2
    return end if end <= len(data) else 0


def redis_calls(data):
    """Whole commands, of which several threads' may come at once, and what has not arrived wholly yet."""
    calls = []
    while end := _command_end(data):
        calls.append(data[:end])
        data = data[end:]
    return calls, data


def http_calls(data):
    return [data], b""


def kafka_calls(data):
    """Whole requests (4 bytes of length before each), and what has not arrived wholly yet."""
    calls = []
    while len(data) >= 4:
        size = 4 + int.from_bytes(data[:4], "big")
        if len(data) < size:
            break
        calls.append(data[:size])
        data = data[size:]
    return calls, data


class Proxy:
    """Forwards 127.0.0.1:`port` to the target.  Before a call goes on, `watch(call)` is asked: False cuts the connection.

    `delay`: seconds that each answer is held back."""

    def __init__(self, target_port, split=redis_calls, watch=None, port=0):
        self.target_port, self.split, self.watch, self.delay = target_port, split, watch, 0.0
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                try:
                    outer._serve(self.request)
                except OSError:
                    pass

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address, daemon_threads, request_queue_size = True, True, 128

        self.server = Server(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def _serve(self, client):
        with socket.create_connection(("127.0.0.1", self.target_port)) as target:
            for end in (client, target):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            rest = b""
            while True:
                ready, _, _ = select.select([client, target], [], [])
                if target in ready:
                    data = target.recv(CHUNK)
                    if not data:
                        return
                    if self.delay:
                        time.sleep(self.delay)
                    client.sendall(data)
                if client in ready:
                    data = client.recv(CHUNK)
                    if not data:
                        return
                    calls, rest = self.split(rest + data)
                    for call in calls:
                        if self.watch and not self.watch(call):
                            return
                        target.sendall(call)
