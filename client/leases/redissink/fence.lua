-- Carries commands out for the newest holder of a lease, once per id: tokens are
-- compared, the commands run and the id is kept in one step, with nothing of
-- anybody else in between.
--
-- KEYS[1]  the fence: the highest token that was seen
-- KEYS[2]  the id; leave it out to raise the fence only
-- KEYS[3]  and on: the keys that the commands touch
-- ARGV[1]  the token, decimal
-- ARGV[2]  how long the id is kept, in seconds
-- ARGV[3]  and on: each command as its number of words, then the words
--
-- Answers what came of it, and the highest token: applied, already (the id was
-- there), raised (no id was given), fenced (a newer token was seen, nothing done).
-- A command that Redis refuses ends the script with its error: what ran before it
-- stays, since Redis takes nothing back, and the id is not kept.
local token = ARGV[1]
if not string.find(token, '^[1-9][0-9]*$') then
  return redis.error_reply('ERR the token must be a number above 0')
end
-- Tokens have 64 bits, numbers of Lua 53: compare them as text.
local function older(a, b)
  return #a < #b or (#a == #b and a < b)
end

local newest = redis.call('GET', KEYS[1])
if newest and older(token, newest) then
  return {'fenced', newest}
end
if token ~= newest then
  redis.call('SET', KEYS[1], token)
end
if not KEYS[2] then
  return {'raised', token}
end
if redis.call('EXISTS', KEYS[2]) == 1 then
  return {'already', token}
end
local at = 3
while ARGV[at] do
  local words = tonumber(ARGV[at])
  redis.call(unpack(ARGV, at + 1, at + words))
  at = at + 1 + words
end
redis.call('SET', KEYS[2], token, 'EX', ARGV[2])
return {'applied', token}
