"""Values that fit a shape of botocore's models: parameters and results, the same ones for the same seed.

Values are what botocore takes and gives: str, int, float, bool, bytes, datetime (UTC), dict, list.
"""

import datetime
import random

CEILING = 250  # values in one tree: some shapes would fill a page a parameter
DEPTH = 8
SURPRISES = (  # what encodings get wrong
    "a b", "x/y", "ü€𝄞", "<&>\"'", "50%", "a+b=c&d", "~._-*()!", "q?r#s", "a,b;c:d", "back\\slash", "${x}", "é\u2028",
)
WORDS = "alpha bravo charlie delta echo foxtrot golf hotel".split()
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


class Values:
    """One tree of values.  `optional`: how likely a member that may be absent is there (nested ones less and less)."""

    def __init__(self, seed, optional, answers=False, fixed=None):
        self.random, self.optional, self.answers = random.Random(seed), optional, answers
        self.left, self.fixed = CEILING, fixed or {}

    def of(self, shape, depth=0):
        self.left -= 1
        kind = shape.type_name
        if kind == "structure":
            return self.document() if shape.is_document_type else self.structure(shape, depth)
        if kind == "list":
            return [self.of(shape.member, depth + 1) for _ in range(self.count(shape, depth))]
        if kind == "map":
            return {self.key(shape.key, number): self.of(shape.value, depth + 1) for number in range(self.count(shape, depth))}
        return getattr(self, kind, self.string)(shape)

    # ---- what holds others ----

    def structure(self, shape, depth):
        required = () if self.answers else shape.required_members
        names = list(shape.members)
        if shape.is_tagged_union:
            return self.union(shape, depth)
        wanted = [name for name in names if name in required or name in self.fixed or self.wants(shape.members[name], depth)]
        chosen = [name for name in wanted if self.fixed.get(name, "") is not None]
        return {name: self.member(name, shape.members[name], depth) for name in chosen}

    def union(self, shape, depth):
        """Exactly one member: the least deep of a few, or it would never end."""
        names = list(shape.members)
        few = self.random.sample(names, min(4, len(names)))
        name = min(few, key=lambda one: shape.members[one].type_name in ("structure", "list", "map")) if depth > 2 else few[0]
        return {name: self.member(name, shape.members[name], depth)}

    def member(self, name, shape, depth):
        location = shape.serialization.get("location")
        if name in self.fixed and shape.type_name == "string":
            return self.fixed[name]
        if is_json_header(shape):
            return self.document()
        if location == "statusCode":
            return self.random.choice((200, 201, 202, 206))
        if location in ("header", "headers", "uri", "querystring") or shape.serialization.get("hostLabel"):
            return self.located(shape, location, depth)
        return self.of(shape, depth + 1)

    def wants(self, shape, depth):
        if shape.serialization.get("eventstream") or depth >= DEPTH or self.left <= 0:
            return False
        if self.answers and shape.serialization.get("location") == "statusCode":
            return True
        if self.answers and shape.serialization.get("name", "").startswith("x-amz-checksum-"):
            return False  # botocore would verify it
        return self.random.random() < self.optional / (1 + max(0, depth - 1) / 2)

    def count(self, shape, depth):
        least = shape.metadata.get("min", 0) if not self.answers and shape.type_name == "list" else 0
        wanted = self.random.choice((0, 1, 1, 2, 3)) if self.left > 0 and depth < DEPTH else 0
        return max(wanted, least)

    # ---- what goes into paths, queries and headers ----

    def located(self, shape, location, depth):
        if shape.serialization.get("hostLabel"):
            return self.padded(shape, f"label-{self.random.randrange(1000)}")
        if shape.type_name == "list":
            return [self.located(shape.member, location, depth) for _ in range(max(1, self.count(shape, depth)))]
        if shape.type_name == "map":
            return {f"{word}-{number}": self.located(shape.value, location, depth) for number, word in enumerate(self.words(2))}
        if shape.type_name != "string":
            return self.of(shape, depth)
        if location in ("header", "headers"):
            return self.choice_or(shape, self.padded(shape, self.random.choice(("one", "two words", "a;b=c", "x/y-z", "(1)"))))
        return self.string(shape) or "label"

    # ---- scalars ----

    def string(self, shape):
        return self.choice_or(shape, self.padded(shape, self.text()))

    character = string

    def choice_or(self, shape, otherwise):
        enum = shape.metadata.get("enum")
        return self.random.choice(list(enum)) if enum else otherwise

    def padded(self, shape, text):
        least = shape.metadata.get("min", 0)
        return text + "p" * (min(least, 4096) - len(text)) if isinstance(least, int) else text

    def text(self):
        if self.random.random() < 0.3:
            return self.random.choice(WORDS) + self.random.choice(SURPRISES)
        return "-".join(self.words(self.random.randrange(1, 3)))

    def words(self, count):
        return self.random.sample(WORDS, count)

    def key(self, shape, number):
        enum = shape.metadata.get("enum")
        return list(enum)[number % len(enum)] if enum else self.padded(shape, f"{self.text()}-{number}")

    def integer(self, shape):
        return self.within(shape, self.random.choice((0, 1, -1, 7, 443, 65535, 2**31 - 1)))

    def long(self, shape):
        return self.within(shape, self.random.choice((0, 1, -5, 1700000000000, 2**53 + 1, 2**63 - 1)))

    def within(self, shape, number):
        return max(number, shape.metadata.get("min", number)) if not self.answers else number

    def float(self, shape):
        return self.within(shape, self.random.choice((0.0, 1.5, -2.25, 0.1, 1e21, 1.5e-7, 123456789.125, 3.0)))

    double = float

    def boolean(self, shape):
        return self.random.random() < 0.5

    def timestamp(self, shape):
        seconds = self.random.choice((0, 1, 951782400, 1422172800, 1700000000, 4102444799))
        return EPOCH + datetime.timedelta(seconds=seconds, milliseconds=self.random.choice((0, 0, 1, 250, 999)))

    def blob(self, shape):
        return self.text().encode()

    def document(self):
        return self.random.choice(({"a": [1, None, {"b": "ü"}]}, {"x": True, "y": 1.5}, {}, {"deep": {"er": {"est": []}}}))


def is_json_header(shape):
    return bool(shape.serialization.get("jsonvalue")) and shape.serialization.get("location") == "header"


def as_json(value):
    """What the conformance program takes and gives in the value's place: blobs as text, times as epoch seconds."""
    if isinstance(value, dict):
        return {key: as_json(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [as_json(inner) for inner in value]
    if isinstance(value, datetime.datetime):
        seconds = (value - EPOCH) / datetime.timedelta(microseconds=1) / 1e6
        return int(seconds) if seconds == int(seconds) else seconds
    if isinstance(value, (bytes, bytearray)):
        return value.decode()
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
    return value
