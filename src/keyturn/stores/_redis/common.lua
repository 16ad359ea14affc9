-- What all scripts share: how a session is packed, and what ends one. It knows no command of the store's.
-- It stands before each script when that is sent, so that there is one copy of it.
--
-- A session's value: a head of 48 bytes, which operations change in place; a part of fixed width that never
-- changes; then user id, key thumbprint, and claims and device, which no script reads. `rows.py` says the
-- same in Python. Numbers are unsigned, big-endian; moments and spans are milliseconds in 6 bytes.

local VERSION = 1
local HEAD = '>BBc1I6I6I6I6I6I6Bc8'
local REST = '>I6I6I6I6c32BI2'
local HEAD_SIZE, REST_SIZE = 48, 59
local EXPIRES_AT = HEAD_SIZE + 7 -- where that number begins

-- Flags: whether the generation was seen in use, and which of the optional numbers there are.
local CONFIRMED, IDLE_TTL, IDLE_END, ACCESS_TTL, REVOKED = 1, 2, 4, 8, 16
local NO_KEY = 255 -- in place of the length of a key's thumbprint
-- Reasons that scripts write or answer themselves; `rows.py` has all letters.
local ABSOLUTE, IDLE, REUSE, LIMIT = 'a', 'i', 'r', 'm'

local function read(value)
  local row = { value = value }
  local version, flags, branch, length, key, user
  version, flags, row.reason, row.gen, row.rotated_at, row.handed_at, row.last_seen_at, row.idle_expires_at,
    row.revoked_at, length, branch = struct.unpack(HEAD, value)
  if version ~= VERSION then
    error({ err = 'KEYTURNVERSION a session is of version ' .. version })
  end
  row.parent_branch = string.sub(branch, 1, length)
  row.confirmed = bit.band(flags, CONFIRMED) ~= 0
  row.has_idle_ttl = bit.band(flags, IDLE_TTL) ~= 0
  row.has_idle_end = bit.band(flags, IDLE_END) ~= 0
  row.revoked = bit.band(flags, REVOKED) ~= 0
  row.fixed_flags = bit.band(flags, IDLE_TTL + IDLE_END + ACCESS_TTL)
  row.created_at, row.expires_at, row.idle_ttl, row.access_ttl, row.digest, key, user =
    struct.unpack(REST, value, HEAD_SIZE + 1)
  local at = HEAD_SIZE + REST_SIZE
  row.user = string.sub(value, at + 1, at + user)
  if key ~= NO_KEY then
    row.jkt = string.sub(value, at + user + 1, at + user + key)
  end
  return row
end

-- Write what may have changed, in place: what it costs to copy and to replicate is the head alone.
local function write(key, row)
  local flags = row.fixed_flags + (row.confirmed and CONFIRMED or 0) + (row.revoked and REVOKED or 0)
  local head = struct.pack(HEAD, VERSION, flags, row.reason, row.gen, row.rotated_at, row.handed_at,
    row.last_seen_at, row.idle_expires_at, row.revoked_at, #row.parent_branch,
    row.parent_branch .. string.rep('\0', 8 - #row.parent_branch))
  redis.call('SETRANGE', key, 0, head)
  row.value = head .. string.sub(row.value, HEAD_SIZE + 1)
end

-- Why a session is over at a moment, as the letter of `rows.py`; nil while it lives.
local function ending(row, now)
  if row.revoked then
    return row.reason
  elseif now >= row.expires_at then
    return ABSOLUTE
  elseif row.has_idle_end and now >= row.idle_expires_at then
    return IDLE
  end
  return nil
end

-- An ended session keeps its first end.
local function finish(key, row, reason, now)
  if not row.revoked then
    row.revoked, row.reason, row.revoked_at = true, reason, now
    write(key, row)
  end
end

-- Whether an end is one for the revocation log, and recent enough to matter there.
local function is_news(row, now)
  return row.revoked and row.reason ~= ABSOLUTE and row.reason ~= IDLE and now - row.revoked_at < LOG_MS
end

-- Write lines of the revocation log, before what they say is done: where they cannot be written, nothing is.
-- `log` is nil in a cluster, where no script reaches both: there `stream.py` writes them afterwards. The moments
-- of commands are not the server's, so the ids of the lines say what is old.
local function tell(log, kind, subjects)
  if not log or #subjects == 0 then
    return
  end
  local id
  for _, subject in ipairs(subjects) do
    id = redis.call('XADD', log, '*', kind, subject)
  end
  local oldest = math.max(0, tonumber(string.match(id, '^%d+')) - LOG_MS)
  redis.call('XTRIM', log, 'MINID', '~', string.format('%.0f', oldest))
  redis.call('PEXPIRE', log, LOG_MS)
end

-- The part of a session's key before `s:` and its id of 16 bytes: what all keys of the user begin with.
local function base_of(key)
  return string.sub(key, 1, -19)
end

-- The order of ids. Not `<` of Lua, which goes by the server's locale.
local function comes_before(one, other)
  local one_head, one_middle, one_tail = struct.unpack('>I6I5I5', one)
  local other_head, other_middle, other_tail = struct.unpack('>I6I5I5', other)
  if one_head ~= other_head then
    return one_head < other_head
  elseif one_middle ~= other_middle then
    return one_middle < other_middle
  end
  return one_tail < other_tail
end

-- Raise an error where the keys of a slot are on two nodes. While a slot of a cluster moves, its old node refuses
-- a key that has gone, but its new node answers for one that has not come yet as for none. Of two keys, of which
-- one is missing, it refuses any command. What is answered TRYAGAIN, the driver repeats.
local function be_sure(reply)
  if reply.err then
    error({ err = 'TRYAGAIN the keys of this user are moving to another node' })
  end
  return reply
end

local AT_ONCE = 100 -- sessions that are read with one command

-- All sessions of a user, or those that have not been ended. Members whose session has expired are taken out of
-- the index. Most sessions of a user who signs in often have been ended: no more of them is unpacked than a byte.
local function of_user(base, index, ended_too, visit)
  local sids = redis.call('ZRANGE', index, 0, -1)
  for first = 1, #sids, AT_ONCE do
    local keys = { index } -- has no value for MGET, but makes it a command of two keys
    for position = first, math.min(first + AT_ONCE - 1, #sids) do
      keys[#keys + 1] = base .. 's:' .. sids[position]
    end
    local values = be_sure(redis.pcall('MGET', unpack(keys)))
    for position = 2, #keys do
      local sid, value = sids[first + position - 2], values[position]
      if not value then
        redis.call('ZREM', index, sid)
      elseif ended_too or string.byte(value) ~= VERSION or bit.band(string.byte(value, 2), REVOKED) == 0 then
        visit(sid, keys[position], read(value))
      end
    end
  end
end

-- End all of a user's sessions that have not been ended, but one, and append each to the answer. All are read
-- before the first is written: where one cannot be read, none has ended, and a repetition finds them all.
local function finish_user(base, index, keep, reason, now, log, answer)
  local found, sids = {}, {}
  of_user(base, index, false, function(sid, key, row)
    if sid ~= keep then
      found[#found + 1] = { sid = sid, key = key, row = row }
      sids[#sids + 1] = sid
    end
  end)
  tell(log, 's', sids)
  for _, each in ipairs(found) do
    finish(each.key, each.row, reason, now)
    answer[#answer + 1] = each.sid
    answer[#answer + 1] = each.row.value
  end
end
