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
        answer = await reader.read(-1)
    finally:
        writer.close()
    head, _, payload = answer.partition(b"\r\n\r\n")
    status, *fields = head.decode("latin-1").split("\r\n")
    parsed = {}
    for field in fields:
        name, _, value = field.partition(":")
        parsed[name.lower()] = value.strip()
    if method != "HEAD" and "content-length" in parsed and int(parsed["content-length"]) != len(payload):
        raise ValueError(f"{len(payload)} of {parsed['content-length']} bytes")
    return int(status.split()[1]), parsed, payload
