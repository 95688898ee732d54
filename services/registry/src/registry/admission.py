"""What is checked of a manifest before it is accepted: everything it refers to is really here."""

import asyncio
from collections.abc import Iterable

from chassis.errors import CorralError
from contracts.artifacts import Descriptor, Manifest, TemplateConfig
from registry.blobs import Blobs
from registry.domain import qcow2, tart, template_manifest
from registry.domain.artifact import BadManifest, Frame
from registry.holdings import Holdings
from registry.store import RegistryStore


class BlobsMissing(CorralError):
    """The manifest refers to content that is not in the repository; the text is its digest"""


async def admit(
    store: RegistryStore, holdings: Holdings, blobs: Blobs, repository: str, frame: Frame
) -> None:
    """Raise BlobsMissing or BadManifest unless all content is there, with the sizes said."""
    links = [link.digest for link in await holdings.links(repository, _digests(frame.blobs))]
    kept = await asyncio.gather(*map(blobs.size, links))
    here = {digest: size for digest, size in zip(links, kept, strict=True) if size is not None}
    _check(frame.blobs, here)
    if frame.manifests:
        _check(frame.manifests, await store.manifest_sizes(repository, _digests(frame.manifests)))


async def admit_template(
    blobs: Blobs, repository: str, content: bytes
) -> tuple[Manifest, TemplateConfig]:
    """The manifest and config of a template whose blobs were here; BadManifest, BlobsMissing."""
    manifest, config = await describe_template(blobs, repository, content)
    if manifest.config.media_type != tart.CONFIG_TYPE:
        wanted = [_head(blobs, disk.digest, qcow2.HEADER_BYTES) for disk in manifest.disks]
        _check_chain(manifest.disks, await asyncio.gather(*wanted))
    return manifest, config


async def describe_template(
    blobs: Blobs, repository: str, content: bytes
) -> tuple[Manifest, TemplateConfig]:
    """What the manifest of a template says, and its config; BadManifest, BlobsMissing."""
    manifest = template_manifest.read_manifest(content)
    raw = await _head(blobs, manifest.config.digest, template_manifest.MAX_CONFIG)
    return manifest, template_manifest.read_config(manifest, raw, repository)


async def _head(blobs: Blobs, digest: str, limit: int) -> bytes:
    try:
        return await blobs.read(digest, limit)
    except FileNotFoundError:
        raise BlobsMissing(digest) from None


def _check_chain(disks: Iterable[Descriptor], heads: Iterable[bytes]) -> None:
    below = ""
    for disk, head in zip(disks, heads, strict=True):
        try:
            qcow2.check(head, below=below)
        except qcow2.BadLayer as error:
            raise BadManifest(f"layers: {disk.digest} {error}") from None
        below = qcow2.name_of(disk.digest)


def _check(wanted: Iterable[Descriptor], sizes: dict[str, int]) -> None:
    for item in wanted:
        if item.digest not in sizes:
            raise BlobsMissing(item.digest)
        if sizes[item.digest] != item.size:
            raise BadManifest(
                f"size: {item.digest} has {sizes[item.digest]} bytes, not {item.size}"
            )


def _digests(items: Iterable[Descriptor]) -> set[str]:
    return {item.digest for item in items}
