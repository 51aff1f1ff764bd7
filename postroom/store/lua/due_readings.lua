-- due_readings: which accounts are to be read from SES now, longest due first.
-- KEYS[1] readings
-- ARGV     how many to pass by, how many at most
-- Returns  {account, account, ...}
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', ARGV[1], ARGV[2])
