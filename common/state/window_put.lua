-- Puts a grant back into its scopes' windows, as the journal of actions tells it.
-- KEYS: guard, then a window for each scope.  ARGV: guard, action, when, ms to live (the longest window there may be).
-- One that is there is nearer to the grant than its journal: it stays.
for i = 2, #KEYS do
  redis.call('ZADD', KEYS[i], 'NX', ARGV[3], ARGV[2])
  if redis.call('PTTL', KEYS[i]) < 0 then
    redis.call('PEXPIRE', KEYS[i], ARGV[4])
  end
end
return 1
