-- drop_texts: of messages that were sent nothing but their outcomes is kept: addresses and fields go
-- with their batch, and a content with the last batch that needs it. A campaign's batch has no
-- extent, and stays.
local function drop_texts(n, batches, extents, contents)
  local extent = redis.call('HGET', extents, n)
  if not extent then return end
  redis.call('HDEL', batches, n)
  redis.call('HDEL', extents, n)
  for id in string.gmatch(extent, '([^|,]+),') do
    if redis.call('HINCRBY', contents, id .. '#', -1) <= 0 then redis.call('HDEL', contents, id, id .. '#') end
  end
end

