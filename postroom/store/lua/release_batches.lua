-- release_batches: pick batches of one mailing that are due, and look at them again only after
-- a grace: were the message about them lost, they would be released once more.
-- KEYS[1] campaign   KEYS[2] due
-- ARGV     how many, grace seconds
-- Returns  {when the next one is due, in Unix seconds, as a string (-1: none is left, -2: the mailing
--          may not send now, -3: nor ever), name of the mailing, batch, batch, ...}
local campaign, due = KEYS[1], KEYS[2]
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
local has = redis.call('HMGET', campaign, 'steer', 'halted', 'send_at', 'name', 'batch_size', 'finished_at')
local over = not has[5] or has[1] == 'cancelled' or has[1] == 'expired' or (has[6] or '') ~= ''
if over then return {'-3', ''} end
if (has[1] or '') ~= '' or (has[2] or '') ~= '' then return {'-2', ''} end
if (tonumber(has[3] or '') or 0) > now then return {has[3], ''} end
-- What a dead worker left, or was parked, goes before what nobody has begun (0): behind those it
-- would wait for the end of the campaign.
local most = tonumber(ARGV[1])
local picked = redis.call('ZRANGEBYSCORE', due, '(0', now, 'LIMIT', 0, most)
for _, n in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', 0, 'LIMIT', 0, most - #picked)) do
  table.insert(picked, n)
end
for _, n in ipairs(picked) do
  redis.call('ZADD', due, string.format('%.3f', now + tonumber(ARGV[2])), n)
end
local first = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')
table.insert(picked, 1, has[4] or '')
table.insert(picked, 1, first[2] or '-1')
return picked
