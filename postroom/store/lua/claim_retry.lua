-- claim_retry: mark outcomes of a campaign that is over as sent again, each of them once: those
-- not marked before get the number of this retry, the others keep theirs.
-- KEYS[1] campaign
-- ARGV     by whom, then ledger codes of the outcomes, as numbers
-- Returns  {retry, retry, ...}: of each code the retry it is marked with; {} when the records of
--          the campaign have expired
local campaign, given = KEYS[1], {}
if redis.call('EXISTS', campaign) == 0 then return {} end
for i = 2, #ARGV do given[i - 1] = 'retried:' .. ARGV[i] end

local marks = redis.call('HMGET', campaign, unpack(given))
local fresh
for i, mark in ipairs(marks) do
  if not mark then
    fresh = fresh or redis.call('HINCRBY', campaign, 'retries', 1)
    redis.call('HSET', campaign, given[i], fresh)
    marks[i] = fresh
  end
end
if fresh then log_event(campaign, 'retried', ARGV[1], '') end
for i, mark in ipairs(marks) do marks[i] = tonumber(mark) end
return marks
