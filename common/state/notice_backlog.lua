-- KEYS: guard, notices, notices-sending.  How many digests there are, those that are being sent included.
return redis.call('ZCARD', KEYS[2]) + redis.call('ZCARD', KEYS[3])
