"""Run MiniStack, the local AWS, on the port in GATEWAY_PORT.

One setting differs from the `ministack` command. By default its HTTP server closes a connection
after 1,000 requests. It executes the request that meets this limit but truncates the response. The
client then retries, and a conditional write that succeeded reports a conflict. Here the server
never limits the requests of a connection.
"""

import sys

from hypercorn.config import Config
from ministack import app

Config.keep_alive_max_requests = sys.maxsize

if __name__ == "__main__":
    app.main()
