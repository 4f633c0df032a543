-- KEYS: guard, a string.
return redis.call('GET', KEYS[2])
