-- log_event: append an entry to the log of a campaign or an account, for people: what happened, by
-- whom, why. The log is the field `log` of a hash: a line an entry, in it by tabs when it happened
-- first, when last, how often (both empty for once), event, by whom ('': by itself), detail.
-- What happens again is folded into its entry, unless a person did something in between. An
-- address never gets in: of a detail that holds one, all of the word goes.
-- (Whatever a script names of this folder is put before it: see connection.py.)
local LOG_ENTRIES, LOG_LOOKS_BACK = 200, 4
local LOG_BY_BYTES, LOG_DETAIL_BYTES, LOG_READS_BYTES = 64, 160, 1000
local WORD = '[^%s<>"\'()%[%],;:=]*'

local function log_text(text, most)
  text = string.gsub(text, '%c+', ' ')
  if #text <= most then return text end
  -- Not in the middle of a character.
  return (string.gsub(string.sub(text, 1, most), '[\192-\255][\128-\191]*$', ''))
end

local function log_detail(text)
  -- What the cut went through may be the beginning of an address.
  if #text > LOG_READS_BYTES then text = string.gsub(string.sub(text, 1, LOG_READS_BYTES), '%S*$', '') end
  text = string.gsub(text, '"[^"]*"@', '@')
  text = string.gsub(text, WORD .. '@' .. WORD, '[address]')
  return log_text(string.gsub(text, WORD .. '%%40' .. WORD, '[address]'), LOG_DETAIL_BYTES)
end

-- With `begun`, only where there is a log: that of a campaign begins when it is submitted.
local function log_event(key, event, by, detail, begun)
  local stored = redis.call('HGET', key, 'log')
  if begun and not stored then return end
  local time = redis.call('TIME')
  local now = string.format('%d.%03d', time[1], math.floor(time[2] / 1000))
  local said = '\t' .. event .. '\t' .. log_text(by, LOG_BY_BYTES) .. '\t' .. log_detail(detail)
  local entries, folded = {}, false
  for entry in string.gmatch(stored or '', '[^\n]+') do table.insert(entries, entry) end
  for at = #entries, math.max(1, #entries - LOG_LOOKS_BACK + 1), -1 do
    local first, count, same, whose =
      string.match(entries[at], '^(%S+)\t[^\t]*\t(%d*)(\t[^\t]*\t([^\t]*)\t.*)$')
    if same == said then
      entries[at] = first .. '\t' .. now .. '\t' .. (tonumber(count) or 1) + 1 .. said
      folded = true
    end
    if folded or by ~= '' or whose ~= '' then break end
  end
  if not folded then table.insert(entries, now .. '\t\t' .. said) end
  redis.call('HSET', key, 'log', table.concat(entries, '\n', math.max(1, #entries - LOG_ENTRIES + 1)))
end
