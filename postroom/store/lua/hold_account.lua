-- hold_account: nothing of an account and lane goes for a while; or what holds it ends now. A hold
-- that lasts longer stands.
-- KEYS[1] hold   KEYS[2] held   KEYS[3] ready   KEYS[4] spent
-- ARGV     account, lane, seconds until it may go (0: now), seconds until somebody looks, reason
-- Returns  1 when it is held as asked
local hold, held, ready, spent = unpack(KEYS)
local account, clock, seconds, look = ARGV[1], ARGV[1] .. '|' .. ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
if seconds <= 0 then
  redis.call('DEL', hold)
  redis.call('ZREM', held, clock)
  redis.call('ZADD', ready, 'NX', redis.call('HGET', spent, clock) or 0, account)
  return 1
end
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
local stands = string.match(redis.call('GET', hold) or '', '^([%d%.]+)|')
-- One answer an account: what it waits for longer is still to come.
if stands and tonumber(stands) > now + seconds and redis.call('ZSCORE', held, clock) then return 0 end
redis.call('SET', hold, string.format('%.3f', now + seconds) .. '|' .. ARGV[5], 'PX', math.max(1, math.floor(look * 1000)))
redis.call('ZADD', held, now + look, clock)
redis.call('ZREM', ready, account)
return 1
