-- place_out: turn tickets into released batches; a ticket without a batch makes room again.
-- KEYS[1] out   ARGV  seconds until a released batch counts no more, then pairs: ticket,
--          account|lane|campaign|batch or '' for none
-- Returns  batches out
local time = redis.call('TIME')
local lapses = tonumber(time[1]) + tonumber(ARGV[1])
for i = 2, #ARGV, 2 do
  redis.call('ZREM', KEYS[1], ARGV[i])
  if ARGV[i + 1] ~= '' then redis.call('ZADD', KEYS[1], lapses, ARGV[i + 1]) end
end
return redis.call('ZCARD', KEYS[1])
