"""Manifests and blobs: from anything that speaks the OCI Distribution spec 1.1, or from here."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import aiohttp
from multidict import CIMultiDict

from chassis.unreached import reason
from contracts.artifacts import INDEX_TYPE, MANIFEST_TYPE, MAX_MANIFEST
from node_agent.drivers.port import HostFault, ImageSource, SourceDown
from node_agent.metrics import FETCHED

_CHUNK = 1 << 20
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=15, sock_read=60)
_OK, _PARTIAL = 200, 206
_BUSY, _BROKEN = 429, 500


class HttpImageSource:
    """A registry, or a neighbour that has the same blobs. ``address`` without a path.

    Raises SourceDown when it may be better a little later, HostFault when not. ``kind`` is what
    the metrics call it, ``given`` are headers of every request. ``redirects`` are followed, as a
    registry's to where its blobs are; a neighbour has no reason to send us anywhere.
    """

    def __init__(
        self,
        session: Callable[[], aiohttp.ClientSession],
        address: str,
        timeout: aiohttp.ClientTimeout = _TIMEOUT,
        kind: str = "registry",
        given: Mapping[str, str] | None = None,
        *,
        redirects: bool = True,
    ) -> None:
        self._given = given or {}
        self._redirects = redirects
        self.address = address.rstrip("/")
        self._session = session
        self._timeout = timeout
        self._fetched = FETCHED.labels(kind)

    async def manifest(self, repository: str, reference: str) -> bytes:
        """See ImageSource."""
        url = f"{self.address}/v2/{repository}/manifests/{reference}"
        headers = CIMultiDict([("Accept", MANIFEST_TYPE), ("Accept", INDEX_TYPE)], **self._given)
        try:
            async with self._get(url, headers) as answer:
                if answer.status != _OK:
                    raise _refusal(answer.status, url)
                body = await _read(answer, MAX_MANIFEST)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise SourceDown(f"registry {self.address}: {reason(error)}") from error
        if reference.startswith("sha256:") and _digest(body) != reference:
            raise HostFault(f"{url}: the manifest is not what its digest says")
        return body

    async def blob(self, repository: str, digest: str, offset: int = 0) -> AsyncIterator[bytes]:
        """See ImageSource. A server without ranges sends all; what we have is skipped."""
        url = f"{self.address}/v2/{repository}/blobs/{digest}"
        headers = {**self._given, **({"Range": f"bytes={offset}-"} if offset else {})}
        try:
            async with self._get(url, headers) as answer:
                if answer.status not in (_OK, _PARTIAL):
                    raise _refusal(answer.status, url)
                skip = offset if answer.status == _OK else 0
                async for chunk in answer.content.iter_chunked(_CHUNK):
                    self._fetched.inc(len(chunk))
                    if skip >= len(chunk):
                        skip -= len(chunk)
                        continue
                    yield chunk[skip:]
                    skip = 0
        except (aiohttp.ClientError, TimeoutError) as error:
            raise SourceDown(f"registry {self.address}: {reason(error)}") from error

    def _get(
        self, url: str, headers: Mapping[str, str]
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        return self._session().get(
            url, headers=headers, timeout=self._timeout, allow_redirects=self._redirects
        )


class LocalImage:
    """An image of which this host has all: the manifest, and the blobs by digest."""

    address = "this host"

    def __init__(self, content: bytes, files: Mapping[str, Path | bytes]) -> None:
        self._content = content
        self._files = files

    async def manifest(self, repository: str, reference: str) -> bytes:  # noqa: ARG002 -- the port's
        """See ImageSource."""
        return self._content

    async def blob(self, repository: str, digest: str, offset: int = 0) -> AsyncIterator[bytes]:  # noqa: ARG002 -- the port's
        """See ImageSource."""
        held = self._files[digest]
        if isinstance(held, bytes):
            yield held[offset:]
            return
        with held.open("rb") as file:
            file.seek(offset)
            while piece := await asyncio.to_thread(file.read, _CHUNK):
                yield piece


class ImageSources:
    """One HTTP session for all registries of a process, opened when it is needed.

    ``relieved`` makes of a registry what is asked instead of it: neighbours, and it for the rest.
    ``given``: headers for registries, and for nobody else.
    """

    def __init__(
        self, relieved: "Relieved | None" = None, given: Mapping[str, str] | None = None
    ) -> None:
        self._relieved = relieved
        self._given = given or {}
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """See Part."""

    async def stop(self) -> None:
        """See Part."""
        if self._session is not None:
            await self._session.close()

    def at(self, address: str) -> ImageSource:
        """The registry at an address, for one pull."""
        if self._relieved is not None:
            return self._relieved(self._open, address, self._given)
        return HttpImageSource(self._open, address, given=self._given)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit_per_host=8)
            self._session = aiohttp.ClientSession(connector=connector, auto_decompress=False)
        return self._session


Relieved = Callable[[Callable[[], aiohttp.ClientSession], str, Mapping[str, str]], ImageSource]


def _refusal(status: int, url: str) -> HostFault:
    kind = SourceDown if status >= _BROKEN or status == _BUSY else HostFault
    return kind(f"registry answered {status} for {url}")


async def _read(answer: aiohttp.ClientResponse, most: int) -> bytes:
    body = bytearray()
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) > most:
            raise HostFault(f"{answer.url}: a manifest of more than {most} bytes is none")
    return bytes(body)


def _digest(body: bytes) -> str:
    return "sha256:" + hashlib.sha256(body).hexdigest()
