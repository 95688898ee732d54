"""An OCI registry as seen by a client: blobs and manifests, resumed where a connection broke."""

import asyncio
import hashlib
import io
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
import msgspec
from yarl import URL

from contracts.artifacts import (
    DIGEST_PATTERN,
    INDEX_TYPE,
    MANIFEST_TYPE,
    MAX_MANIFEST,
    digest_of,
)
from corral.registry.errors import Corrupt, RegistryError, refusal
from corral.registry.retry import Patience
from corral.registry.upload import Sender, UploadLost
from corral.root import credentials

Chunk = Callable[[int], None]
"""Told how many more bytes were moved."""

_PIECE = 1 << 20
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
_REFUSED = 400


class RegistryClient:
    """One registry. ``tries``: how often a request is tried without any progress.

    ``root_token`` is presented to it. Use as an async context manager. Raises RegistryError and
    its kinds.
    """

    def __init__(
        self, address: str, *, root_token: str = "", tries: int = 5, chunk: int = 64 << 20
    ) -> None:
        self.address = address.rstrip("/")
        self._credentials = credentials(root_token)
        self._tries = tries
        self._chunk = chunk
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def manifest(self, repository: str, reference: str) -> bytes:
        """The manifest's bytes; verified when ``reference`` is a digest (else Corrupt)."""
        url = self.url(repository, "manifests", reference)
        headers = {"Accept": f"{MANIFEST_TYPE}, {INDEX_TYPE}"}
        patience = Patience(self._tries)
        while True:
            try:
                async with self.session.get(url, headers=headers) as response:
                    await _expect(response, 200)
                    content = await _small(response)
                break
            except Exception as error:
                await patience.after(error)
        if DIGEST_PATTERN.fullmatch(reference) and digest_of(content) != reference:
            raise Corrupt(f"the manifest {reference} is not what its digest says")
        return content

    async def has_manifest(self, repository: str, reference: str) -> bool:
        """Whether there is one; does not count as a pull."""
        return await self._head(self.url(repository, "manifests", reference))

    async def has_blob(self, repository: str, digest: str) -> bool:
        """Whether the repository has the blob."""
        return await self._head(self.url(repository, "blobs", digest))

    async def blob(self, repository: str, digest: str, offset: int = 0) -> AsyncIterator[bytes]:
        """A blob's bytes from ``offset`` on, over as many connections as it takes.

        Not verified: the whole is not seen here. Use ``fetch`` for a verified file.
        """
        patience = Patience(self._tries)
        url = self.url(repository, "blobs", digest)
        while True:
            headers = {"Range": f"bytes={offset}-"} if offset else {}
            try:
                async with self.session.get(url, headers=headers) as response:
                    if offset and response.status == 416:  # noqa: PLR2004 -- nothing is left
                        return
                    await _expect(response, 206 if offset else 200)
                    async for piece in response.content.iter_chunked(_PIECE):
                        offset += len(piece)
                        patience.progressed()
                        yield piece
            except Exception as error:
                await patience.after(error)
            else:
                return

    async def fetch(
        self, repository: str, digest: str, target: Path, moved: Chunk | None = None
    ) -> None:
        """Have the blob in ``target``: what is there is continued, the whole verified.

        The name appears when all is there; until then it is ``<name>.part``.
        Corrupt when the content is wrong; the part is gone then.
        """
        part = target.with_name(target.name + ".part")
        digester, offset = await asyncio.to_thread(_resume, part)
        with part.open("ab") as file:
            async for piece in self.blob(repository, digest, offset):
                await asyncio.to_thread(_take, file.write, digester.update, piece)
                if moved is not None:
                    moved(len(piece))
            file.flush()
            await asyncio.to_thread(os.fsync, file.fileno())
        if f"sha256:{digester.hexdigest()}" != digest:
            part.unlink()
            raise Corrupt(f"the blob {digest} is not what its digest says")
        part.rename(target)

    async def push_blob(
        self, repository: str, digest: str, content: Path | bytes, moved: Chunk | None = None
    ) -> bool:
        """Have the blob in the repository, resumed after cuts; False when it was there."""
        uploads = self.url(repository, "blobs", "uploads/")
        patience = Patience(self._tries)
        sent = False
        while not await self.has_blob(repository, digest):
            sender = Sender(self.session, uploads, self._chunk, patience, moved or _ignore)
            try:
                await sender.send(digest, content)
            except UploadLost as error:
                await patience.after(error, passing=True)
            else:
                return True
            sent = True
        return sent

    async def mount_blob(self, repository: str, digest: str, source: str) -> bool:
        """Have a blob that the repository ``source`` has; False when it must be pushed instead."""
        uploads = self.url(repository, "blobs", "uploads/")
        wish = uploads.with_query({"mount": digest, "from": source})
        patience = Patience(self._tries)
        while True:
            try:
                async with self.session.post(wish) as response:
                    if response.status == 201:  # noqa: PLR2004 -- it is there
                        return True
                    await _expect(response, 202)
                    begun = response.url.join(URL(response.headers["Location"]))
                async with self.session.delete(begun):
                    return False
            except Exception as error:
                await patience.after(error)

    async def revert(self, template_id: str, number: int) -> bool:
        """Remove a version of a template and every newer one; False when there is none such.

        Not a part of the OCI Distribution specification.
        """
        url = URL(f"{self.address}/registry/revert").with_query(id=template_id, number=number)
        patience = Patience(self._tries)
        while True:
            try:
                async with self.session.delete(url) as response:
                    if response.status == _REFUSED:
                        return False
                    await _expect(response, 200)
                    return _succeeded(await response.read())
            except Exception as error:
                await patience.after(error)

    async def push_manifest(self, repository: str, reference: str, content: bytes) -> str:
        """Put a manifest under a reference; its digest."""
        url = self.url(repository, "manifests", reference)
        patience = Patience(self._tries)
        while True:
            try:
                async with self.session.put(
                    url, data=io.BytesIO(content), headers={"Content-Type": MANIFEST_TYPE}
                ) as response:
                    await _expect(response, 201)
                return digest_of(content)
            except Exception as error:
                await patience.after(error)

    def url(self, repository: str, kind: str, name: str) -> URL:
        """Where something of a repository stands."""
        return URL(f"{self.address}/v2/{repository}/{kind}/{name}")

    @property
    def session(self) -> aiohttp.ClientSession:
        """The connections, opened at first use."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=_TIMEOUT, auto_decompress=False, headers=self._credentials
            )
        return self._session

    async def _head(self, url: URL) -> bool:
        patience = Patience(self._tries)
        while True:
            try:
                async with self.session.head(url) as response:
                    if response.status == 404:  # noqa: PLR2004 -- not there
                        return False
                    await _expect(response, 200)
                    return True
            except Exception as error:
                await patience.after(error)


class _Envelope(msgspec.Struct, frozen=True):
    status: str


def _succeeded(content: bytes) -> bool:
    """Whether a documented call did what it was asked; a template unknown is FAIL under 200."""
    try:
        return msgspec.json.decode(content, type=_Envelope).status == "OK"
    except msgspec.MsgspecError as error:
        raise RegistryError(f"the registry's answer is not the documented one: {error}") from None


async def _expect(response: aiohttp.ClientResponse, status: int) -> None:
    if response.status != status:
        raise await refusal(response)


async def _small(response: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for piece in response.content.iter_any():
        content += piece
        if len(content) > MAX_MANIFEST:
            raise Corrupt("the manifest is larger than any manifest may be")
    return bytes(content)


def _resume(part: Path) -> tuple["hashlib._Hash", int]:
    """What a part hashes to so far, and its size."""
    part.touch()
    with part.open("rb") as file:
        digester = hashlib.sha256()
        while piece := file.read(_PIECE):
            digester.update(piece)
        return digester, file.tell()


def _take(write: Callable[[bytes], object], update: Callable[[bytes], None], piece: bytes) -> None:
    write(piece)
    update(piece)


def _ignore(_moved: int) -> None:
    """Nobody watches."""
