-- KEYS: guard, marks.  {1: it is there, …}
local answer = {}
for i = 2, #KEYS do
  answer[i - 1] = redis.call('GET', KEYS[i]) and 1 or 0
end
return answer
