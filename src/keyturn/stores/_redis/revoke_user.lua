#!lua flags=allow-oom
-- End all sessions of a user that have not been ended, also where the server's memory is full.
-- It knows no clock.
--
-- KEYS: the user's index.
-- ARGV: what the user's keys begin with, now, the reason's letter, the id of the session to keep or ''.
-- Answer: of each session that ended: its id, its row.

local answer = {}
finish_user(ARGV[1], KEYS[1], ARGV[4], ARGV[3], tonumber(ARGV[2]), answer)
return answer
