-- seal_draft: the recipients are complete: from now on the campaign lives until it is over.
-- KEYS[1] campaign   KEYS[2] pages
-- ARGV     number of pages, by whom
-- Returns  1 (also when it was sealed before), or 0 when the draft or a page of it is gone
local campaign, pages = KEYS[1], KEYS[2]

local sealed = redis.call('HGET', campaign, 'sealed_at')
if not sealed then return 0 end
if sealed ~= '' then return 1 end
if redis.call('HLEN', pages) ~= tonumber(ARGV[1]) then return 0 end
local time = redis.call('TIME')
local now = string.format('%.3f', tonumber(time[1]) + tonumber(time[2]) / 1e6)
redis.call('HSET', campaign, 'sealed_at', now, 'pages', ARGV[1])
redis.call('PERSIST', campaign)
redis.call('PERSIST', pages)
log_event(campaign, 'submitted', ARGV[2], '')
return 1
