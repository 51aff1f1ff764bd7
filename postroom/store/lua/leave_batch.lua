-- leave_batch: give a lease back. A batch with open recipients is looked at again at `wake`.
-- KEYS[1] campaign   KEYS[2] ledger   KEYS[3] leases   KEYS[4] due   KEYS[5] batches
-- KEYS[6] extents   KEYS[7] contents: of a segment
-- ARGV     batch, fence, seconds until it is looked at again, 1 when its tries were spent
-- Returns  'PARKED' · 'DONE' · 'LOST'
local campaign, ledger, leases, due = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local batches, extents, contents = KEYS[5], KEYS[6], KEYS[7]
local n, fence = ARGV[1], ARGV[2]

local holds, crashes, parks = string.match(redis.call('HGET', leases, n) or '', '^(%d+)|[^|]*|[^|]*|(%d+)|(%d+)$')
if holds ~= fence then return 'LOST' end
local unit = redis.call('HGET', campaign, 'batch_size')
local size = tonumber(string.match(redis.call('HGET', extents, n) or '', '^%d+') or unit)
local offset = tonumber(n) * tonumber(unit)
local states = redis.call('GETRANGE', ledger, offset, offset + size - 1)
if not string.find(states, '[ps]') then
  redis.call('ZREM', due, n)
  redis.call('HDEL', leases, n)
  drop_texts(n, batches, extents, contents)
  return 'DONE'
end
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
redis.call('HSET', leases, n, '0|||' .. crashes .. '|' .. tonumber(parks) + tonumber(ARGV[4]))
-- To the microsecond: rounded up, the release that follows at once would find it not yet due.
redis.call('ZADD', due, string.format('%.6f', now + tonumber(ARGV[3])), n)
return 'PARKED'
