#!lua flags=allow-oom
-- Write lines of the revocation log of a cluster, also where the server's memory is full. It knows no clock.
--
-- KEYS: the log. ARGV: of each line: the letter of its kind, its subject.

local subjects = { s = {}, t = {} }
for position = 1, #ARGV, 2 do
  local list = subjects[ARGV[position]]
  list[#list + 1] = ARGV[position + 1]
end
tell(KEYS[1], 's', subjects.s)
tell(KEYS[1], 't', subjects.t)
return 1
