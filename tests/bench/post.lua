-- POST one body again and again; what was measured goes out as one line of JSON. Arguments: the body's file, a text that each answer must
-- have ("" for none), then "Name: value" headers.
wrong = 0

function setup(thread)
  sender = thread -- there is one
end

function init(arguments)
  local file = assert(io.open(arguments[1], "rb"))
  wrk.method = "POST"
  wrk.body = file:read("*a")
  file:close()
  local sign = arguments[2]
  if sign ~= "" then
    response = function(_, _, body)
      if not body:find(sign, 1, true) then
        wrong = wrong + 1
      end
    end
  end
  for index = 3, #arguments do
    local name, value = arguments[index]:match("^(.-): (.*)$")
    wrk.headers[name] = value
  end
end

function done(summary, latency, requests)
  local errors = summary.errors
  print(string.format(
    '{"answered": %d, "microseconds": %d, "p50": %.0f, "p99": %.0f, ' ..
    '"errors": {"connect": %d, "read": %d, "write": %d, "timeout": %d, "status": %d, "outcome": %d}}',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect, errors.read, errors.write, errors.timeout, errors.status, sender:get("wrong")))
end
