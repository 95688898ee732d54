"""The storage half of a registry without HTTP, on a clock that the test moves."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import msgspec

from chassis.bus.memory import MemoryBus
from chassis.clock import Clock
from chassis.store.port import Store
from contracts.artifacts import (
    CONFIG_TYPE,
    DISK_TYPE,
    INDEX_TYPE,
    MANIFEST_TYPE,
    Manifest,
    TemplateConfig,
    digest_of,
    template_id_of,
)
from registry.arrivals import Arrivals
from registry.blobs import Blobs
from registry.catalog import Catalog
from registry.folder import Folder
from registry.garbage import Garbage
from registry.holdings import Holdings
from registry.outbox import Outbox
from registry.removals import Removals
from registry.room import Room
from registry.scrub import Scrub
from registry.store import RegistryStore
from registry.templates import Actor, Templates
from registry.uploads import Uploads
from tests.registries import describe

GRACE = 3600.0
SCRUB_INTERVAL = 86_400.0


class Storage:
    """One registry's storage; several may share ``store`` and ``blobs``."""

    def __init__(
        self,
        store: Store,
        blobs: Blobs,
        base: Path,
        clock: Clock,
        *,
        grace: float = GRACE,
        scrub_rate: int = 1 << 40,
    ) -> None:
        span = timedelta(seconds=grace)
        self.raw = store
        self.clock = clock
        self.blobs = blobs
        self.folder = Folder(base)
        self.records = RegistryStore(store)
        self.holdings = Holdings(store, clock, span)
        self.removals = Removals(store, self.folder, clock)
        self.room = Room(self.holdings, blobs, 0, 0)
        self.uploads = Uploads(self.folder, blobs, clock, 0, 86_400)
        self.arrivals = Arrivals(self.uploads, self.holdings, self.room)
        self.outbox = Outbox(self.records, MemoryBus(clock))
        self.templates = Templates(self.records, self.outbox, clock)
        self.catalog = Catalog(self.records, self.holdings, blobs, self.templates, clock)
        self.garbage = Garbage(
            self.records, self.holdings, self.removals, blobs, self.room, clock, span
        )
        self.scrub = Scrub(self.removals, blobs, clock, SCRUB_INTERVAL, scrub_rate)

    async def start(self) -> None:
        """Take the folder, make indexes, end what an earlier one left."""
        parts = (self.folder, self.records, self.holdings, self.blobs, self.uploads, self.garbage)
        for part in parts:
            await part.start()

    async def push_blob(self, repository: str, content: bytes) -> str:
        """Upload a blob; its digest."""

        async def body() -> AsyncIterator[bytes]:
            yield content

        upload = await self.uploads.begin(repository)
        await self.uploads.append(upload, body())
        await self.arrivals.finish(upload, digest_of(content))
        return digest_of(content)

    async def push(self, repository: str, tag: str, layers: list[bytes], subject: str = "") -> str:
        """Push blobs and a manifest; without a ``tag`` it is pushed by its digest."""
        for content in (b"{}", *layers):
            await self.push_blob(repository, content)
        return await self.put(repository, tag, image(layers, subject))

    async def push_template(self, repository: str, tag: str, layers: list[bytes]) -> str:
        """Push one tag of a template."""
        config = msgspec.json.encode(TemplateConfig(name="demo", description=tag))
        for content in (config, *layers):
            await self.push_blob(repository, content)
        manifest = Manifest(
            config=describe(CONFIG_TYPE, config),
            layers=tuple(describe(DISK_TYPE, layer) for layer in layers),
        )
        return await self.put(repository, tag, msgspec.json.encode(manifest))

    async def push_index(self, repository: str, tag: str, children: list[str]) -> str:
        """Push an index of manifests that are here."""
        described = []
        for child in children:
            found = await self.catalog.find(repository, child)
            size = len(found.content)
            described.append({"mediaType": MANIFEST_TYPE, "digest": child, "size": size})
        content = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": described}
        return await self.put(repository, tag, msgspec.json.encode(content), INDEX_TYPE)

    async def put(
        self, repository: str, tag: str, content: bytes, media_type: str = MANIFEST_TYPE
    ) -> str:
        """Put a manifest whose content is here."""
        reference = tag or digest_of(content)
        done = await self.catalog.push(repository, reference, content, media_type, Actor())
        return done.digest

    async def untag(self, repository: str, reference: str) -> None:
        """Delete a tag, or a manifest by its digest."""
        await self.catalog.delete(repository, reference, Actor())

    async def revert(self, repository: str, number: int) -> None:
        """Remove a version of a template and every newer one."""
        await self.templates.revert(template_id_of(repository), number, Actor())

    async def stored(self) -> set[str]:
        """The digests of all content."""
        found: set[str] = set()
        async for batch in self.blobs.stored():
            found |= set(batch)
        return found

    async def manifests(self) -> set[str]:
        """The digests of all manifests."""
        found: set[str] = set()
        for repository in await self.removals.repositories():
            found |= {node.digest for node in await self.removals.nodes_of(repository)}
        return found

    async def broken(self) -> list[str]:
        """Every reference of a manifest to content or manifests that are not there."""
        wrong = []
        for repository in await self.removals.repositories():
            nodes = await self.removals.nodes_of(repository)
            here = {node.digest for node in nodes}
            for node in nodes:
                links = {link.digest for link in await self.holdings.links(repository, node.blobs)}
                wrong += [f"{node.id} lacks {child}" for child in set(node.children) - here]
                wrong += [f"{node.id} has no link to {blob}" for blob in set(node.blobs) - links]
                for blob in node.blobs:
                    if await self.blobs.size(blob) is None:
                        wrong.append(f"{node.id} lacks {blob}")
        return wrong


def before(owner: object, verb: str, action: Callable[[], Awaitable[object]]) -> None:
    """Do ``action`` once, just before ``owner`` does ``verb``."""
    real = getattr(owner, verb)

    async def step(*args: object) -> object:
        setattr(owner, verb, real)
        await action()
        return await real(*args)

    setattr(owner, verb, step)


def image(layers: list[bytes], subject: str = "") -> bytes:
    """A manifest of these layers, of no particular kind."""
    manifest: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": describe("application/vnd.oci.empty.v1+json", b"{}"),
        "layers": [describe("application/octet-stream", layer) for layer in layers],
    }
    if subject:
        manifest["subject"] = {"mediaType": MANIFEST_TYPE, "digest": subject, "size": 1}
    return msgspec.json.encode(manifest)
