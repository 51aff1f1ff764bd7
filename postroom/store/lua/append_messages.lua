-- append_messages: add messages to the open segment of a stream, each once for its token, in one
-- step. The newest batch takes more until it is full or leased, so batches fill by themselves.
-- KEYS[1] stream, `...{stream}:stream`. The keys of its segments and tokens are built here, for only
--         here it is known which they are; they carry its tag, and so are in its slot.
-- ARGV     which segment (lane|policy|bound), the next one if the janitor knows of it, most messages of a segment, most of a batch, most
--          bytes of a batch, seconds that tokens are kept, how many contents, contents (id, text),
--          messages (token of 12 bytes, mark of 6, hash of the address of 8, content id of 12, ledger
--          byte, entry)
-- Returns  {'APPENDED', segment, batches that were begun, msgpack of an answer for each message}:
--          {'N', segment, position} for a new one, 'K' for one that its token named already, 'D'
--          for a token that named another message · {'ROLL'}: open another
--          segment and ask again · {'CONTENTS'}: ask again with the contents
local which, known, most, batch_most = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local batch_bytes, keep = tonumber(ARGV[5]), tonumber(ARGV[6])
local contents, first = {}, 8 + 2 * tonumber(ARGV[7])
for at = 8, first - 1, 2 do contents[ARGV[at]] = ARGV[at + 1] end
local stream, base = KEYS[1], string.sub(KEYS[1], 1, -7)
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6

-- Tokens are kept in small hashes, which cost a third of a large one: each level has four times
-- as many as the one before, and is begun when that is full. They expire as a whole.
local SHARD, era = 64, math.floor(now / keep)
local function count(of) return tonumber(redis.call('HGET', stream, 'tokens:' .. of) or '') or 0 end
local counts = {[era] = count(era), [era - 1] = count(era - 1)}
local function level(tokens)
  local at, room = 0, SHARD
  while tokens >= room do
    at = at + 1
    room = room + SHARD * 4 ^ at
  end
  return at
end
local function shard(of, at, token)
  local one, two, three = string.byte(token, 1, 3)
  return base .. 'tokens:' .. of .. ':' .. at .. ':' .. (one * 65536 + two * 256 + three) % 4 ^ at
end
local function named(token)
  for of = era, era - 1, -1 do
    for at = 0, counts[of] > 0 and level(counts[of]) or -1 do
      local found = redis.call('HGET', shard(of, at, token), token)
      if found then return string.match(found, '^(%d+)|(%d+)|(.*)$') end
    end
  end
end

local answers, fresh, seen = {}, {}, {}
for i = 1, #ARGV - first + 1 do
  local token, mark = string.sub(ARGV[first + i - 1], 1, 12), string.sub(ARGV[first + i - 1], 13, 18)
  local segment, position, held = named(token)
  local earlier = seen[token]
  if segment then
    answers[i] = {held == mark and 'K' or 'D', segment, tonumber(position)}
  elseif earlier then
    answers[i] = {string.sub(ARGV[first + earlier - 1], 13, 18) == mark and 'K' or 'D', '', earlier}
  else
    seen[token] = i
    table.insert(fresh, i)
  end
end
if #fresh == 0 then return {'APPENDED', '', 0, cmsgpack.pack(answers)} end

local segment = redis.call('HGET', stream, 'open:' .. which)
local own, has
local function look(at)
  own = base .. at .. ':'
  has = redis.call('HMGET', own .. 'campaign', 'total', 'open', 'last')
  return has[1] and now < tonumber(has[2] or '0') and tonumber(has[1]) + #fresh <= most
end
if not (segment and look(segment)) then
  if segment and has[1] then redis.call('HSET', own .. 'campaign', 'open', 0) end
  segment = redis.call('HGET', stream, 'next:' .. which)
  if segment ~= known or not look(segment) then return {'ROLL'} end
  redis.call('HDEL', stream, 'next:' .. which)
  redis.call('PERSIST', own .. 'campaign')
  redis.call('HSET', stream, 'open:' .. which, segment)
end
local texts = own .. 'contents'
for _, i in ipairs(fresh) do
  local id = string.sub(ARGV[first + i - 1], 27, 38)
  if not contents[id] and redis.call('HEXISTS', texts, id) == 0 then return {'CONTENTS'} end
end

local position, batches, extents = tonumber(has[1]), own .. 'batches', own .. 'extents'
local n, length, bytes, used, lines = tonumber(has[3] or ''), 0, 0, '', {}
if n and redis.call('HEXISTS', own .. 'leases', n) == 0 then
  local extent = redis.call('HGET', extents, n)
  if extent then
    length, used = string.match(extent, '^(%d+)|(.*)$')
    length, lines[1] = tonumber(length), redis.call('HGET', batches, n)
    bytes = #lines[1]
  else
    n = nil
  end
else
  n = nil
end
local function write()
  if not n then return end
  redis.call('HSET', batches, n, table.concat(lines))
  redis.call('HSET', extents, n, length .. '|' .. used)
  redis.call('ZADD', own .. 'due', 'NX', 0, n)
end
local addresses, codes, begun = {}, {}, 0
for _, i in ipairs(fresh) do
  local message = ARGV[first + i - 1]
  local token, mark, address = string.sub(message, 1, 12), string.sub(message, 13, 18), string.sub(message, 19, 26)
  local id, code, entry = string.sub(message, 27, 38), string.sub(message, 39, 39), string.sub(message, 40)
  if not n or length >= batch_most or bytes + #entry > batch_bytes then
    write()
    n, length, bytes, used, lines = position, 0, 0, '', {}
    begun = begun + 1
  end
  if not string.find(used, id, 1, true) then
    used = used .. id .. ','
    redis.call('HSETNX', texts, id, contents[id] or '')
    redis.call('HINCRBY', texts, id .. '#', 1)
  end
  length, bytes = length + 1, bytes + #entry
  table.insert(lines, entry)
  table.insert(addresses, address .. '\0\0\0\0')
  table.insert(codes, code)
  answers[i] = {'N', segment, position}

  local at = shard(era, level(counts[era]), token)
  redis.call('HSET', at, token, segment .. '|' .. position .. '|' .. mark)
  if redis.call('HLEN', at) == 1 then redis.call('EXPIRE', at, 2 * keep) end
  counts[era] = counts[era] + 1
  position = position + 1
end
write()
for i, answer in pairs(answers) do
  if answer[2] == '' then answers[i] = {answer[1], answers[answer[3]][2], answers[answer[3]][3]} end
end
local states = table.concat(codes)
local _, pending = string.gsub(states, 'p', 'p')
redis.call('APPEND', own .. 'ledger', states)
redis.call('APPEND', own .. 'marks', table.concat(addresses))
redis.call('HINCRBY', own .. 'campaign', 'total', #fresh)
redis.call('HINCRBY', own .. 'campaign', 'pending', pending)
redis.call('HINCRBY', own .. 'campaign', 'suppressed', #fresh - pending)
redis.call('HSET', own .. 'campaign', 'last', n)
redis.call('HSET', stream, 'tokens:' .. era, counts[era])
redis.call('HDEL', stream, 'tokens:' .. (era - 2))
return {'APPENDED', segment, begun, cmsgpack.pack(answers)}
