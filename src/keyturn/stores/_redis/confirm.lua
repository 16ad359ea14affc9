#!lua flags=allow-oom
-- Note that a session was seen in use. It knows no clock.
--
-- KEYS: the session. ARGV: the generation, now.
-- The value is written only where something changes.

local value = redis.call('GET', KEYS[1])
local row = value and read(value)
if not row or row.revoked then
  return 0
end
local now = tonumber(ARGV[2])
local confirmed = row.confirmed or row.gen == tonumber(ARGV[1])
if confirmed == row.confirmed and now <= row.last_seen_at then
  return 0
end
row.confirmed, row.last_seen_at = confirmed, math.max(row.last_seen_at, now)
write(KEYS[1], row)
return 1
