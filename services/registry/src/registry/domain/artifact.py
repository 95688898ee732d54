"""Which manifests are accepted, and what they refer to.

Source: OCI Image Specification 1.1 (manifest, index, descriptor). A manifest of another media type
is read as far as it has the same fields; what it refers to elsewhere is not kept for it.
"""

import re

import msgspec

from contracts.artifacts import (
    CONFIG_TYPE,
    INDEX_TYPE,
    MANIFEST_TYPE,
    TEMPLATE_TYPE,
    Descriptor,
)
from registry.domain import tart
from registry.domain.digest import is_digest, is_supported

_DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
_IMAGES = (MANIFEST_TYPE, _DOCKER_MANIFEST)
_INDEXES = (INDEX_TYPE, _DOCKER_LIST)
_SCHEMA = 2
_JSON = re.compile(r"application/(?:json|[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,120}\+json)")
NONDISTRIBUTABLE = (
    "application/vnd.oci.image.layer.nondistributable.",
    "application/vnd.docker.image.rootfs.foreign.",
)
"""Layers that are fetched from where they come from, and need not be here."""


class BadManifest(ValueError):
    """The manifest is not acceptable; the text says why."""


class WrongDigest(BadManifest):
    """The manifest does not have the digest it was pushed under."""


class Frame(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the registry reads of any manifest or index."""

    schema_version: int = _SCHEMA
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
        """The blobs it refers to and that must be here."""
        layers = (blob for blob in self.layers if not blob.media_type.startswith(NONDISTRIBUTABLE))
        return (*((self.config,) if self.config else ()), *layers)

    @property
    def is_template(self) -> bool:
        """Whether it is one tag of a template; clients older than OCI 1.1 drop the type."""
        return self.kind in (TEMPLATE_TYPE, CONFIG_TYPE) or tart.is_image(self.config, self.layers)


class _Shown(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """A manifest in a list of referrers."""

    media_type: str
    digest: str
    size: int
    artifact_type: str = ""
    annotations: dict[str, str] = {}


def descriptor(frame: Frame, digest: str, size: int) -> bytes:
    """What a list of referrers shows of a manifest, as JSON."""
    return msgspec.json.encode(
        _Shown(
            media_type=frame.media_type,
            digest=digest,
            size=size,
            artifact_type=frame.kind,
            annotations=frame.annotations,
        )
    )


def read(content: bytes, content_type: str) -> Frame:
    """Parse a manifest; BadManifest when it is malformed or of a kind that is not kept."""
    try:
        frame = msgspec.json.decode(content, type=Frame)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadManifest(f"manifest invalid: {error}") from None
    kind = frame.media_type or content_type
    if content_type and kind != content_type:
        raise BadManifest(f"mediaType: the manifest says {kind}, the request {content_type}")
    if not _JSON.fullmatch(kind):
        raise BadManifest(f"mediaType: {kind or 'nothing'} is not the type of a manifest")
    if frame.schema_version != _SCHEMA:
        raise BadManifest(f"schemaVersion: {frame.schema_version} is not supported")
    if kind in _IMAGES and frame.config is None:
        raise BadManifest("config: an image manifest needs one")
    if kind in _INDEXES and frame.blobs:
        raise BadManifest("config and layers: an index has none")
    _check_digests(frame)
    return msgspec.structs.replace(frame, media_type=kind)


def _check_digests(frame: Frame) -> None:
    """A subject need not be here, so it may be named by any algorithm."""
    for descriptor in (*frame.blobs, *frame.manifests):
        if not is_supported(descriptor.digest):
            raise BadManifest(f"the digest {descriptor.digest} is not supported, sha256 is")
    if frame.subject is not None and not is_digest(frame.subject.digest):
        raise BadManifest(f"subject: {frame.subject.digest} is no digest")
