"""Run MiniStack, the local AWS: the server of its own command, on the port of GATEWAY_PORT.

One setting differs. The HTTP server under it closes a connection for good after 1,000 requests, and the request that
meets the end is carried out but its answer cut short. A client then repeats it, and a conditional write that had
succeeded reports a conflict that never was. Here a connection may live as long as its client wants.
"""

import sys

from hypercorn.config import Config
from ministack import app

Config.keep_alive_max_requests = sys.maxsize

if __name__ == "__main__":
    app.main()
