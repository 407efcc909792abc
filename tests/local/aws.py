"""Run MiniStack, the local AWS, on the port in GATEWAY_PORT.

Two things differ from the `ministack` command:

1. By default its HTTP server closes a connection after 1,000 requests. It executes the request that
   meets this limit but truncates the response. The client then retries, and a conditional write
   that succeeded reports a conflict. Here the server never limits the requests of a connection.
2. GET /_local/items returns all items of all tables at one moment, which no request of DynamoDB can
   do. keep.py needs it.
"""

import json
import sys

from hypercorn.config import Config
from ministack import app
from ministack.services import dynamodb

Config.keep_alive_max_requests = sys.maxsize


def items():
    """Return the items of each table in DynamoDB's JSON. MiniStack executes a request of DynamoDB in
    one step of its event loop, and so is this function: no transaction is half in the result."""
    return {name: [item for partition in table["items"].values() for item in partition.values()]
            for (_, _, name), table in dynamodb._tables.all_items()}


def with_items(application):
    """Return the ASGI application with the path /_local/items."""

    async def wrapper(scope, receive, send):
        if scope["type"] != "http" or scope["path"] != "/_local/items":
            await application(scope, receive, send)
            return
        body = json.dumps(items()).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": body})

    return wrapper


if __name__ == "__main__":
    app.app = with_items(app.app)
    app.main()
