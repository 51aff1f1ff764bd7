-- close_pending: settle a run of a stopped campaign's recipients who are still pending, as
-- cancelled or expired. Safe to repeat and to interrupt.
-- KEYS[1] campaign   KEYS[2] ledger   KEYS[3] due
-- ARGV     first batch, how many batches
-- Returns  {recipients closed, 1 when this run was the last} · {-1, 1} when nothing is to close
local campaign, ledger, due = KEYS[1], KEYS[2], KEYS[3]
local first, count = tonumber(ARGV[1]), tonumber(ARGV[2])

local has = redis.call('HMGET', campaign, 'steer', 'batch_size', 'batches', 'finished_at')
local code = ({cancelled = 'c', expired = 'e'})[has[1]]
if not code or has[4] ~= '' then return {-1, 1} end
local size, batches = tonumber(has[2]), tonumber(has[3] or '0')
local closed = 0
for n = first, math.min(first + count, batches) - 1 do
  local states = redis.call('GETRANGE', ledger, n * size, (n + 1) * size - 1)
  local settled, found = string.gsub(states, 'p', code)
  if found > 0 then redis.call('SETRANGE', ledger, n * size, settled) end
  -- What is being sent has a lease, and stays due until that is settled or lapses.
  if not string.find(settled, 's', 1, true) then redis.call('ZREM', due, n) end
  closed = closed + found
end
if closed > 0 then
  redis.call('HINCRBY', campaign, 'pending', -closed)
  redis.call('HINCRBY', campaign, has[1], closed)
end
return {closed, first + count >= batches and 1 or 0}
