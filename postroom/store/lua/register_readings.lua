-- register_readings: a process says which accounts are to be read from SES; one that is new is
-- due at once, one that no process has named for long is forgotten.
-- KEYS[1] readings   KEYS[2] named, a sorted set account -> when a process named it last
-- ARGV     seconds until an account is forgotten, then accounts
-- Returns  how many were forgotten
local readings, named, forget = KEYS[1], KEYS[2], tonumber(ARGV[1])

local time = redis.call('TIME')
local now = tonumber(time[1])
for i = 2, #ARGV do
  redis.call('ZADD', readings, 'NX', 0, ARGV[i])
  redis.call('ZADD', named, now, ARGV[i])
end
local gone = redis.call('ZRANGEBYSCORE', named, '-inf', now - forget, 'LIMIT', 0, 1000)
for _, account in ipairs(gone) do
  redis.call('ZREM', readings, account)
  redis.call('ZREM', named, account)
end
return #gone
