-- KEYS: guard, accounts:list.  Somebody looks for an account that is not in the list: the next one is wanted soon.
-- The time of the question: a list begun no earlier is the answer.
redis.call('HSET', KEYS[2], 'asked', now)
return now
