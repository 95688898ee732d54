"""A registry in memory that does what it is told: refuses, forgets, holds up, goes away."""

import asyncio
from collections import defaultdict

import msgspec
from aiohttp import web

from contracts.artifacts import Manifest, digest_of, reference_of


class FakeRegistry:
    """``asked`` has method and path of every request, ``reverted`` what was to be reverted.

    ``refuse``: the status that manifests are refused with. ``open``: cleared, pushes of blobs wait.
    """

    def __init__(self) -> None:
        self.blobs: dict[str, dict[str, bytes]] = defaultdict(dict)
        self.manifests: dict[tuple[str, str], bytes] = {}
        self.asked: list[tuple[str, str]] = []
        self.reverted: list[tuple[str, str]] = []
        self.versions: set[str] = set()
        self.forgets = 0
        self.refuse = 0
        self.open = asyncio.Event()
        self.open.set()
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def manifest(self, repository: str, tag: str) -> Manifest:
        return msgspec.json.decode(self.manifests[repository, reference_of(tag)], type=Manifest)

    def pushed(self) -> list[str]:
        """Digests of the blobs that were uploaded, in order."""
        return [path for method, path in self.asked if method == "UPLOAD"]

    async def start(self) -> None:
        """Listen, at the same port as before."""
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Be away."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked.append((request.method, request.path))
        if request.path == "/registry/revert":
            return self._revert(request)
        _, repository, kind, name = request.path.removeprefix("/v2").rsplit("/", 3)
        if kind == "uploads":
            return await self._upload(request, request.path.split("/")[2], name)
        if kind == "manifests":
            return await self._take_manifest(request, repository, name)
        return web.Response(status=200 if name in self.blobs[repository] else 404)

    def _revert(self, request: web.Request) -> web.Response:
        number = request.query["number"]
        self.reverted.append((request.query["id"], number))
        if number not in self.versions:
            return web.Response(status=400)
        self.versions.remove(number)
        for held in self.blobs.values():
            held.clear()
        return web.json_response({"status": "OK"})

    async def _upload(self, request: web.Request, repository: str, name: str) -> web.Response:
        await self.open.wait()
        where = {"Location": f"/v2/{repository}/blobs/uploads/one"}
        if request.method == "DELETE":
            return web.Response(status=204)
        if request.method == "POST":
            mounted, source = request.query.get("mount", ""), request.query.get("from", "")
            if mounted in self.blobs[source]:
                self.blobs[repository][mounted] = self.blobs[source][mounted]
                return web.Response(status=201, headers=where)
            self.blobs[repository]["upload"] = b""
        if request.method == "PATCH":
            self.blobs[repository]["upload"] += await request.read()
        if request.method != "PUT":
            return web.Response(status=202, headers=where)
        content = self.blobs[repository].pop("upload")
        digest = request.query["digest"]
        assert digest_of(content) == digest
        self.blobs[repository][digest] = content
        self.asked.append(("UPLOAD", digest))
        return web.Response(status=201)

    async def _take_manifest(
        self, request: web.Request, repository: str, reference: str
    ) -> web.Response:
        content = await request.read()
        if self.refuse:
            return web.Response(status=self.refuse)
        if self.forgets:
            self.forgets -= 1
            self.blobs[repository].clear()
        manifest = msgspec.json.decode(content, type=Manifest)
        if any(blob.digest not in self.blobs[repository] for blob in manifest.blobs):
            error = {"code": "MANIFEST_BLOB_UNKNOWN", "message": "no such blob"}
            return web.json_response({"errors": [error]}, status=404)
        self.manifests[repository, reference] = content
        return web.Response(status=201)
