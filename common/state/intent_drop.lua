-- KEYS: guard, intents.  ARGV: guard, subject, action ('': whatever it is).  1: it was there.
-- An action that somebody began since is not the caller's to end.
if ARGV[3] ~= '' then
  local ok, intent = pcall(cjson.decode, redis.call('HGET', KEYS[2], ARGV[2]) or 'null')
  if ok and type(intent) == 'table' and intent.action ~= ARGV[3] then
    return 0
  end
end
return redis.call('HDEL', KEYS[2], ARGV[2])
