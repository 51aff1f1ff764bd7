-- finish_campaign: when nothing of a campaign is open any more, date its end and let all of its
-- records expire.
-- KEYS[1] campaign  [2] pages  [3] batches  [4] ledger  [5] leases  [6] due  [7] reasons  [8] rows
--          [9] held   [10] extents  [11] contents  [12] marks
-- ARGV     retention seconds, for a campaign that has none of its own
-- Returns  {1, account, lane, idempotency key, 1 when a service must still be told of the end}
--          when the campaign is over, {1} when its records are gone, else {0}
local has = redis.call('HMGET', KEYS[1], 'pending', 'sending', 'split', 'steer', 'finished_at', 'batch_size', 'retention', 'account', 'lane', 'key', 'on_finish', 'told', 'open')
if not has[6] then return {1} end
local open = (tonumber(has[1] or '') or 0) + (tonumber(has[2] or '') or 0)
local closed = has[3] == '1' or has[4] == 'cancelled' or has[4] == 'expired'
if open > 0 or not closed then return {0} end
if has[13] and tonumber(has[13]) > tonumber(redis.call('TIME')[1]) then return {0} end  -- It takes more.
if (has[5] or '') == '' then
  local time = redis.call('TIME')
  redis.call('HSET', KEYS[1], 'finished_at', time[1] .. '.' .. string.format('%03d', math.floor(tonumber(time[2]) / 1000)))
  if has[4] ~= 'cancelled' then  -- Who cancelled it, is told already.
    log_event(KEYS[1], has[4] == 'expired' and 'expired' or 'finished', '', '', true)
  end
  if has[13] then redis.call('UNLINK', KEYS[3]) end  -- Of suppressed messages that nobody claimed.
  redis.call('UNLINK', KEYS[2], KEYS[6], KEYS[9], KEYS[10], KEYS[11])
  for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, has[7] or ARGV[1]) end
end
local waits = (has[11] or '') ~= '' and (has[12] or '') == ''
return {1, has[8] or '', has[9] or '', has[10] or '', waits and '1' or ''}
