-- begin_turn: a released batch is taken up. One that is out no more, for its message came twice or
-- after its time, is out again and charged to its mailing as a pick charges it. Were its worker to
-- die, its mailing wakes when the lease is over, be it asleep until later.
-- KEYS[1] out   KEYS[2] going   KEYS[3] line   KEYS[4] routes   KEYS[5] clocks   KEYS[6] asleep
-- ARGV     account|lane|mailing|batch, mailing, seconds until it counts no more
-- Returns  1 when the batch was not out
local out, going, line, routes, clocks, asleep = unpack(KEYS)
local id, time = ARGV[2], redis.call('TIME')
local lapses = tonumber(time[1]) + tonumber(time[2]) / 1e6 + tonumber(ARGV[3])
redis.call('ZADD', asleep, 'XX', 'LT', lapses, id)
if redis.call('ZADD', out, lapses, ARGV[1]) == 0 then return 0 end
local clock = string.match(ARGV[1], '^[^|]+|[^|]+')
redis.call('HINCRBY', going, clock, 1)
redis.call('HINCRBY', going, id, 1)
local turn = redis.call('HGET', clocks, id)
if turn and redis.call('ZREM', line, clock .. '|' .. turn .. '|' .. id) == 1 then
  local weight, size = string.match(redis.call('HGET', routes, id) or '', '|([%d%.]+)|(%d+)$')
  turn = string.format('%023.6f', tonumber(turn) + (tonumber(size) or 500) / (tonumber(weight) or 1))
  redis.call('HSET', clocks, id, turn)
  redis.call('ZADD', line, 0, clock .. '|' .. turn .. '|' .. id)
end
return 1
