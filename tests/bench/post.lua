-- POST one body again and again; what was measured goes out as one line of JSON. Arguments: the body's file, then "Name: value" headers.
function init(arguments)
  local file = assert(io.open(arguments[1], "rb"))
  wrk.method = "POST"
  wrk.body = file:read("*a")
  file:close()
  for index = 2, #arguments do
    local name, value = arguments[index]:match("^(.-): (.*)$")
    wrk.headers[name] = value
  end
end

function done(summary, latency, requests)
  local errors = summary.errors
  print(string.format(
    '{"answered": %d, "microseconds": %d, "p50": %.0f, "p99": %.0f, ' ..
    '"errors": {"connect": %d, "read": %d, "write": %d, "timeout": %d, "status": %d}}',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect, errors.read, errors.write, errors.timeout, errors.status))
end
