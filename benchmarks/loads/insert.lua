-- One small record per request, each with an ID of its own.
-- wrk -t1 -s insert.lua URL -- FIRST_ID [MODE [COUNT]]        (FIRST_ID has ten digits)
--
-- MODE, `plain` by default:
--   keyed   each request has an Idempotency-Key, the record's ID
--   again   the same, over COUNT records in turn, so that all are repetitions once each was sent
--   poison  one record in a hundred holds a quantity that table `checked` refuses: 0, as wide as
--           the others
--
-- Requests are built once and cut where the ID goes. An ID is as wide as its placeholder, so that
-- Content-Length stays true and a request costs the load generator one concatenation.
local common = dofile(os.getenv("WRK_COMMON"))
local placeholder = "##########"
local variants = 900
local first, id, last = 0, 0, nil
local keyHead, bodyHead, tails = nil, nil, {}

-- The parts of `text` around each placeholder.
local function cut(text)
   local parts, from = {}, 1
   while true do
      local at, to = text:find(placeholder, from, true)
      if not at then break end
      parts[#parts + 1] = text:sub(from, at - 1)
      from = to + 1
   end
   parts[#parts + 1] = text:sub(from)
   return parts
end

function init(args)
   first = tonumber(args[1])
   id = first
   local mode = args[2] or "plain"
   local count = tonumber(args[3] or "0")
   if mode == "again" then last = first + count end
   wrk.headers["Content-Type"] = "application/json"
   if mode == "keyed" or mode == "again" then wrk.headers["Idempotency-Key"] = placeholder end
   for n = 1, variants do
      local customer = 99 + n
      local isPoison = mode == "poison" and n % 100 == 0
      local parts = cut(wrk.format("POST", nil, nil, string.format(
         '{"id":%s,"customer_id":%d,"qty":%d,"note":"%s"}', placeholder,
         customer, isPoison and 0 or customer % 9 + 1,
         "a note of some forty characters, like this")))
      if #parts == 3 then keyHead, bodyHead = parts[1], parts[2] else bodyHead = parts[1] end
      tails[n] = parts[#parts]
   end
end

function request()
   id = id + 1
   if id == last then id = first + 1 end
   if keyHead then return keyHead .. id .. bodyHead .. id .. tails[id % variants + 1] end
   return bodyHead .. id .. tails[id % variants + 1]
end

response = common.checker(function(status) return status == 200 or status == 201 end)
done = common.done
