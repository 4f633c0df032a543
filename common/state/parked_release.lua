-- KEYS: guard, parked, units, released, takes.
-- ARGV: guard, guardrail ('': any), account ('': any), the first one's due time (0: now), ms between two, how many have
--       one, how many of the waiting belong to others, the most to look at, the most that get one, 1: paid for.
-- {the first one's due time, how many have one, how many belong to others, 1: there may be more}
local base, step, done, skipped = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
if base == 0 then
  base = now
end

local function is_meant(subject)
  local prefix = ARGV[2] .. '|'
  if ARGV[2] ~= '' and string.sub(subject, 1, #prefix) ~= prefix then
    return false
  end
  if ARGV[3] == '' then
    return true
  end
  local ok, unit = pcall(cjson.decode, redis.call('HGET', KEYS[3], subject) or '')
  return ok and type(unit) == 'table' and unit.account == ARGV[3]
end

local most = tonumber(ARGV[9])
local waiting = redis.call('ZRANGEBYSCORE', KEYS[2], '+inf', '+inf', 'LIMIT', skipped, ARGV[8])
for _, subject in ipairs(waiting) do
  if done >= most then
    break
  end
  if is_meant(subject) then
    redis.call('ZADD', KEYS[2], base + math.floor(done * step), subject)
    if ARGV[10] == '1' then
      redis.call('SADD', KEYS[4], subject)
    end
    done = done + 1
  else
    skipped = skipped + 1
  end
end
return {base, done, skipped, done < most and #waiting == tonumber(ARGV[8]) and 1 or 0}
