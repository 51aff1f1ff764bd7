-- free_key: give an idempotency key back, because its draft came to nothing.
-- KEYS[1]  key, a hash {id, digest, touched, sealed}
-- ARGV     campaign id
-- Returns  1, or 0 when the key is another's
if redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
