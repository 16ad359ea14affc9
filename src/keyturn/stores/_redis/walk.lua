#!lua flags=allow-cross-slot-keys,no-writes
-- Read or count the sessions of all users, some keys at a time. It knows no clock.
-- It declares no key: what it reads is what SCAN found on this very server.
--
-- ARGV: the cursor, the pattern of session keys, how many keys to look at, the moment they must live at or '',
--   an id that they come after or '', an id that they come before or '', and as 1 or 0 whether to send them.
-- Answer: the next cursor; then of each: its id, its row; or how many there were.

local live_at, after, before, sends = tonumber(ARGV[4]), ARGV[5], ARGV[6], ARGV[7] == '1'
local page = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3])
local answer, count = { page[1] }, 0
for _, key in ipairs(page[2]) do
  local sid = string.sub(key, -16)
  if (after == '' or comes_before(after, sid)) and (before == '' or comes_before(sid, before)) then
    local value = true
    if sends or live_at then
      value = redis.pcall('GET', key) -- in a cluster it may have moved to another server just now
    end
    if value == true or type(value) == 'string' and not (live_at and ending(read(value), live_at)) then
      count = count + 1
      if sends then
        answer[2 * count], answer[2 * count + 1] = sid, value
      end
    end
  end
end
if not sends then
  answer[2] = count
end
return answer
