-- warn_campaign: keep beside the books what a person should know of the recipients.
-- KEYS[1] campaign   ARGV  fence, warning
-- Returns  1, or 0 when another producer has taken over
if redis.call('HGET', KEYS[1], 'split_fence') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'warning', ARGV[2])
return 1
