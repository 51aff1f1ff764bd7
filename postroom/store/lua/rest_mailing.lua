-- rest_mailing: take a mailing out of the line, for a while or until it is woken. One that was
-- woken since it was found to have nothing stays.
-- KEYS[1] line   KEYS[2] routes   KEYS[3] asleep   KEYS[4] wakes   KEYS[5] clocks
-- ARGV     mailing, wakes seen ('' = whatever they are), when it is woken in Unix seconds (below 0:
--          not before somebody wakes it), 1 when it never comes back
-- Returns  1 when it rests, 0 when it stays
local line, routes, asleep, wakes, clocks = unpack(KEYS)
local id, seen, moment = ARGV[1], ARGV[2], tonumber(ARGV[3])

if seen ~= '' and (redis.call('HGET', wakes, id) or '') ~= seen then return 0 end
local clock = string.match(redis.call('HGET', routes, id) or '', '^[^|]+|[^|]+')
local turn = redis.call('HGET', clocks, id)
if clock and turn then redis.call('ZREM', line, clock .. '|' .. turn .. '|' .. id) end
if moment < 0 then
  redis.call('ZREM', asleep, id)
  redis.call('HDEL', routes, id)
  redis.call('HDEL', wakes, id)
  if ARGV[4] == '1' then redis.call('HDEL', clocks, id) end
else
  redis.call('ZADD', asleep, ARGV[3], id)
end
return 1
