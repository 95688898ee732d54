"""Images that `tart push` makes, seen as templates.

Source: tart's own code (OCI/Manifest.swift, VMConfig.swift). The manifest's config is a stub for
other tools; the VM's config is a layer, beside the chunks of the disk and the NVRAM. Chunks with
the same content, such as holes, stand there several times under one digest.
"""

from collections.abc import Iterable

import msgspec

from contracts.artifacts import (
    DISK_TYPE,
    NVRAM_TYPE,
    OUR_TYPES,
    Descriptor,
    Display,
    Manifest,
    TemplateConfig,
)

CONFIG_TYPE = "application/vnd.cirruslabs.tart.config.v1"
_OURS = {
    "application/vnd.cirruslabs.tart.disk.v1": DISK_TYPE,
    "application/vnd.cirruslabs.tart.disk.v2": DISK_TYPE,
    "application/vnd.cirruslabs.tart.nvram.v1": NVRAM_TYPE,
}
_MIB = 1 << 20


class _Config(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What of a VM's config matters here. ``memory_size`` in bytes."""

    arch: str = "arm64"
    cpu_count: int
    memory_size: int
    display: Display = Display()


def is_image(config: Descriptor | None, layers: Iterable[Descriptor]) -> bool:
    """Whether a manifest with these is an image of tart."""
    parts = (*layers, *((config,) if config else ()))
    return any(part.media_type == CONFIG_TYPE for part in parts)


def foreign(manifest: Manifest) -> Descriptor | None:
    """The first part that tart does not make, for it is one of ours.

    A node reads a manifest without asking who made it, and would take that part for checked.
    """
    parts = (manifest.config, *manifest.layers)
    return next((part for part in parts if part.media_type.startswith(OUR_TYPES)), None)


def as_template(manifest: Manifest) -> Manifest:
    """The same image with the parts of a template called as we call them, each once."""
    parts = {part.digest: part for part in (manifest.config, *manifest.layers)}
    config = next(part for part in parts.values() if part.media_type == CONFIG_TYPE)
    layers = tuple(
        msgspec.structs.replace(part, media_type=_OURS.get(part.media_type, part.media_type))
        for part in parts.values()
        if part is not config
    )
    return msgspec.structs.replace(manifest, config=config, layers=layers)


def read_config(content: bytes, repository: str) -> TemplateConfig:
    """The VM's config; it has no name, so the repository's is taken. msgspec.MsgspecError."""
    config = msgspec.json.decode(content, type=_Config)
    return TemplateConfig(
        name=repository,
        arch=config.arch,
        cpu=config.cpu_count,
        ram_mb=config.memory_size // _MIB,
        display=config.display,
    )
