"""The check of a Redis against schemas/redis.md finds what it is for."""

import pytest
from stack import contract

PLANTED = [
    # a key that nobody documented
    ("unknown", lambda r: r.set("parapet:v1:unknown", "1"), "not in schemas/redis.md"),
    # a key outside our prefix: this Redis is ours
    ("foreign", lambda r: r.set("foreign", "1"), "not in schemas/redis.md"),
    # the right key, of another type
    ("type", lambda r: r.rpush("parapet:v1:stop", "1"), "a list, not a string"),
    # what must live for ever, with a TTL: a stop that ends by itself
    ("ttl", lambda r: r.set("parapet:v1:stop", "{}", ex=60), "not for ever"),
    # what must end by itself, without one: a lease for ever
    ("no ttl", lambda r: r.hset("parapet:v1:lease:arn", "owner", "me"), "has no TTL"),
    # a field that readers do not know
    ("field", lambda r: r.hset("parapet:v1:breaker:organization", "colour", "red"), "field colour is not named"),
]


@pytest.mark.parametrize("plant,found", [row[1:] for row in PLANTED], ids=[row[0] for row in PLANTED])
def test_what_is_outside_the_contract_is_found(stack, plant, found):
    client = stack.redis.client()
    plant(client)
    assert any(found in line for line in contract.violations(client)), contract.violations(client)


def test_what_is_inside_is_not(stack):
    client = stack.redis.client()
    client.set("parapet:v1:epoch", "e")
    client.hset("parapet:v1:breaker:ssh/111111111111", mapping={"state": "closed", "limit": 20})
    client.hset("parapet:v1:lease:arn:aws:ec2:x", "owner", "me")
    client.expire("parapet:v1:lease:arn:aws:ec2:x", 60)
    assert contract.violations(client) == []
