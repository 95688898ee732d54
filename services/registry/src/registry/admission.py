"""What is checked of a manifest before it is accepted: everything it refers to is really here."""

from collections.abc import Iterable

from chassis.errors import CorralError
from contracts.artifacts import Descriptor, Manifest, TemplateConfig
from registry.blobs import Blobs
from registry.domain import artifact, qcow2
from registry.domain.artifact import BadManifest, Frame
from registry.store import RegistryStore


class BlobsMissing(CorralError):
    """The manifest refers to content that is not in the repository; the text is its digest"""


async def admit(store: RegistryStore, blobs: Blobs, repository: str, frame: Frame) -> None:
    """Raise BlobsMissing or BadManifest unless all content is there, with the sizes said."""
    sizes = await _sizes(store, repository, frame.blobs)
    for blob in frame.blobs:
        if blob.digest not in sizes or await blobs.size(blob.digest) is None:
            raise BlobsMissing(blob.digest)
        if sizes[blob.digest] != blob.size:
            raise BadManifest(f"{blob.digest} has {sizes[blob.digest]} bytes, not {blob.size}")
    for child in frame.manifests:
        if await store.manifest(repository, child.digest) is None:
            raise BlobsMissing(child.digest)


async def admit_template(blobs: Blobs, content: bytes) -> tuple[Manifest, TemplateConfig]:
    """The manifest and config of a template, whose blobs are here; BadManifest."""
    manifest = artifact.read_template(content)
    config = artifact.read_config(await blobs.read(manifest.config.digest, artifact.MAX_CONFIG))
    for position, disk in enumerate(manifest.disks):
        head = await blobs.read(disk.digest, qcow2.HEADER_BYTES)
        try:
            qcow2.check(head, base=position == 0)
        except qcow2.BadLayer as error:
            raise BadManifest(f"the layer {disk.digest} {error}") from None
    return manifest, config


async def _sizes(
    store: RegistryStore, repository: str, blobs: Iterable[Descriptor]
) -> dict[str, int]:
    links = await store.links(repository, {blob.digest for blob in blobs})
    return {link.digest: link.size for link in links}
