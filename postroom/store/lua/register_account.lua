-- register_account: a section of the settings turned out to be this AWS account and Region. The
-- first section of each owns the budget; all others share it.
-- KEYS[1] identities, a hash identity -> section that owns the budget
-- KEYS[2] sections, a hash section -> identity
-- ARGV     section, identity, 1 when it is sure (else one that was found before stands)
-- Returns  {the section that owns the budget, 1 when the section was another account before}
local identities, sections = KEYS[1], KEYS[2]
local section, identity = ARGV[1], ARGV[2]

local before = redis.call('HGET', sections, section)
if before and ARGV[3] ~= '1' then identity = before end
redis.call('HSET', sections, section, identity)
local moved = before and before ~= identity
if moved and redis.call('HGET', identities, before) == section then
  -- It has moved to another account: who stayed goes on with a budget of their own.
  redis.call('HDEL', identities, before)
  local all = redis.call('HGETALL', sections)
  for i = 1, #all, 2 do
    if all[i + 1] == before then redis.call('HSETNX', identities, before, all[i]) end
  end
end
redis.call('HSETNX', identities, identity, section)
return {redis.call('HGET', identities, identity), moved and 1 or 0}
