-- begin_turn: a released batch is taken up. One that is out no more, for its message came twice or
-- after its time, is out again and charged to its campaign as a pick charges it.
-- KEYS[1] out   KEYS[2] turns   KEYS[3] routes
-- ARGV     account|lane|campaign|batch, campaign, seconds until it counts no more
-- Returns  1 when the batch was not out
local id, time = ARGV[2], redis.call('TIME')
local added = redis.call('ZADD', KEYS[1], tonumber(time[1]) + tonumber(ARGV[3]), ARGV[1])
if added == 1 and redis.call('ZSCORE', KEYS[2], id) then
  local weight, size = string.match(redis.call('HGET', KEYS[3], id) or '', '|([%d%.]+)|(%d+)$')
  redis.call('ZINCRBY', KEYS[2], (tonumber(size) or 500) / (tonumber(weight) or 1), id)
end
return added
