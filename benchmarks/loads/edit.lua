-- One edit per request: two different rows of 1 … 100, in the order drawn, as one atomic unit.
-- wrk -t1 -s edit.lua URL -- SEED
local common = dofile(os.getenv("WRK_COMMON"))
local rows = 100
local line = '{"op":"patch","table":"hot","key":{"id":%d},"data":{"qty":%d},"group":"g"}\n'

function init(args)
   math.randomseed(tonumber(args[1]))
   wrk.headers["Content-Type"] = "application/x-ndjson"
end

function request()
   local first = math.random(rows)
   local second = (first + math.random(rows - 1) - 1) % rows + 1
   local qty = math.random(1000)
   local body = line:format(first, qty) .. line:format(second, qty)
   return wrk.format("POST", nil, nil, body)
end

response = common.checker(function(status, body)
   return status == 200 and body:find('"errors":false', 1, true)
end)
done = common.done
