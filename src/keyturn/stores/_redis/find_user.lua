#!lua flags=allow-oom
-- Read or count a user's sessions, and take the expired out of the index. It knows no clock.
--
-- KEYS: the user's index.
-- ARGV: what the user's keys begin with, the moment they must live at or '', the id to come after or '',
--   as 1 or 0 whether the newest come first, how many at most; -1: only count them.
-- Answer: of each: its id, its row; or how many there are.

local live_at, after, newest_first, most = tonumber(ARGV[2]), ARGV[3], ARGV[4] == '1', tonumber(ARGV[5])
local found = {}
of_user(ARGV[1], KEYS[1], not live_at, function(sid, _, row)
  local later = after == ''
    or (newest_first and comes_before(sid, after) or not newest_first and comes_before(after, sid))
  if later and not (live_at and ending(row, live_at)) then
    found[#found + 1] = { sid, row.value }
  end
end)
if most < 0 then
  return #found
end
table.sort(found, function(one, other)
  if newest_first then
    return comes_before(other[1], one[1])
  end
  return comes_before(one[1], other[1])
end)
local answer = {}
for position = 1, math.min(most, #found) do
  answer[2 * position - 1], answer[2 * position] = found[position][1], found[position][2]
end
return answer
