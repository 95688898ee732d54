"""Uploads over HTTP: at once, in pieces, resumed, or mounted from another repository."""

import re
from collections.abc import AsyncIterator

from aiohttp import web

from contracts.artifacts import DIGEST_PATTERN, REPOSITORY_PATTERN
from registry.arrivals import Arrivals
from registry.holdings import Holdings
from registry.oci.errors import OciError
from registry.oci.names import keepable_digest, repository_of
from registry.room import Room
from registry.uploads import OutOfOrder, UnknownUpload, Upload, Uploads

_RANGE = re.compile(r"(?:bytes )?([0-9]{1,18})-([0-9]{1,18})(?:/.*)?")


class UploadRoutes:
    """``/v2/<name>/blobs/uploads/[<id>]``.

    Answers about an upload carry ``Upload-Offset`` beside ``Range``: the latter cannot tell
    nothing from one byte.
    """

    def __init__(
        self, uploads: Uploads, arrivals: Arrivals, holdings: Holdings, room: Room
    ) -> None:
        self._uploads = uploads
        self._arrivals = arrivals
        self._holdings = holdings
        self._room = room

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        for path in ("/v2/{name:.+}/blobs/uploads/", "/v2/{name:.+}/blobs/uploads"):
            app.router.add_post(path, self.begin)
        path = "/v2/{name:.+}/blobs/uploads/{upload}"
        app.router.add_get(path, self.status)
        app.router.add_patch(path, self.append)
        app.router.add_put(path, self.finish)
        app.router.add_delete(path, self.cancel)

    async def begin(self, request: web.Request) -> web.Response:
        """Mount, take the whole blob, or open an upload."""
        repository = repository_of(request)
        mounted = await self._mount(request, repository)
        if mounted is not None:
            return mounted
        digest = request.query.get("digest", "")
        if digest:
            keepable_digest(digest)
        size = request.content_length or 0
        allowance = await self._room.allowance(repository, size)
        await self._uploads.make_room(size)
        upload = await self._uploads.begin(repository)
        if not digest:
            return _progress(upload, 202)
        try:
            await self._uploads.append(upload, _body(request), allowance=allowance)
            return await self._finish(upload, digest)
        except BaseException:
            await self._uploads.drop(upload)  # nobody was told where it could go on
            raise

    async def status(self, request: web.Request) -> web.Response:
        """How far the upload is."""
        return _progress(await self._upload(request), 204)

    async def append(self, request: web.Request) -> web.Response:
        """One more piece; with Content-Range it must begin where the upload ends."""
        upload = await self._upload(request)
        await self._append(request, upload)
        return _progress(upload, 202)

    async def finish(self, request: web.Request) -> web.Response:
        """The last piece, perhaps empty, and the digest of the whole."""
        repository = repository_of(request)
        digest = keepable_digest(request.query.get("digest", ""))
        try:
            upload = await self._upload(request)
        except UnknownUpload:
            link = await self._holdings.link(repository, digest)
            if link is None or not await self._holdings.touch(link):
                raise
            return _created(repository, digest)  # a repeat: the first answer was lost
        if request.can_read_body:
            await self._append(request, upload)
        return await self._finish(upload, digest)

    async def cancel(self, request: web.Request) -> web.Response:
        """Drop the upload."""
        await self._uploads.drop(await self._upload(request))
        return web.Response(status=204)

    async def _upload(self, request: web.Request) -> Upload:
        return await self._uploads.get(repository_of(request), request.match_info["upload"])

    async def _append(self, request: web.Request, upload: Upload) -> None:
        begins = _begins(request)
        size = request.content_length or 0
        await self._uploads.make_room(size)
        allowance = await self._room.allowance(upload.repository, upload.offset + size)
        try:
            await self._uploads.append(upload, _body(request), begins, allowance)
        except OutOfOrder as error:
            raise OciError(416, "BLOB_UPLOAD_INVALID", str(error), _where(upload)) from None

    async def _finish(self, upload: Upload, digest: str) -> web.Response:
        await self._arrivals.finish(upload, digest)
        return _created(upload.repository, digest)

    async def _mount(self, request: web.Request, repository: str) -> web.Response | None:
        digest, source = request.query.get("mount", ""), request.query.get("from", "")
        if not DIGEST_PATTERN.fullmatch(digest) or not REPOSITORY_PATTERN.fullmatch(source):
            return None
        if not await self._arrivals.mount(source, repository, digest):
            return None
        return _created(repository, digest)


async def _body(request: web.Request) -> AsyncIterator[bytes]:
    while piece := await request.content.readany():
        yield piece


def _begins(request: web.Request) -> int | None:
    header = request.headers.get("Content-Range")
    if header is None:
        return None
    found = _RANGE.fullmatch(header)
    if found is None:
        raise OciError(416, "BLOB_UPLOAD_INVALID", "the Content-Range is malformed")
    first, last = int(found[1]), int(found[2])
    length = request.content_length
    if length is not None and length != last - first + 1:
        raise OciError(400, "SIZE_INVALID", "Content-Range and Content-Length differ")
    return first


def _where(upload: Upload) -> dict[str, str]:
    return {
        "Location": f"/v2/{upload.repository}/blobs/uploads/{upload.id}",
        "Range": f"0-{max(upload.offset - 1, 0)}",
        "Upload-Offset": str(upload.offset),
        "Docker-Upload-UUID": upload.id,
    }


def _progress(upload: Upload, status: int) -> web.Response:
    return web.Response(status=status, headers=_where(upload))


def _created(repository: str, digest: str) -> web.Response:
    headers = {
        "Location": f"/v2/{repository}/blobs/{digest}",
        "Docker-Content-Digest": digest,
    }
    return web.Response(status=201, headers=headers)
