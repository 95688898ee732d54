"""A whole template: files on this side, a manifest with its blobs on the other."""

import asyncio
import hashlib
import uuid
from collections.abc import Sequence
from pathlib import Path

import msgspec

from contracts.artifacts import (
    CONFIG_TYPE,
    DISK_TYPE,
    INITRD_TYPE,
    KERNEL_TYPE,
    NVRAM_TYPE,
    STATE_TYPE,
    TAG_ANNOTATION,
    TEMPLATE_TYPE,
    TITLE_ANNOTATION,
    Descriptor,
    Manifest,
    TemplateConfig,
    digest_of,
    reference_of,
)
from corral.registry.client import Chunk, RegistryClient
from corral.registry.errors import RegistryError

_PIECE = 1 << 20


class LocalTemplate(msgspec.Struct, frozen=True, kw_only=True):
    """A template as files; ``disks`` base first. ``state`` goes with ``config.saved``."""

    config: TemplateConfig
    disks: tuple[Path, ...]
    kernel: Path | None = None
    initrd: Path | None = None
    nvram: Path | None = None
    state: Path | None = None

    def files(self) -> Sequence[tuple[str, Path]]:
        """Media type and file of every layer, in the manifest's order."""
        others = (
            (KERNEL_TYPE, self.kernel),
            (INITRD_TYPE, self.initrd),
            (NVRAM_TYPE, self.nvram),
            (STATE_TYPE, self.state),
        )
        there = [(media_type, file) for media_type, file in others if file is not None]
        return [*((DISK_TYPE, disk) for disk in self.disks), *there]


def repository_of_name(name: str) -> str:
    """The repository, and so the template id, of a template that was given a name only."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))


async def push_template(
    client: RegistryClient,
    repository: str,
    tag: str,
    template: LocalTemplate,
    moved: Chunk | None = None,
) -> str:
    """Push blobs that are missing, then the manifest under ``tag``; the manifest's digest."""
    config = msgspec.json.encode(template.config)
    described = Descriptor(media_type=CONFIG_TYPE, digest=digest_of(config), size=len(config))
    await client.push_blob(repository, described.digest, config)
    layers = []
    for media_type, file in template.files():
        digest, size = await asyncio.to_thread(_measure, file)
        await client.push_blob(repository, digest, file, moved)
        layers.append(
            Descriptor(
                media_type=media_type,
                digest=digest,
                size=size,
                annotations={TITLE_ANNOTATION: file.name},
            )
        )
    manifest = Manifest(
        artifact_type=TEMPLATE_TYPE,
        config=described,
        layers=tuple(layers),
        annotations={TAG_ANNOTATION: tag},
    )
    content = msgspec.json.encode(manifest)
    return await client.push_manifest(repository, reference_of(tag), content)


async def pull_template(
    client: RegistryClient,
    repository: str,
    tag: str,
    folder: Path,
    moved: Chunk | None = None,
) -> LocalTemplate:
    """Pull a tag into ``folder``, every blob under its digest; what is there stays.

    RegistryError when the tag is something else than a template of this shape.
    """
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    content = await client.manifest(repository, reference_of(tag))
    manifest = _template(content, f"{repository} {tag}")
    for blob in manifest.blobs:
        target = _target(folder, blob)
        if not await asyncio.to_thread(target.exists):
            await client.fetch(repository, blob.digest, target, moved)
    config = msgspec.json.decode(_target(folder, manifest.config).read_bytes(), type=TemplateConfig)
    return LocalTemplate(
        config=config,
        disks=tuple(_target(folder, disk) for disk in manifest.disks),
        kernel=_file(folder, manifest.kernel),
        initrd=_file(folder, manifest.initrd),
        nvram=_file(folder, manifest.nvram),
        state=_file(folder, next(iter(manifest.states), None)),
    )


def _template(content: bytes, name: str) -> Manifest:
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except msgspec.MsgspecError as error:
        raise RegistryError(f"{name} is no template: {error}") from None
    if manifest.config.media_type != CONFIG_TYPE:
        raise RegistryError(f"{name} is no template but has a {manifest.config.media_type}")
    return manifest


def _file(folder: Path, blob: Descriptor | None) -> Path | None:
    return None if blob is None else _target(folder, blob)


def _target(folder: Path, blob: Descriptor) -> Path:
    """The digest as a name; a layer gets the ending by which a layer above it names it."""
    ending = ".qcow2" if blob.media_type == DISK_TYPE else ""
    return folder / (blob.digest.removeprefix("sha256:") + ending)


def _measure(file: Path) -> tuple[str, int]:
    digester = hashlib.sha256()
    with file.open("rb") as content:
        while piece := content.read(_PIECE):
            digester.update(piece)
        return f"sha256:{digester.hexdigest()}", content.tell()
