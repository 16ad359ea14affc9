#!lua
-- Add a session, within its user's limit. It knows no clock.
--
-- KEYS: the session, its user's index; the revocation log, but not in a cluster.
-- ARGV: the packed session, now, how long to keep it (ms), when its id may leave the index, the limit or -1,
--   and as 1 or 0 whether the oldest end at the limit.
-- Answer: the outcome's name; of LimitReached how many live, of Created of each evicted session: id, row.

local SOME = 16 -- ids that one sign-in looks at, to take the expired out of the index

local base, sid = base_of(KEYS[1]), string.sub(KEYS[1], -16)
local now, keep_for, limit = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[5])
local live = {}

if limit >= 0 then
  of_user(base, KEYS[2], false, function(other, key, row)
    if not ending(row, now) then
      live[#live + 1] = { sid = other, key = key, row = row }
    end
  end)
  if #live >= limit and ARGV[6] == '0' then
    return { 'LimitReached', #live }
  end
else
  for _, old in ipairs(redis.call('ZRANGE', KEYS[2], '-inf', now, 'BYSCORE', 'LIMIT', 0, SOME)) do
    if redis.call('EXISTS', base .. 's:' .. old) == 0 then -- else the command's clock is not the server's
      redis.call('ZREM', KEYS[2], old)
    end
  end
end

if not redis.call('SET', KEYS[1], ARGV[1], 'PX', keep_for, 'NX') then
  return { 'Taken' }
end

local answer = { 'Created' }
if limit >= 0 then
  table.sort(live, function(one, other)
    if one.row.created_at ~= other.row.created_at then
      return one.row.created_at < other.row.created_at
    end
    return comes_before(one.sid, other.sid)
  end)
  local sids = {}
  for position = 1, math.min(#live - limit + 1, #live) do
    sids[position] = live[position].sid
  end
  tell(KEYS[3], 's', sids)
  for position = 1, #sids do
    local oldest = live[position]
    finish(oldest.key, oldest.row, LIMIT, now)
    answer[#answer + 1] = oldest.sid
    answer[#answer + 1] = oldest.row.value
  end
end

redis.call('ZADD', KEYS[2], ARGV[4], sid)
if redis.call('PTTL', KEYS[2]) < keep_for then -- also where it has no expiry yet
  redis.call('PEXPIRE', KEYS[2], keep_for)
end
return answer
