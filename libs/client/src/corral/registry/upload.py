"""Sending one blob in chunks; after a cut the registry is asked how far it is."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
from yarl import URL

from corral.registry.errors import RegistryError, refusal
from corral.registry.retry import Patience

_PIECE = 1 << 20
_NOT_FOUND = 404
_ELSEWHERE = frozenset({409, 416})
"""The registry is at another offset than we believed."""


class UploadLost(RegistryError):
    """The registry does not know the upload (any more)."""


class Sender:
    """One upload of one blob, ``chunk`` bytes a request, until it is there or patience ends."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        uploads: URL,
        chunk: int,
        patience: Patience,
        moved: Callable[[int], None],
    ) -> None:
        self._session = session
        self._uploads = uploads
        self._chunk = chunk
        self._patience = patience
        self._moved = moved
        self._url: URL | None = None
        self._offset = 0
        self._furthest = 0

    async def send(self, digest: str, content: Path | bytes) -> None:
        """Upload ``content``, whose digest is ``digest``; UploadLost when it must begin anew."""
        size = (
            len(content) if isinstance(content, bytes) else await asyncio.to_thread(_size, content)
        )
        while True:
            try:
                url = self._url or await self._begin()
                while self._offset < size:
                    url = await self._append(url, content, min(self._chunk, size - self._offset))
                await self._finish(url, digest)
            except Exception as error:
                await self._recover(error)
            else:
                return

    async def _begin(self) -> URL:
        async with self._session.post(self._uploads) as response:
            await _expect(response, 202)
            url = self._heard(response)
        self._offset = 0
        return url

    async def _append(self, url: URL, content: Path | bytes, count: int) -> URL:
        start = self._offset
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(count),
            "Content-Range": f"{start}-{start + count - 1}",
        }
        body = _pieces(content, start, count)
        async with self._session.patch(url, data=body, headers=headers) as response:
            await _expect(response, 202)
            url = self._heard(response)
        self._reached(start + count)
        return url

    async def _finish(self, url: URL, digest: str) -> None:
        headers = {"Content-Length": "0"}
        async with self._session.put(url.update_query(digest=digest), headers=headers) as response:
            await _expect(response, 201)

    async def _recover(self, error: Exception) -> None:
        """Wait, then find out how far the upload is."""
        status = self._status(error)
        await self._patience.after(error, passing=status in _ELSEWHERE)
        if self._url is None:
            return
        try:
            async with self._session.get(self._url) as response:
                await _expect(response, 204)
                self._heard(response)
        except Exception as again:
            self._status(again)
            await self._patience.after(again)

    def _status(self, error: Exception) -> int:
        """The status the registry refused with, else 0; UploadLost when it knows no upload."""
        status = error.status if isinstance(error, RegistryError) else 0
        if status == _NOT_FOUND and self._url is not None:
            raise UploadLost(str(error), status=status) from error
        return status

    def _heard(self, response: aiohttp.ClientResponse) -> URL:
        """Take place and progress from an answer of the registry."""
        if location := response.headers.get("Location"):
            self._url = response.url.join(URL(location))
        if exact := response.headers.get("Upload-Offset"):
            self._reached(int(exact))
        elif heard := response.headers.get("Range"):
            last = int(heard.rpartition("-")[2])
            self._reached(last + 1 if last else 0)
        return self._url or response.url

    def _reached(self, offset: int) -> None:
        """The registry has this much; what it never had before is progress."""
        self._offset = offset
        if offset > self._furthest:
            self._patience.progressed()
            self._moved(offset - self._furthest)
            self._furthest = offset


def _size(file: Path) -> int:
    return file.stat().st_size


async def _expect(response: aiohttp.ClientResponse, status: int) -> None:
    if response.status != status:
        raise await refusal(response)


async def _pieces(content: Path | bytes, start: int, count: int) -> AsyncIterator[bytes]:
    stop = start + count
    if isinstance(content, bytes):
        yield content[start:stop]
        return
    descriptor = await asyncio.to_thread(os.open, content, os.O_RDONLY)
    try:
        while start < stop:
            piece = await asyncio.to_thread(os.pread, descriptor, min(_PIECE, stop - start), start)
            if not piece:
                raise RegistryError(f"{content} became shorter while it was sent")
            start += len(piece)
            yield piece
    finally:
        os.close(descriptor)
