"""Which manifests are accepted, and what they refer to."""

import msgspec

from contracts.artifacts import (
    CONFIG_TYPE,
    DIGEST_PATTERN,
    DISK_TYPE,
    INDEX_TYPE,
    MANIFEST_TYPE,
    TEMPLATE_TYPE,
    Descriptor,
    Manifest,
    TemplateConfig,
)
from registry.domain.template import ARCHITECTURES

MAX_MANIFEST = 4 << 20
"""Bytes of a manifest, at most (what OCI Distribution 1.1 asks a registry to take)."""

MAX_CONFIG = 1 << 20
"""Bytes of a template's config blob, at most."""

_DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
_IMAGES = (MANIFEST_TYPE, _DOCKER_MANIFEST)
_INDEXES = (INDEX_TYPE, _DOCKER_LIST)


class BadManifest(ValueError):
    """The manifest is not acceptable; the text says why."""


class Frame(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the registry reads of any manifest or index."""

    schema_version: int
    media_type: str = ""
    artifact_type: str = ""
    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] = ()
    manifests: tuple[Descriptor, ...] = ()
    subject: Descriptor | None = None
    annotations: dict[str, str] = {}

    @property
    def kind(self) -> str:
        """The artifact type; the config's media type where none is given (as OCI 1.1 says)."""
        return self.artifact_type or (self.config.media_type if self.config else "")

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """The blobs it refers to."""
        return ((self.config,) if self.config else ()) + self.layers

    @property
    def is_template(self) -> bool:
        """Whether it is one tag of a template; clients older than OCI 1.1 drop the type."""
        return self.kind in (TEMPLATE_TYPE, CONFIG_TYPE)


def read(content: bytes, content_type: str) -> Frame:
    """Parse a manifest; BadManifest when it is malformed or of an unknown kind."""
    try:
        frame = msgspec.json.decode(content, type=Frame)
    except msgspec.MsgspecError as error:
        raise BadManifest(f"manifest invalid: {error}") from None
    kind = frame.media_type or content_type
    if content_type and kind != content_type:
        raise BadManifest(f"the manifest says {kind}, the request {content_type}")
    if kind not in _IMAGES + _INDEXES:
        raise BadManifest(f"the media type {kind or 'of nothing'} is not supported")
    if kind in _IMAGES and frame.config is None:
        raise BadManifest("an image manifest needs a config")
    subject = (frame.subject,) if frame.subject else ()
    for descriptor in (*frame.blobs, *frame.manifests, *subject):
        if not DIGEST_PATTERN.fullmatch(descriptor.digest):
            raise BadManifest(f"the digest {descriptor.digest} is not supported")
    return msgspec.structs.replace(frame, media_type=kind)


def read_template(content: bytes) -> Manifest:
    """The manifest of a template; BadManifest when it is none."""
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except msgspec.MsgspecError as error:
        raise BadManifest(f"template manifest invalid: {error}") from None
    if manifest.config.media_type != CONFIG_TYPE:
        raise BadManifest(f"a template's config must be of the type {CONFIG_TYPE}")
    if manifest.config.size > MAX_CONFIG:
        raise BadManifest("the config blob is too large")
    digests = [disk.digest for disk in manifest.disks]
    if len(set(digests)) < len(digests):
        raise BadManifest(f"a {DISK_TYPE} stands in the chain twice")
    return manifest


def read_config(content: bytes) -> TemplateConfig:
    """The config blob of a template; BadManifest names what is wrong in it."""
    try:
        config = msgspec.json.decode(content, type=TemplateConfig)
    except msgspec.MsgspecError as error:
        raise BadManifest(f"template config invalid: {error}") from None
    if config.arch not in ARCHITECTURES:
        raise BadManifest(f"template config invalid: arch must be {' or '.join(ARCHITECTURES)}")
    if not config.name or config.cpu < 1 or config.ram_mb < 1:
        raise BadManifest("template config invalid: name, cpu and ram_mb must be set")
    return config
