"""How a template changes: pushed, reverted, untagged, pulled. Pure; documents in, documents out."""

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from contracts.artifacts import Manifest, TemplateConfig, template_id_of
from contracts.templates import TemplateDocument, Version

ARCHITECTURES = ("amd64", "arm64")
NVRAM = "nvram"
"""What the API calls the file of a version's firmware variables."""


class Push(msgspec.Struct, frozen=True, kw_only=True):
    """A manifest of our artifact type, put under a tag."""

    repository: str
    tag: str
    digest: str
    manifest: Manifest
    config: TemplateConfig
    at: datetime


def pushed(template: TemplateDocument | None, push: Push) -> TemplateDocument:
    """The template after ``push``.

    The same tag with another digest is a new number, and the old version goes; the same digest
    again is a repeat: only its push date moves.
    """
    template = template or _begun(push)
    same = find(template, tag=push.tag)
    if same is not None and same.digest == push.digest:
        version = msgspec.structs.replace(same, last_push=push.at)
        number = template.next_number
    else:
        version = _version(push, template.next_number)
        number = template.next_number + 1
    kept = [v for v in template.versions if v.tag != push.tag]
    template = msgspec.structs.replace(
        template,
        name=push.config.name,
        arch=push.config.arch,
        next_number=number,
        last_push=push.at,
    )
    return _with(template, [*kept, version])


def reverted(template: TemplateDocument, number: int) -> TemplateDocument:
    """Without version ``number`` and every newer one; without any version it is to be removed."""
    return _with(template, [v for v in template.versions if v.number < number])


def untagged(template: TemplateDocument, tags: Iterable[str]) -> TemplateDocument:
    """Without the versions that carry one of these tags."""
    gone = set(tags)
    return _with(template, [v for v in template.versions if v.tag not in gone])


def without(template: TemplateDocument, digest: str, tag: str | None) -> TemplateDocument:
    """Without the versions of this manifest, or only the one of them that carries ``tag``."""
    return _with(
        template,
        [v for v in template.versions if v.digest != digest or tag not in (None, v.tag)],
    )


def pulled(template: TemplateDocument, pulls: Mapping[str, datetime]) -> TemplateDocument:
    """With the last pull of each digest moved on; the same object when nothing moved."""
    moved = False
    versions: list[Version] = []
    for version in template.versions:
        at = pulls.get(version.digest)
        if at is not None and (version.last_pull is None or version.last_pull < at):
            version = msgspec.structs.replace(version, last_pull=at)  # noqa: PLW2901 -- the moved one
            moved = True
        versions.append(version)
    if not moved:
        return template
    last = max(v.last_pull for v in versions if v.last_pull is not None)
    return msgspec.structs.replace(template, versions=tuple(versions), last_pull=last)


def find(
    template: TemplateDocument, *, tag: str | None = None, number: int | None = None
) -> Version | None:
    """The version with this tag, else with this number, else the latest."""
    for version in reversed(template.versions):
        if tag is not None:
            if version.tag == tag:
                return version
        elif number is None or version.number == number:
            return version
    return None


def _begun(push: Push) -> TemplateDocument:
    """A template before its first version.

    The revision starts at the time in milliseconds: a template pushed again after its removal
    is newer than everything that was said of it before.
    """
    return TemplateDocument(
        id=template_id_of(push.repository),
        revision=int(push.at.timestamp() * 1000),
        name=push.config.name,
        repository=push.repository,
        arch=push.config.arch,
    )


def _version(push: Push, number: int) -> Version:
    manifest = push.manifest
    blobs = {blob.digest: blob.size for blob in manifest.blobs}
    return Version(
        number=number,
        tag=push.tag,
        digest=push.digest,
        images=tuple(disk.digest for disk in reversed(manifest.disks)),
        state_files=tuple(state.digest for state in manifest.states),
        nvram=NVRAM if manifest.nvram else "",
        blobs=blobs,
        description=push.config.description,
        size=sum(blobs.values()),
        cpu=push.config.cpu,
        ram_mb=push.config.ram_mb,
        created=push.at,
        last_push=push.at,
    )


def _with(template: TemplateDocument, versions: Iterable[Version]) -> TemplateDocument:
    """With these versions, in the order of their numbers, and the size over the union of blobs."""
    ordered = tuple(sorted(versions, key=lambda version: version.number))
    union: dict[str, int] = {}
    for version in ordered:
        union |= version.blobs
    return msgspec.structs.replace(template, versions=ordered, size=sum(union.values()))
