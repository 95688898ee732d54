"""A real registry on loopback, and templates to push to it."""

import asyncio
import os
import struct
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from chassis.bus.memory import MemoryBus
from chassis.bus.port import Bus
from chassis.clock import SystemClock
from chassis.store.mongo import MongoStore
from chassis.store.port import Store
from contracts.artifacts import (
    CONFIG_TYPE,
    DISK_TYPE,
    TAG_ANNOTATION,
    TEMPLATE_TYPE,
    Descriptor,
    Manifest,
    TemplateConfig,
    digest_of,
    reference_of,
)
from corral.registry import RegistryClient
from registry.app import build
from registry.config import Settings
from tests.ports import free_port


class RunningRegistry:
    """Where a registry listens and keeps its files, and the bus it speaks on."""

    def __init__(self, address: str, base: Path, bus: MemoryBus) -> None:
        self.address = address
        self.base = base
        self.bus = bus

    def blob_files(self) -> list[Path]:
        """Every file that readers could take for a blob."""
        return [file for file in (self.base / "blobs").rglob("*") if file.is_file()]


@asynccontextmanager
async def running_registry(
    store: Store, base: Path, *, bus: MemoryBus | None = None, reserve: int = 0, **given: Any
) -> AsyncIterator[RunningRegistry]:
    """A registry in this process, with ``given`` settings.

    A ``bus`` that is given is the caller's to start and stop.
    """
    own = MemoryBus(SystemClock())
    await own.start()
    bus = bus or own
    settings = Settings(
        listen_port=free_port(), metrics_port=0, base_path=str(base), disk_reserve=reserve, **given
    )
    service = build(settings, bus, store)
    await service.start()
    try:
        yield RunningRegistry(f"http://127.0.0.1:{settings.listen_port}", base, bus)
    finally:
        await service.stop()
        await own.stop()


def qcow2(
    size: int = 65_536,
    *,
    backing: bytes = b"",
    features: int = 0,
    version: int = 3,
    magic: bytes = b"QFI\xfb",
) -> bytes:
    """What passes for a qcow2 image as far as its header, with random content."""
    offset = 512 if backing else 0
    head = struct.pack(">4sIQI", magic, version, offset, len(backing))
    head = head.ljust(72, b"\0") + struct.pack(">Q", features)
    return head.ljust(512, b"\0") + backing + os.urandom(size)


def qcow2_over(below: bytes, size: int = 65_536) -> bytes:
    """What passes for a qcow2 layer that stands on ``below``."""
    return qcow2(size, backing=digest_of(below).partition(":")[2].encode() + b".qcow2")


async def push(
    client: RegistryClient,
    repository: str,
    tag: str,
    layers: list[bytes],
    config: TemplateConfig | None = None,
) -> str:
    """Push a template of these disk layers; the manifest's digest."""
    encoded = msgspec.json.encode(config or TemplateConfig(name="demo"))
    parts = [(DISK_TYPE, layer) for layer in layers]
    return await push_parts(client, repository, tag, parts, (CONFIG_TYPE, encoded))


async def push_parts(
    client: RegistryClient,
    repository: str,
    tag: str,
    layers: Sequence[tuple[str, bytes]],
    config: tuple[str, bytes],
    **fields: Any,
) -> str:
    """Push layers and config, each with its media type, as one manifest; its digest."""
    for _, content in (config, *layers):
        await client.push_blob(repository, digest_of(content), content)
    defaults = {"artifact_type": TEMPLATE_TYPE, "annotations": {TAG_ANNOTATION: tag}}
    manifest = Manifest(
        config=describe(*config),
        layers=tuple(describe(*layer) for layer in layers),
        **(defaults | fields),
    )
    return await client.push_manifest(repository, reference_of(tag), msgspec.json.encode(manifest))


def describe(media_type: str, content: bytes) -> Descriptor:
    """The descriptor of some content."""
    return Descriptor(media_type=media_type, digest=digest_of(content), size=len(content))


async def _serve(port: int, base: str, url: str, database: str) -> None:
    bus: Bus = MemoryBus(SystemClock())
    await bus.start()
    settings = Settings(listen_port=port, metrics_port=0, base_path=base, disk_reserve=0)
    await build(settings, bus, MongoStore(url, database)).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), *sys.argv[2:]))
