#!lua
-- Replace the document of the key ring, unless it is another by now. It knows no clock.
--
-- KEYS: the ring. ARGV: the version that is to be replaced, "" for none; the new version; the new document.

local found = redis.call('HGET', KEYS[1], 'version') or ''
if found == ARGV[2] then
  return 1
end
if found ~= ARGV[1] then
  return 0
end
redis.call('HSET', KEYS[1], 'version', ARGV[2], 'document', ARGV[3])
return 1
