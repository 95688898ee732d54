"""The file server for what agents leave about failed VMs. The paths are those of the folders."""

import asyncio

from aiohttp import web

from registry.facade.envelope import ok
from registry.facade.logs import attached
from registry.vm_files import VmFiles

_PIECE = 64 << 10


class FileRoutes:
    """``/files/logs/<vm uuid>`` and ``/files/logs/<vm uuid>/<name>``."""

    def __init__(self, files: VmFiles) -> None:
        self._files = files

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        router = app.router
        router.add_get("/files/logs/{vm}", self.list)
        router.add_get("/files/logs/{vm}/", self.list)
        router.add_get("/files/logs/{vm}/{name}", self.download)
        router.add_put("/files/logs/{vm}/{name}", self.upload)

    async def list(self, request: web.Request) -> web.Response:
        """The files of a VM; none when nobody left any."""
        return ok(await asyncio.to_thread(self._files.list, request.match_info["vm"]))

    async def download(self, request: web.Request) -> web.StreamResponse:
        """One file."""
        vm, name = request.match_info["vm"], request.match_info["name"]
        return attached(await asyncio.to_thread(self._files.find, vm, name))

    async def upload(self, request: web.Request) -> web.Response:
        """Keep the body as a file, in place of one of that name."""
        vm, name = request.match_info["vm"], request.match_info["name"]
        await self._files.put(vm, name, request.content.iter_chunked(_PIECE))
        return ok(None)
