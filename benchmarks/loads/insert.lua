-- One small record per request, each with an ID of its own.
-- wrk -t1 -s insert.lua URL -- FIRST_ID        (FIRST_ID has ten digits)
--
-- Requests are built once and cut where the ID goes. An ID is as wide as its placeholder, so that
-- Content-Length stays true and a request costs the load generator one concatenation.
local common = dofile(os.getenv("WRK_COMMON"))
local placeholder = "##########"
local variants = 900
local id, head, tails = 0, nil, {}

function init(args)
   id = tonumber(args[1])
   wrk.headers["Content-Type"] = "application/json"
   for n = 1, variants do
      local customer = 99 + n
      local text = wrk.format("POST", nil, nil, string.format(
         '{"id":%s,"customer_id":%d,"qty":%d,"note":"%s"}', placeholder,
         customer, customer % 9 + 1, "a note of some forty characters, like this"))
      local from, to = text:find(placeholder, 1, true)
      head, tails[n] = text:sub(1, from - 1), text:sub(to + 1)
   end
end

function request()
   id = id + 1
   return head .. id .. tails[id % variants + 1]
end

response = common.checker(function(status) return status == 200 or status == 201 end)
done = common.done
