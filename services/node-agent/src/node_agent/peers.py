"""Blobs from neighbours that have them, so that one new tag crosses the registry's network once.

A neighbour is never trusted and never waited for: what is wrong, slow or missing there comes from
the registry.
"""

import random
import time
from collections.abc import AsyncIterator, Callable, Mapping

import aiohttp
import msgspec
import structlog

from contracts.artifacts import DIGEST_PATTERN
from node_agent.drivers.port import HostFault
from node_agent.image_source import HttpImageSource

_TRIED = 4
"""Neighbours that are tried for one blob."""

_TIMEOUT = aiohttp.ClientTimeout(total=1800, sock_connect=3, sock_read=5)
"""After the whole time of one blob the next neighbour, or the registry, goes on."""

_ASKING = aiohttp.ClientTimeout(total=5)
_GRACE_SECONDS = 5.0
_SLOWEST = 256 * 1024
"""Bytes a second below which, after the grace, a neighbour is given up."""

_OK = 200
_log = structlog.get_logger()


class _Peer(msgspec.Struct, frozen=True):
    address: str


class _Answer(msgspec.Struct, frozen=True):
    body: list[_Peer]


class PeerSource:
    """A registry, relieved by the nodes that have the same blobs; for one pull.

    ``given`` are headers that only the registry gets. A blob that is asked for a second time comes
    from the registry: what the neighbours gave was wrong.
    """

    def __init__(
        self,
        session: Callable[[], aiohttp.ClientSession],
        address: str,
        given: Mapping[str, str],
        *,
        node_id: str,
    ) -> None:
        self._registry = HttpImageSource(session, address, given=given)
        self._given = given
        self._session = session
        self._node_id = node_id
        self._manifest = ""
        self._asked: set[str] = set()
        self.address = self._registry.address

    async def manifest(self, repository: str, reference: str) -> bytes:
        """From the registry, which so knows of the pull; a neighbour's only when that fails."""
        if DIGEST_PATTERN.fullmatch(reference):
            self._manifest = reference
        try:
            return await self._registry.manifest(repository, reference)
        except HostFault as error:
            if reference == self._manifest:
                for neighbour in await self._neighbours(reference):
                    try:
                        return await neighbour.manifest(repository, reference)
                    except HostFault as worse:
                        _log.info("peer.no_manifest", error=str(worse))
            raise error from None

    async def blob(self, repository: str, digest: str, offset: int = 0) -> AsyncIterator[bytes]:
        """See ImageSource. Where a neighbour breaks off the next one goes on."""
        if digest not in self._asked:
            self._asked.add(digest)
            for neighbour in await self._neighbours(digest):
                try:
                    async for piece in _brisk(neighbour.blob(repository, digest, offset)):
                        offset += len(piece)
                        yield piece
                except HostFault as error:
                    _log.info("peer.gave_up", peer=neighbour.address, error=str(error))
                else:
                    return
        async for piece in self._registry.blob(repository, digest, offset):
            yield piece

    async def _neighbours(self, digest: str) -> list[HttpImageSource]:
        """Who has the blob or its manifest, in any order; nobody when the registry cannot tell."""
        wanted = [("digest", each) for each in {digest, self._manifest} if each]
        query = [*wanted, ("node_id", self._node_id)]
        url = f"{self.address}/registry/peers"
        try:
            async with self._session().get(
                url, params=query, headers=self._given, timeout=_ASKING
            ) as answer:
                if answer.status != _OK:
                    return []
                peers = msgspec.json.decode(await answer.read(), type=_Answer).body
        except (aiohttp.ClientError, TimeoutError, msgspec.MsgspecError) as error:
            _log.info("peer.unknown", error=repr(error))
            return []
        chosen = random.sample(peers, min(len(peers), _TRIED))
        return [
            HttpImageSource(self._session, peer.address, _TIMEOUT, "neighbour", redirects=False)
            for peer in chosen
        ]


async def _brisk(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The pieces; HostFault when they come too slowly."""
    begun, got = time.monotonic(), 0
    async for piece in pieces:
        yield piece
        got += len(piece)
        seconds = time.monotonic() - begun - _GRACE_SECONDS
        if seconds > 0 and got < _SLOWEST * seconds:
            raise HostFault(f"less than {_SLOWEST} bytes a second")
