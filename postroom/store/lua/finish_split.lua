-- finish_split: the source is read to its end.
-- KEYS[1] campaign   KEYS[2] pages   KEYS[3] due   KEYS[4] rows
-- ARGV     fence, 1 when the batches were held back until now, then in all:
--          invalid, duplicate, rows read; then what to note about bad rows
-- Returns  'SPLIT' · 'LOST'
local campaign, pages, due, rows = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

local has = redis.call('HMGET', campaign, 'split_fence', 'split')
if has[1] ~= ARGV[1] then return 'LOST' end
if has[2] ~= '1' then
  for i = 6, #ARGV do redis.call('RPUSH', rows, ARGV[i]) end
  redis.call('HSET', campaign, 'split', '1', 'split_owner', '', 'invalid', ARGV[3],
    'duplicate', ARGV[4], 'cursor', ARGV[5])
  redis.call('UNLINK', pages)
  if ARGV[2] == '1' then
    for _, n in ipairs(redis.call('ZRANGE', due, 0, -1)) do redis.call('ZADD', due, 0, n) end
  end
end
return 'SPLIT'
