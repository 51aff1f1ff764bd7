-- finish_split: the source is read to its end. Batches that were held back until now are due with
-- that, however many they are.
-- KEYS[1] campaign   KEYS[2] pages   KEYS[3] due   KEYS[4] rows   KEYS[5] held
-- ARGV     fence, then in all: invalid, duplicate, rows read; then what to note about bad rows
-- Returns  'SPLIT' · 'LOST'
local campaign, pages, due, rows, held = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]

local has = redis.call('HMGET', campaign, 'split_fence', 'split', 'total')
if has[1] ~= ARGV[1] then return 'LOST' end
if has[2] ~= '1' then
  for i = 5, #ARGV do redis.call('RPUSH', rows, ARGV[i]) end
  redis.call('HSET', campaign, 'split', '1', 'split_owner', '', 'invalid', ARGV[2],
    'duplicate', ARGV[3], 'cursor', ARGV[4])
  log_event(campaign, 'split', '', string.format('%s recipients, %s invalid, %s duplicate',
    has[3] or 0, ARGV[2], ARGV[3]), true)
  redis.call('UNLINK', pages)
  if redis.call('EXISTS', held) == 1 then redis.call('RENAME', held, due) end
end
return 'SPLIT'
