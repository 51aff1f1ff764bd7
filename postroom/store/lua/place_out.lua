-- place_out: turn tickets into released batches; a ticket without a batch makes room again.
-- KEYS[1] out   KEYS[2] going   KEYS[3] ready   KEYS[4] spent
-- ARGV     seconds until a released batch counts no more, then pairs: ticket,
--          account|lane|mailing|batch or '' for none
-- Returns  batches out
local out, going, ready, spent = unpack(KEYS)
local time = redis.call('TIME')
local lapses = tonumber(time[1]) + tonumber(time[2]) / 1e6 + tonumber(ARGV[1])

local function count(clock, id, more)
  for _, field in ipairs({clock, id}) do
    if redis.call('HINCRBY', going, field, more) <= 0 then redis.call('HDEL', going, field) end
  end
end

for i = 2, #ARGV, 2 do
  local more = -redis.call('ZREM', out, ARGV[i])
  if ARGV[i + 1] ~= '' then more = more + redis.call('ZADD', out, lapses, ARGV[i + 1]) end
  local clock, id = string.match(ARGV[i], '^([^|]+|[^|]+)|(.*)|[^|]*$')
  if clock and more ~= 0 then count(clock, id, more) end
  if clock and more < 0 then
    redis.call('ZADD', ready, 'NX', redis.call('HGET', spent, clock) or 0, string.match(clock, '^[^|]+'))
  end
end
return redis.call('ZCARD', out)
