#!lua flags=allow-oom
-- Remove sessions for good, with their audit trails. It knows no clock.
--
-- KEYS: the sessions; their index entries and trails are in the same slots. Then, but not in a cluster, the
--   revocation log.
-- ARGV: how many sessions.
-- Answer: how many there were.

local gone = {}
local count = tonumber(ARGV[1])
for position = 1, count do
  local key = KEYS[position]
  -- A trail that is still on its way would outlive its session.
  local found = be_sure(redis.pcall('MGET', key, base_of(key) .. 'h:' .. string.sub(key, -16)))
  if found[1] then
    gone[#gone + 1] = string.sub(key, -16)
  end
end
tell(KEYS[count + 1], 's', gone)
for position = 1, count do
  local key = KEYS[position]
  local base, sid = base_of(key), string.sub(key, -16)
  local value = redis.call('GET', key)
  if value then
    redis.call('ZREM', base .. 'u:' .. read(value).user, sid)
    redis.call('UNLINK', key)
  end
  redis.call('UNLINK', base .. 'h:' .. sid)
end
return #gone
