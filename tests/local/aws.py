"""Run MiniStack, the local AWS, on the port in GATEWAY_PORT.

Three things differ from the `ministack` command:

1. By default its HTTP server closes a connection after 1,000 requests. It executes the request that
   meets this limit but truncates the response. The client then retries, and a conditional write
   that succeeded reports a conflict. Here the server never limits the requests of a connection.
2. GET /_local/items returns all items of all tables at one moment, which no request of DynamoDB can
   do. keep.py needs it.
3. POST /_local/events is PutEvents for a source of AWS, such as aws.guardduty. PutEvents rejects
   such a source. Package scanner needs it.
"""

import json
import sys

from hypercorn.config import Config
from ministack import app
from ministack.services import dynamodb, eventbridge

Config.keep_alive_max_requests = sys.maxsize


def items():
    """Return the items of each table in DynamoDB's JSON. MiniStack executes a request of DynamoDB in
    one step of its event loop, and so is this function: no transaction is half in the result."""
    return {name: [item for partition in table["items"].values() for item in partition.values()]
            for (_, _, name), table in dynamodb._tables.all_items()}


def put_events(body):
    """Put events on a bus as a service of AWS. Return the response of PutEvents."""
    _, _, response = eventbridge._put_events(json.loads(body), allow_aws_source=True)
    return response if isinstance(response, bytes) else response.encode()


async def read(receive):
    """Return the body of a request."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body


def with_local_paths(application):
    """Return the ASGI application with the paths below /_local/."""

    async def wrapper(scope, receive, send):
        path = scope["path"] if scope["type"] == "http" else None
        if path == "/_local/items":
            body = json.dumps(items()).encode()
        elif path == "/_local/events" and scope["method"] == "POST":
            body = put_events(await read(receive))
        else:
            await application(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": body})

    return wrapper


if __name__ == "__main__":
    app.app = with_local_paths(app.app)
    app.main()
