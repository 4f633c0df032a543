"""HTTP towards moto: one connection a request, as moto closes them anyway."""

import asyncio

LIMIT = 64 * 1024 * 1024


class UpstreamGone(Exception):
    """moto did not answer."""


async def fetch(port, method, target, headers, body, timeout=120):
    """(status, {lower-case name: value}, body)"""
    try:
        return await asyncio.wait_for(_fetch(port, method, target, headers, body), timeout)
    except (OSError, ValueError, IndexError, asyncio.IncompleteReadError, asyncio.TimeoutError) as error:
        raise UpstreamGone(f"{type(error).__name__}: {error}") from error


async def _fetch(port, method, target, headers, body):
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=LIMIT)
    try:
        lines = [f"{method} {target} HTTP/1.0", *(f"{name}: {value}" for name, value in headers)]
        if body or method in ("POST", "PUT"):
            lines.append(f"Content-Length: {len(body)}")
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        head = await reader.readuntil(b"\r\n\r\n")
        status, fields = _parse_head(head)
        # The length ends the answer, not the connection: werkzeug closes it some ten milliseconds later.
        if method == "HEAD":
            payload = b""
        elif "content-length" in fields:
            payload = await reader.readexactly(int(fields["content-length"]))
        else:
            payload = await reader.read(-1)
        return status, fields, payload
    finally:
        writer.close()


def _parse_head(head):
    status, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    fields = {}
    for line in lines:
        name, _, value = line.partition(":")
        fields[name.lower()] = value.strip()
    return int(status.split()[1]), fields
