"""The public template: brief in lists, with its versions (oldest first) when asked for by id."""

import msgspec

from api_gateway.public.scalars import architecture, epoch
from contracts.templates import TemplateDocument, Version


class BriefTemplate(msgspec.Struct, frozen=True, kw_only=True):
    """An element of the list under ``apiVer=v1``: without size and architecture."""

    id: str
    name: str


class PublicTemplate(msgspec.Struct, frozen=True, kw_only=True):
    """An element of the list."""

    id: str
    name: str
    size: int
    arch: str
    last_pull: int
    last_push: int


class TemplateVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A tag, with digests for file names; ``arch`` stands at the template and is empty here."""

    number: int
    tag: str
    config_file: str
    nvram: str
    images: tuple[str, ...]
    state_files: tuple[str, ...]
    description: str
    state_file: str
    size: int
    arch: str
    last_pull: int
    last_push: int
    creation_date: int


class DetailedTemplate(msgspec.Struct, frozen=True, kw_only=True):
    """One template with its tags."""

    id: str
    name: str
    versions: tuple[TemplateVersion, ...]
    size: int
    arch: str
    last_pull: int
    last_push: int


_encode = msgspec.json.Encoder().encode


def brief(template: TemplateDocument) -> bytes:
    """For ``apiVer=v1``."""
    return _encode(BriefTemplate(id=template.id, name=template.name))


def listed(template: TemplateDocument) -> bytes:
    """For lists."""
    return _encode(
        PublicTemplate(
            id=template.id,
            name=template.name,
            size=template.size,
            arch=architecture(template.arch),
            last_pull=epoch(template.last_pull),
            last_push=epoch(template.last_push),
        )
    )


def detailed(template: TemplateDocument) -> bytes:
    """For ``?id=``."""
    return _encode(
        DetailedTemplate(
            id=template.id,
            name=template.name,
            versions=tuple(_version(template.id, version) for version in template.versions),
            size=template.size,
            arch=architecture(template.arch),
            last_pull=epoch(template.last_pull),
            last_push=epoch(template.last_push),
        )
    )


def _version(template_id: str, version: Version) -> TemplateVersion:
    return TemplateVersion(
        number=version.number,
        tag=version.tag,
        config_file=f"{template_id}.yaml",
        nvram=version.nvram,
        images=version.images,
        state_files=version.state_files,
        description=version.description,
        state_file=version.state_files[-1] if version.state_files else "",
        size=version.size,
        arch="",
        last_pull=epoch(version.last_pull),
        last_push=epoch(version.last_push),
        creation_date=epoch(version.created),
    )
