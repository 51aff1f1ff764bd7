-- write_batches: store the next batches of a campaign and enter them in its books, in one step.
-- Also renews the producer's lease; with no batches that is all it does. Safe to repeat. A split
-- that gets on is not what its producers died of.
-- KEYS[1] campaign   KEYS[2] batches   KEYS[3] ledger   KEYS[4] due, or held   KEYS[5] rows
-- ARGV     fence, lease seconds, number of the first batch, how many batches, ledger bytes, how
--          many of those are suppressed, then in all: invalid, duplicate, rows read, trail of the
--          addresses; then the batches; then what to note about bad rows
-- Returns  'WRITTEN' · 'LOST' when another producer has taken over · 'STOPPED' when it is over
local campaign, batches, ledger, due, rows = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local fence, first, count = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4])
local states, suppressed = ARGV[5], tonumber(ARGV[6])

local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
local has = redis.call('HMGET', campaign, 'split_fence', 'batches', 'batch_size', 'steer')
if has[1] ~= fence then return 'LOST' end
if has[4] == 'cancelled' or has[4] == 'expired' then return 'STOPPED' end
redis.call('HSET', campaign, 'split_until', string.format('%.3f', now + tonumber(ARGV[2])))
if count == 0 then return 'WRITTEN' end
local written = tonumber(has[2] or '0')
if written == first + count then return 'WRITTEN' end
if written ~= first then return 'LOST' end

for i = 1, count do
  redis.call('HSET', batches, first + i - 1, ARGV[10 + i])
  redis.call('ZADD', due, 0, first + i - 1)
end
redis.call('SETRANGE', ledger, first * tonumber(has[3]), states)
redis.call('HINCRBY', campaign, 'total', #states)
redis.call('HINCRBY', campaign, 'pending', #states - suppressed)
redis.call('HINCRBY', campaign, 'suppressed', suppressed)
redis.call('HSET', campaign, 'batches', first + count, 'split_crashes', 0,
  'invalid', ARGV[7], 'duplicate', ARGV[8], 'cursor', ARGV[9], 'trail', ARGV[10])
for i = 11 + count, #ARGV do redis.call('RPUSH', rows, ARGV[i]) end
return 'WRITTEN'
