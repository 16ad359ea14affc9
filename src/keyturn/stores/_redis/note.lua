#!lua
-- Add lines to audit trails, unless they are there. It knows no clock.
-- A trail is a sorted set whose members all have one score: they sort by their first bytes, the line's id.
--
-- KEYS: the trails. ARGV: how many lines a trail keeps, how long after its last line it is kept (ms); then of
--   each trail: how many lines follow, and the lines.

local most, keep_for, at = tonumber(ARGV[1]), ARGV[2], 3
for _, key in ipairs(KEYS) do
  local last = at + tonumber(ARGV[at])
  for position = at + 1, last do
    local line = ARGV[position]
    local id = string.sub(line, 1, 16)
    if redis.call('ZLEXCOUNT', key, '[' .. id, '(' .. id .. '\255') == 0 then
      redis.call('ZADD', key, 0, line)
    end
  end
  redis.call('ZREMRANGEBYRANK', key, 0, -most - 1)
  redis.call('PEXPIRE', key, keep_for)
  at = last + 1
end
return 1
