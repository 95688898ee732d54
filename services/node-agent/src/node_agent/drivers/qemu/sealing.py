"""From the disk of a VM to a layer of the cache, and on to a fresh disk above it.

A disk names the layer below it by its bare file name, as layers do, and QEMU is told where that
is. So it becomes a layer as it is. What moves is written down before it moves: an agent that is
killed on the way is finished by the next.
"""

import asyncio
import contextlib
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from contracts.artifacts import DISK_TYPE, STATE_TYPE, Descriptor, Manifest
from node_agent.drivers.qemu.blobs import BlobStore
from node_agent.drivers.qemu.folder import Kept, VmFolder
from node_agent.drivers.qemu.qcow2 import check_layer, create_overlay

_SPARE = "spare.qcow2"
_FRESH = "fresh.qcow2"


async def seal(kept: Kept, blobs: BlobStore) -> None:
    """Make the disk of a VM that does not run a layer, and its memory a blob."""
    record, folder = kept.record, kept.folder
    if not record.sealed:
        check_layer(folder.disk, blobs.path(record.manifest.disks[-1]))
        disk = await asyncio.to_thread(_describe, folder.disk, DISK_TYPE)
        state = record.state
        if record.saved and state is None:
            state = await asyncio.to_thread(_describe, folder.state, STATE_TYPE)
        kept.keep(manifest=_with_disk(record.manifest, disk), state=state, sealed=True)
    await asyncio.to_thread(_move, kept, blobs)


async def unseal(kept: Kept, blobs: BlobStore) -> None:
    """Give a sealed VM a fresh disk, with which it may run."""
    await asyncio.to_thread(_move, kept, blobs)
    folder = kept.folder
    fresh = folder.path / _FRESH
    await create_overlay(fresh, blobs.path(kept.record.manifest.disks[-1]))
    fresh.rename(folder.disk)
    kept.keep(sealed=False)


@contextlib.asynccontextmanager
async def spare_disk(folder: VmFolder) -> AsyncIterator[Path]:
    """A disk above the VM's own, to be thrown away."""
    spare = folder.path / _SPARE
    await create_overlay(spare, folder.disk)
    try:
        yield spare
    finally:
        spare.unlink(missing_ok=True)


def _move(kept: Kept, blobs: BlobStore) -> None:
    record, folder = kept.record, kept.folder
    blobs.take(folder.disk, record.manifest.disks[-1])
    if record.state is not None:
        blobs.take(folder.state, record.state)


def _with_disk(manifest: Manifest, disk: Descriptor) -> Manifest:
    rest = tuple(layer for layer in manifest.layers if layer.media_type != DISK_TYPE)
    return msgspec.structs.replace(manifest, layers=(*manifest.disks, disk, *rest))


def _describe(file: Path, media_type: str) -> Descriptor:
    """What is on the disk for sure: guests run without waiting for it."""
    descriptor = os.open(file, os.O_RDONLY)
    with os.fdopen(descriptor, "rb") as content:
        os.fsync(descriptor)
        digest = hashlib.file_digest(content, "sha256").hexdigest()
        size = content.tell()
    return Descriptor(media_type=media_type, digest=f"sha256:{digest}", size=size)
