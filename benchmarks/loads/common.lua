-- What every load shares: how a run is summed up, and how answers are checked.
local common = {}

-- One line of JSON, which the driver looks for by its prefix. wrk itself counts what was answered
-- with 400 or more (`refused`) and what was not answered (`broken`).
function common.done(summary, latency)
   local errors = summary.errors
   io.write(string.format(
      'SUMMARY {"requests":%d,"microseconds":%d,"refused":%d,"broken":%d,' ..
      '"p50_us":%.1f,"p99_us":%.1f,"mean_us":%.1f}\n',
      summary.requests, summary.duration, errors.status,
      errors.connect + errors.read + errors.write + errors.timeout,
      latency:percentile(50), latency:percentile(99), latency.mean))
end

-- A `response` callback that ends wrk at the first answer that is not good. Only while warming up:
-- it makes wrk build a table per answer, on a core that it shares with what it measures.
function common.checker(is_good)
   if not os.getenv("WRK_CHECK") then return nil end
   return function(status, _, body)
      if not is_good(status, body) then
         io.stderr:write("not the expected answer: ", status, " ", body:sub(1, 600), "\n")
         os.exit(1)
      end
   end
end

return common
