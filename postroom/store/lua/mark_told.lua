-- mark_told: note that the task which waits for a campaign's end has been published.
-- KEYS[1] campaign
-- Returns  1, or 0 when the records are gone
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'told', '1')
return 1
