"""What aiohttp itself can do: `python -m tests.bench.bare PORT ONE LIST`.

Answers every request with the bytes of a file: ONE when the query has an id, else LIST.
"""

import asyncio
import sys
from pathlib import Path

import uvloop
from aiohttp import web

from chassis.service import allow_connections, calm_the_collector


async def _serve(port: int, one: bytes, many: bytes) -> None:
    async def answer(request: web.Request) -> web.Response:
        body = one if "id" in request.query else many
        return web.Response(body=body, content_type="application/json")

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    calm_the_collector()
    allow_connections()
    uvloop.run(_serve(int(sys.argv[1]), *(Path(name).read_bytes() for name in sys.argv[2:])))
