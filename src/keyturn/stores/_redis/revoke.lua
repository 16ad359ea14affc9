#!lua flags=allow-oom
-- End one session, also where the server's memory is full. It knows no clock.
--
-- KEYS: the session; the revocation log, but not in a cluster.
-- ARGV: now, the reason's letter, '=' and the user it must be of or '', the digest of the secret or ''.
-- Answer: 0 where it was not found, else 1, or 2 where it ended earlier in a way that the log tells; and its row,
--   if it ended now.

local value = redis.call('GET', KEYS[1])
local row = value and read(value)
if not row or (ARGV[3] ~= '' and ARGV[3] ~= '=' .. row.user) or (ARGV[4] ~= '' and ARGV[4] ~= row.digest) then
  return { 0 }
elseif row.revoked then
  return { is_news(row, tonumber(ARGV[1])) and 2 or 1 }
end
tell(KEYS[2], 's', { string.sub(KEYS[1], -16) })
finish(KEYS[1], row, ARGV[2], tonumber(ARGV[1]))
return { 1, row.value }
