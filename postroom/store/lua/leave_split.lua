-- leave_split: give a producer's lease back, so that another can go on; or halt the campaign.
-- KEYS[1] campaign   ARGV  fence, reason of the halt or ''
-- Returns  1, or 0 when another producer has taken over
if redis.call('HGET', KEYS[1], 'split_fence') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'split_owner', '', 'split_until', '0')
if ARGV[2] ~= '' then redis.call('HSET', KEYS[1], 'halted', ARGV[2]) end
return 1
