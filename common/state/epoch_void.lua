-- The caller saw Redis go back in time: everybody has to join again.
return redis.call('DEL', KEYS[1])
