#!lua flags=allow-oom
-- Refuse one access token, also where the server's memory is full; of two denials the later expiry stays.
-- It knows no clock.
--
-- KEYS: the denial; the revocation log, but not in a cluster.
-- ARGV: the packed denial, when it expires, how long to keep it (ms), the token's id.

tell(KEYS[2], 't', { ARGV[4] })
local known = redis.call('GET', KEYS[1])
if known and struct.unpack('>I6', known) >= tonumber(ARGV[2]) then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return 1
