-- abandon_draft: delete a draft whose submitter fell silent, unless it was sealed after all.
-- KEYS[1] campaign   KEYS[2] pages
-- Returns  1 when there is no such draft any more, or 0 when it is a sealed campaign
local sealed = redis.call('HGET', KEYS[1], 'sealed_at')
if sealed and sealed ~= '' then return 0 end
redis.call('UNLINK', KEYS[1], KEYS[2])
return 1
