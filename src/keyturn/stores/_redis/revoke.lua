#!lua flags=allow-oom
-- End one session, also where the server's memory is full. It knows no clock.
--
-- KEYS: the session.
-- ARGV: now, the reason's letter, '=' and the user it must be of or '', the digest of the secret or ''.
-- Answer: 1 or 0 for whether it was found; and its row, if it ended now.

local value = redis.call('GET', KEYS[1])
local row = value and read(value)
if not row or (ARGV[3] ~= '' and ARGV[3] ~= '=' .. row.user) or (ARGV[4] ~= '' and ARGV[4] ~= row.digest) then
  return { 0 }
elseif row.revoked then
  return { 1 }
end
finish(KEYS[1], row, ARGV[2], tonumber(ARGV[1]))
return { 1, row.value }
