#!lua flags=allow-oom
-- Remove sessions for good, with their audit trails. It knows no clock.
--
-- KEYS: the sessions; their index entries and trails are in the same slots.
-- Answer: how many there were.

local gone = 0
for _, key in ipairs(KEYS) do
  -- A trail that is still on its way would outlive its session.
  be_sure(redis.pcall('MGET', key, base_of(key) .. 'h:' .. string.sub(key, -16)))
end
for _, key in ipairs(KEYS) do
  local base, sid = base_of(key), string.sub(key, -16)
  local value = redis.call('GET', key)
  if value then
    redis.call('ZREM', base .. 'u:' .. read(value).user, sid)
    redis.call('UNLINK', key)
    gone = gone + 1
  end
  redis.call('UNLINK', base .. 'h:' .. sid)
end
return gone
