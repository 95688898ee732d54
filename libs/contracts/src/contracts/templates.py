"""Registry and everybody else about templates and their tags."""

from datetime import datetime

import msgspec

from contracts.messages import Command, Fact


class TemplateRef(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One tag of one template, resolved at request time.

    ``repository`` and ``digest`` name the manifest in the OCI registry. ``size`` is the sum of
    its blobs in bytes, ``ram_mb`` in MiB. ``suspended``: the tag carries a saved state.
    """

    id: str
    name: str
    tag: str
    version: int
    arch: str
    repository: str
    digest: str
    size: int = 0
    cpu: int = 1
    ram_mb: int = 512
    suspended: bool = False


class Version(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One numbered version of a template; numbers grow by one with each push, from 0.

    ``images`` and ``state_files`` are digests, newest layer first. Sizes in bytes.
    """

    number: int
    tag: str
    digest: str
    images: tuple[str, ...] = ()
    state_files: tuple[str, ...] = ()
    blobs: dict[str, int] = {}
    nvram: str = ""
    description: str = ""
    size: int = 0
    cpu: int = 1
    ram_mb: int = 512
    created: datetime
    last_push: datetime
    last_pull: datetime | None = None


class TemplateDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A template as stored; ``revision`` grows with each write, ``size`` is the union of blobs."""

    id: str = msgspec.field(name="_id")
    revision: int
    name: str
    repository: str
    arch: str
    size: int = 0
    versions: tuple[Version, ...] = ()
    next_number: int = 0
    last_push: datetime | None = None
    last_pull: datetime | None = None

    def ref(self, version: Version) -> TemplateRef:
        """The reference that a start of ``version`` carries."""
        return TemplateRef(
            id=self.id,
            name=self.name,
            tag=version.tag,
            version=version.number,
            arch=self.arch,
            repository=self.repository,
            digest=version.digest,
            size=version.size,
            cpu=version.cpu,
            ram_mb=version.ram_mb,
            suspended=bool(version.state_files),
        )


class TemplateChanged(Fact, frozen=True, kw_only=True, tag="template.changed.v1"):
    """A template was pushed, reverted or described anew."""

    template: TemplateDocument


class TemplateRemoved(Fact, frozen=True, kw_only=True, tag="template.removed.v1"):
    """A template and all its tags are gone."""

    template_id: str
    revision: int


class RemoveTemplateFromNodes(Command, frozen=True, kw_only=True, tag="template.remove.v1"):
    """Drop a template from the caches of these nodes."""

    template_id: str
    node_ids: tuple[str, ...]
    actor: str = ""
    request_id: str = ""
