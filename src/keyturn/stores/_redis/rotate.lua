#!lua flags=allow-oom
-- Redeem a refresh token: what `keyturn._core.decide` says, restated. It knows no clock.
--
-- The rules are those of `decide.RULES`, in their order and with their numbers; a test holds the two together.
-- It runs also where the server's memory is full: it makes nothing bigger but the log.
-- Lua cannot compare in constant time. That gives nothing away: the token's tag has been verified before, and
-- the digest is SHA-256 of a secret that no prefix search can approach.
--
-- KEYS: the session; the revocation log, but not in a cluster.
-- ARGV: digest, gen, branch, jkt or '', now, race window, recovery window, and as 1 or 0: rotation, converge,
--   whole user.
-- Answer: the outcome's name, its detail, the row; then of each other session that ended: its id, its row.

local MAX_LOST_WRITES = 2

local value = redis.call('GET', KEYS[1])
if not value then -- 4
  return { 'Unknown' }
end
local row = read(value)
local digest, branch, jkt = ARGV[1], ARGV[3], ARGV[4]
local gen, now = tonumber(ARGV[2]), tonumber(ARGV[5])
local race_window, recovery_window = tonumber(ARGV[6]), tonumber(ARGV[7])
local rotation, converge, whole_user = ARGV[8] == '1', ARGV[9] == '1', ARGV[10] == '1'

local ahead = gen - row.gen
local is_recent = row.gen > 0 and math.max(0, now - row.handed_at) < race_window
local is_recoverable = not row.confirmed and math.max(0, now - row.rotated_at) < recovery_window

local function same(outcome, detail)
  return { outcome, detail or '', row.value }
end

local function changed(outcome, detail)
  write(KEYS[1], row)
  return { outcome, detail or '', row.value }
end

local function rotate()
  row.last_seen_at = math.max(row.last_seen_at, now)
  if row.has_idle_ttl and row.has_idle_end then
    row.idle_expires_at = math.max(row.idle_expires_at, math.min(now + row.idle_ttl, row.expires_at))
  end
  if not rotation and ahead == 0 then -- else the row does not know the presented generation's parent
    row.confirmed = true
    return changed('Kept')
  end
  row.gen, row.parent_branch, row.confirmed = gen + 1, branch, false
  row.rotated_at = math.max(row.rotated_at, now)
  row.handed_at = math.max(row.handed_at, row.rotated_at)
  return changed('Rotated', ahead)
end

local function keep()
  if row.confirmed then
    return same('Kept')
  end
  row.confirmed = true
  return changed('Kept')
end

local function hand_out(kind)
  if not converge then
    return same('Conflicted', kind)
  elseif not is_recoverable then
    return same('Converged', kind)
  end
  row.handed_at = math.max(row.handed_at, now)
  return changed('Converged', kind)
end

local function reuse(kind)
  local others = {}
  if whole_user then -- before this session: where they cannot be reached, the repetition still finds the reuse
    local base = base_of(KEYS[1])
    local index = base .. 'u:' .. row.user
    be_sure(redis.pcall('MGET', index, KEYS[1]))
    finish_user(base, index, string.sub(KEYS[1], -16), REUSE, now, KEYS[2], others)
  end
  tell(KEYS[2], 's', { string.sub(KEYS[1], -16) })
  finish(KEYS[1], row, REUSE, now)
  local answer = same('Reused', kind)
  for _, part in ipairs(others) do
    answer[#answer + 1] = part
  end
  return answer
end

if row.jkt and row.jkt ~= jkt then -- 3
  return same('Unproven')
elseif row.digest ~= digest then -- 5
  return same('Forged')
elseif row.revoked then -- 6
  return same('Ended', 0)
elseif ending(row, now) then -- 7
  finish(KEYS[1], row, ending(row, now), now)
  return same('Ended', 1)
elseif ahead == 0 and rotation and is_recent then -- 8b
  return keep()
elseif ahead == 0 then -- 8
  return rotate()
elseif ahead == -1 and row.parent_branch ~= branch then -- 9
  return reuse('fork')
elseif ahead == -1 and is_recent then -- 10
  return hand_out('race')
elseif ahead == -1 and is_recoverable then -- 11
  return hand_out('recovered')
elseif ahead == -1 then -- 12
  return reuse('previous')
elseif ahead < -1 then -- 13
  return reuse('stale')
elseif ahead <= MAX_LOST_WRITES then -- 14
  return rotate()
end
return same('Ahead', ahead) -- 15
