"""The agent's packages under their two documented names, streamed from a folder."""

from pathlib import Path

from aiohttp import web

from api_gateway.public import envelope

NAMES = ("AnkaAgent.pkg", "AnkaAgentArm.pkg")
_FAILURE = {"Content-Type": "application/json", "Cache-Control": "no-store"}


class Packages:
    """``folder`` None: there are none."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def add_to(self, app: web.Application) -> None:
        """One route for each name."""
        for name in NAMES:
            app.router.add_get(f"/pkg/{name}", self._send)

    async def _send(self, request: web.Request) -> web.StreamResponse:
        name = request.path.rpartition("/")[2]
        file = self._folder / name if self._folder else None
        if file is None or not file.is_file():
            body = envelope.fail(f"no package {name} on this controller")
            return web.Response(body=body, status=404, headers=_FAILURE)
        return web.FileResponse(file, headers={"Content-Type": "application/octet-stream"})
