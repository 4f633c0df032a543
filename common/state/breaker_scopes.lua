-- KEYS: guard, breakers.  ARGV: guard, the most to give.  The scopes used last come first.
return redis.call('ZREVRANGE', KEYS[2], 0, ARGV[2] - 1)
