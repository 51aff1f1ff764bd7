-- wake_campaign: put a campaign in line for its turn. One that was away starts no earlier than
-- those that are being served now, so it can neither monopolise nor be made to wait for them.
-- KEYS[1] turns   KEYS[2] routes   KEYS[3] asleep   KEYS[4] wakes   KEYS[5] clocks
-- ARGV     campaign, route (account|lane|weight|batch size), account|lane
-- Returns  the number of this wake: no other has the same. An error for a weight that is not
--          written with digits, above 0
local turns, routes, asleep, wakes, clocks = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local id, route, clock = ARGV[1], ARGV[2], ARGV[3]

-- As pick_turns and end_turn read it. An endless weight would end fairness for all.
local weight = tonumber(string.match(route, '|([%d%.]+)|%d+$') or '') or 0
if weight <= 0 or weight == math.huge then return redis.error_reply('no weight to reckon with: ' .. route) end

redis.call('HSET', routes, id, route)
redis.call('ZREM', asleep, id)
if not redis.call('ZSCORE', turns, id) then
  local spent = tonumber(redis.call('HGET', clocks, id) or '') or 0
  local served = tonumber(redis.call('HGET', clocks, clock) or '') or 0
  redis.call('HSETNX', clocks, clock, 0)
  redis.call('ZADD', turns, math.max(spent, served), id)
end
local wake = redis.call('HINCRBY', wakes, '', 1)
redis.call('HSET', wakes, id, wake)
return wake
