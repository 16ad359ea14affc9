#!lua flags=allow-oom
-- End all sessions of a user that have not been ended, also where the server's memory is full.
-- It knows no clock.
--
-- KEYS: the user's index; the revocation log, but not in a cluster.
-- ARGV: what the user's keys begin with, now, the reason's letter, the id of the session to keep or '',
--   as 1 or 0 whether to name those that ended earlier.
-- Answer: of each session that ended: its id, its row; and the ids of those that ended earlier, not long ago.

local now, answer, earlier = tonumber(ARGV[2]), {}, {}
if ARGV[5] == '1' then
  of_user(ARGV[1], KEYS[1], true, function(sid, _, row)
    if is_news(row, now) then
      earlier[#earlier + 1] = sid
    end
  end)
end
finish_user(ARGV[1], KEYS[1], ARGV[4], ARGV[3], now, KEYS[2], answer)
return { answer, earlier }
