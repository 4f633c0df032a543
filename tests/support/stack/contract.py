"""schemas/redis.md against a Redis that a whole fleet has used: no key, type, lifetime or field outside its tables."""

import re
from dataclasses import dataclass
from pathlib import Path

SCHEMA = Path(__file__).resolve().parents[3] / "schemas" / "redis.md"
BATCH = 500


@dataclass(frozen=True)
class Row:
    pattern: str
    key: re.Pattern
    type: str
    lives: str
    fields: tuple  # patterns of what stands in backticks


def _pattern(text):
    """`parapet:v1:lease:<resource>`: what is in angle brackets is one character or more."""
    return re.compile("".join(".+" if part.startswith("<") else re.escape(part) for part in re.split(r"(<[^>]*>)", text)), re.S)


def read_schema(path=SCHEMA):
    rows = []
    for line in Path(path).read_text().splitlines():
        if not line.startswith("| `parapet:"):
            continue
        key, kind, lives, _, content = (cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:6])
        fields = tuple(_pattern(name) for name in re.findall(r"`([^`]*)`", content))
        rows.append(Row(key.strip("`"), _pattern(key.strip("`")), kind, lives, fields))
    return rows


def _row_of(rows, key):
    """The longest pattern that fits: `parked:units` before `parked`."""
    fitting = [row for row in rows if row.key.fullmatch(key)]
    return max(fitting, key=lambda row: len(row.pattern), default=None)


def _mistakes(row, key, kind, left, fields):
    if row is None:
        return [f"{key}: not in schemas/redis.md"]
    if kind != row.type:
        return [f"{key}: a {kind}, not a {row.type}"]
    found = []
    if row.lives.startswith("for ever") and left != -1:
        found.append(f"{key}: lives for {left} ms, not for ever")
    if row.lives.startswith("a while") and left == -1:
        found.append(f"{key}: has no TTL")
    unknown = [field for field in fields if not any(name.fullmatch(field) for name in row.fields)]
    return found + [f"{key}: field {field} is not named" for field in unknown[:3]]


def violations(client, rows=None):
    """What of this Redis is not as the document says: a list of texts, empty when all is well."""
    rows = rows or read_schema()
    keys, found = list(client.scan_iter("*", count=1000)), []
    for start in range(0, len(keys), BATCH):
        batch = keys[start : start + BATCH]
        ask = client.pipeline(transaction=False)
        for key in batch:
            ask.type(key).pttl(key)
        answers = ask.execute()
        kinds, left = answers[::2], answers[1::2]
        ask = client.pipeline(transaction=False)
        hashes = [key for key, kind in zip(batch, kinds, strict=True) if kind == "hash"]
        for key in hashes:
            ask.hkeys(key)
        fields = dict(zip(hashes, ask.execute(), strict=True))
        for key, kind, ttl in zip(batch, kinds, left, strict=True):
            if kind != "none":  # "none": it ended meanwhile
                found += _mistakes(_row_of(rows, key), key, kind, ttl, fields.get(key, ()))
    return found
