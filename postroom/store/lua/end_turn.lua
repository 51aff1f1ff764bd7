-- end_turn: a released batch has come back: make room, and charge what it really sent.
-- KEYS[1] out   KEYS[2] turns   KEYS[3] routes
-- ARGV     account|lane|campaign|batch, campaign, recipients sent
-- Returns  1 when the batch was counted as out
local id, sent = ARGV[2], tonumber(ARGV[3])
local was_out = redis.call('ZREM', KEYS[1], ARGV[1])
if was_out == 1 and redis.call('ZSCORE', KEYS[2], id) then
  local weight, size = string.match(redis.call('HGET', KEYS[3], id) or '', '|([%d%.]+)|(%d+)$')
  redis.call('ZINCRBY', KEYS[2], (sent - (tonumber(size) or 500)) / (tonumber(weight) or 1), id)
end
return was_out
