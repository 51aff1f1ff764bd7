-- add_page: store one page of a draft's recipients. Never brings back a draft that is gone.
-- KEYS[1] campaign   KEYS[2] pages
-- ARGV     page number, page, seconds a draft is kept
-- Returns  1, or 0 when there is no such draft
local campaign, pages = KEYS[1], KEYS[2]

if redis.call('HGET', campaign, 'sealed_at') ~= '' then return 0 end
redis.call('HSET', pages, ARGV[1], ARGV[2])
redis.call('EXPIRE', pages, ARGV[3])
redis.call('EXPIRE', campaign, ARGV[3])
return 1
