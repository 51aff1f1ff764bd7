-- keep_lock: whoever holds a lock holds it for so much longer. One that lapsed is lost for good.
-- KEYS[1] lock   ARGV  owner, milliseconds
-- Returns  1 when it is still the owner's, else 0
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
