-- How an action ended, told to all its scopes.
-- KEYS: guard, breakers, then for each scope: its state, its outcomes (the last ones, ACTION|1 when it failed).
-- ARGV: guard, action, 1: it failed, then for each scope: its name, how many failures open it (0: none do), of how many.
-- {scope, its new state, why, limit, window in ms, …} of the scopes that this changed
local action, failed = ARGV[2], ARGV[3] == '1'
local answer = {}

local function change(scope, state, by, reason)
  for _, field in ipairs(redis.call('HKEYS', scope.state_key)) do
    if string.sub(field, 1, 6) == 'probe:' or field == 'probes' then
      redis.call('HDEL', scope.state_key, field)
    end
  end
  redis.call('HSET', scope.state_key, 'state', state, 'opened', state == 'open' and now or 0, 'by', by, 'reason', reason)
  if state == 'open' then
    redis.call('PERSIST', scope.state_key)
  else
    redis.call('PEXPIRE', scope.state_key, 86400000)
  end
  redis.call('ZADD', KEYS[2], now, scope.name)
  local limit = redis.call('HMGET', scope.state_key, 'limit', 'window_ms')
  for _, value in ipairs({scope.name, state, reason, limit[1] or '0', limit[2] or '0'}) do
    answer[#answer + 1] = value
  end
end

-- A probe of a half-open scope: the first that fails opens it again, the last that passes closes it.
local function settle_probe(scope)
  if redis.call('HEXISTS', scope.state_key, 'probe:' .. action) == 0 then
    return
  end
  if failed then
    return change(scope, 'open', 'probe', 'the probe ' .. action .. ' failed')
  end
  redis.call('HSET', scope.state_key, 'probe:' .. action, 'passed')
  local passed, fields = 0, redis.call('HGETALL', scope.state_key)
  for i = 1, #fields, 2 do
    if string.sub(fields[i], 1, 6) == 'probe:' and fields[i + 1] == 'passed' then
      passed = passed + 1
    end
  end
  local wanted = tonumber(redis.call('HGET', scope.state_key, 'probes') or 1)
  if passed >= wanted then
    redis.call('DEL', scope.outcomes_key)
    change(scope, 'closed', 'probe', passed .. ' probes passed')
  end
end

local function count_outcome(scope, failures, of)
  local before = redis.call('LRANGE', scope.outcomes_key, 0, of - 1)
  local bad = failed and 1 or 0
  for i, outcome in ipairs(before) do
    if outcome == action .. '|0' or outcome == action .. '|1' then
      return
    end
    if i < of and string.sub(outcome, -2) == '|1' then
      bad = bad + 1
    end
  end
  redis.call('LPUSH', scope.outcomes_key, action .. (failed and '|1' or '|0'))
  redis.call('LTRIM', scope.outcomes_key, 0, of - 1)
  redis.call('PEXPIRE', scope.outcomes_key, 86400000)
  if failed and bad >= failures and (redis.call('HGET', scope.state_key, 'state') or 'closed') == 'closed' then
    redis.call('DEL', scope.outcomes_key)
    change(scope, 'open', 'failures', bad .. ' of the last ' .. of .. ' actions failed')
  end
end

for key = 3, #KEYS, 2 do
  local at = 4 + (key - 3) / 2 * 3
  local scope = {name = ARGV[at], state_key = KEYS[key], outcomes_key = KEYS[key + 1]}
  if redis.call('HGET', scope.state_key, 'state') == 'half-open' then
    settle_probe(scope)
  elseif tonumber(ARGV[at + 1]) > 0 then
    count_outcome(scope, tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]))
  end
end
return answer
