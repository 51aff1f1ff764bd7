-- delay_reading: an account is to be read from SES so many seconds from now, not when it was due.
-- KEYS[1] readings
-- ARGV     account, seconds
-- Returns  nothing
local time = redis.call('TIME')
local at = tonumber(time[1]) + tonumber(time[2]) / 1e6 + tonumber(ARGV[2])
redis.call('ZADD', KEYS[1], 'XX', string.format('%.6f', at), ARGV[1])
