-- leave_split: give a producer's lease back, so that another can go on; or halt the campaign.
-- KEYS[1] campaign   KEYS[2] rows
-- ARGV     fence, reason of the halt or ''; where the source was read to its end, in all:
--          invalid, duplicate, rows read; then what to note about bad rows
-- Returns  1, or 0 when another producer has taken over
if redis.call('HGET', KEYS[1], 'split_fence') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'split_owner', '', 'split_until', '0')
if ARGV[2] ~= '' then
  redis.call('HSET', KEYS[1], 'halted', ARGV[2])
  log_event(KEYS[1], 'halted', '', ARGV[2])
end
if ARGV[3] then
  redis.call('HSET', KEYS[1], 'invalid', ARGV[3], 'duplicate', ARGV[4], 'cursor', ARGV[5])
end
for i = 6, #ARGV do redis.call('RPUSH', KEYS[2], ARGV[i]) end
return 1
