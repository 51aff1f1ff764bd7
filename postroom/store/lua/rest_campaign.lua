-- rest_campaign: take a campaign out of the line, for a while or until it is woken. One that was
-- woken since it was found to have nothing stays.
-- KEYS[1] turns   KEYS[2] routes   KEYS[3] asleep   KEYS[4] wakes   KEYS[5] clocks
-- ARGV     campaign, wakes seen ('' = whatever they are), ms to rest (-1: until it is woken)
-- Returns  1 when it rests, 0 when it stays
local turns, routes, asleep, wakes, clocks = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local id, seen, ms = ARGV[1], ARGV[2], tonumber(ARGV[3])

if seen ~= '' and (redis.call('HGET', wakes, id) or '') ~= seen then return 0 end
local spent = redis.call('ZSCORE', turns, id)
if spent then redis.call('HSET', clocks, id, spent) end
redis.call('ZREM', turns, id)
if ms < 0 then
  redis.call('ZREM', asleep, id)
  redis.call('HDEL', routes, id)
  redis.call('HDEL', wakes, id)
  if seen == '' then redis.call('HDEL', clocks, id) end
else
  local time = redis.call('TIME')
  redis.call('ZADD', asleep, tonumber(time[1]) + math.floor(tonumber(time[2]) / 1000) / 1000 + ms / 1000, id)
end
return 1
