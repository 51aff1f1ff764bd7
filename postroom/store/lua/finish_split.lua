-- finish_split: the source is read to its end. A campaign with nobody left to mail is finished.
-- KEYS[1] campaign  [2] pages  [3] batches  [4] ledger  [5] leases  [6] due  [7] reasons  [8] rows
-- ARGV     fence, retention seconds, 1 when the batches were held back until now, then in all:
--          invalid, duplicate, rows read; then what to note about bad rows
-- Returns  'SPLIT' · 'FINISHED' · 'LOST'
local campaign, pages, due, rows = KEYS[1], KEYS[2], KEYS[6], KEYS[8]

local has = redis.call('HMGET', campaign, 'split_fence', 'split', 'pending', 'sending', 'finished_at')
if has[1] ~= ARGV[1] then return 'LOST' end
local open = tonumber(has[3] or '0') + tonumber(has[4] or '0')
if has[2] ~= '1' then
  for i = 7, #ARGV do redis.call('RPUSH', rows, ARGV[i]) end
  redis.call('HSET', campaign, 'split', '1', 'split_owner', '', 'invalid', ARGV[4],
    'duplicate', ARGV[5], 'cursor', ARGV[6])
  redis.call('UNLINK', pages)
  if ARGV[3] == '1' then
    for _, n in ipairs(redis.call('ZRANGE', due, 0, -1)) do redis.call('ZADD', due, 0, n) end
  end
end
if open > 0 then return 'SPLIT' end
if has[5] == '' then
  local time = redis.call('TIME')
  local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
  redis.call('HSET', campaign, 'finished_at', string.format('%.3f', now))
  redis.call('DEL', due)
  for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, ARGV[2]) end
end
return 'FINISHED'
