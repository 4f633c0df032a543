-- KEYS: guard, a key.  1: it was there.
return redis.call('DEL', KEYS[2])
