#!lua flags=allow-cross-slot-keys,allow-oom
-- Remove old lines among some audit trails. It knows no clock.
-- It declares no key: what it removes is what SCAN found on this very server.
--
-- ARGV: the cursor, the pattern of trail keys, how many keys to look at, lines go whose id is before this, and
--   how many at most.
-- Answer: the next cursor; how many went; and two as `purge.lua` has them: 0, and 1 where there were more.

local most, gone = tonumber(ARGV[5]), 0
local page = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3])
local more = 0
for _, key in ipairs(page[2]) do
  -- In a cluster it may have moved to another server just now.
  local lines = redis.pcall('ZRANGE', key, '-', '(' .. ARGV[4], 'BYLEX', 'LIMIT', 0, most - gone + 1)
  for _, line in ipairs(lines) do
    if gone == most then
      more = 1
      break
    end
    redis.call('ZREM', key, line)
    gone = gone + 1
  end
end
return { page[1], gone, 0, more }
