#!lua flags=allow-cross-slot-keys,allow-oom
-- Remove old sessions and expired denials among some keys. It knows no clock.
-- It declares no key: what it removes is what SCAN found on this very server.
--
-- ARGV: the cursor, the pattern of session and denial keys, how many keys to look at, where in a key its kind
--   stands, sessions go that end before this, denials go that end until this, and how many of each at most.
-- Answer: the next cursor; how many sessions and denials went; 1 where there were more than may go, so that
--   these keys must be looked at again.

local kind_at, before, now = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local may_go = { s = tonumber(ARGV[7]), d = tonumber(ARGV[8]) }
local gone = { s = 0, d = 0 }
local page = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3])
local more = 0

-- Of a session, nothing else is unpacked: most stay, and nobody is served meanwhile.
local function is_due(kind, value)
  if kind == 'd' then
    return struct.unpack('>I6', value) <= now
  elseif string.byte(value) ~= VERSION then
    read(value) -- it refuses it
  end
  return struct.unpack('>I6', value, EXPIRES_AT) < before
end

for _, key in ipairs(page[2]) do
  local kind = string.sub(key, kind_at, kind_at)
  local value = redis.pcall('GET', key) -- in a cluster it may have moved to another server just now
  if type(value) == 'string' and is_due(kind, value) then
    if gone[kind] == may_go[kind] then
      more = 1
    else
      if kind == 's' then
        -- Where the index has moved already, it cleans itself.
        redis.pcall('ZREM', base_of(key) .. 'u:' .. read(value).user, string.sub(key, -16))
      end
      redis.call('UNLINK', key)
      gone[kind] = gone[kind] + 1
    end
  end
end
return { page[1], gone.s, gone.d, more }
