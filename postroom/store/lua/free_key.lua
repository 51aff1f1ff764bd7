-- free_key: give an idempotency key back, because its draft came to nothing.
-- KEYS[1]  key, a hash {id, digest, touched, sealed}
-- ARGV     campaign id
-- Returns  1, or 0 when the key is another's or its campaign was sealed
local has = redis.call('HMGET', KEYS[1], 'id', 'sealed')
if has[1] ~= ARGV[1] or has[2] == '1' then return 0 end
return redis.call('DEL', KEYS[1])
