"""A template as an OCI artifact: its manifest, its config, and how tags become references.

A template is a repository, a tag is a manifest with our artifact type. Source of the shapes:
OCI Image Specification 1.1 (manifest, descriptor) and OCI Distribution Specification 1.1 (names).
"""

import hashlib
import re
import uuid

import msgspec

from contracts.vms import PortRule

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
TEMPLATE_TYPE = "application/vnd.corral.template.v1+json"
"""Artifact type of a manifest that is one tag of one template."""

CONFIG_TYPE = "application/vnd.corral.template.config.v1+json"
DISK_TYPE = "application/vnd.corral.disk.layer.v1+qcow2"
"""A qcow2 layer; a manifest lists them base first, the last one is what a clone is made of."""

KERNEL_TYPE = "application/vnd.corral.kernel.v1"
INITRD_TYPE = "application/vnd.corral.initrd.v1"
NVRAM_TYPE = "application/vnd.corral.nvram.v1"
"""The variables of the firmware."""

STATE_TYPE = "application/vnd.corral.state.v1"
"""Saved memory and devices of a suspended template; see ``SavedState`` for what it needs."""

MAX_MANIFEST = 4 << 20
"""Bytes. Source: OCI Distribution spec 1.1, what a registry should take at least."""

OUR_TYPES = "application/vnd.corral."
"""How every media type of ours begins."""

TAG_ANNOTATION = "org.corral.tag"
"""Manifest annotation with the tag as people write it."""

TITLE_ANNOTATION = "org.opencontainers.image.title"
"""Descriptor annotation with a file name."""

REPOSITORY_PATTERN = re.compile(
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
)
REFERENCE_PATTERN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
DIGEST_PATTERN = re.compile(r"sha256:[a-f0-9]{64}")

_UUID_PATTERN = re.compile(r"[a-f0-9]{8}(?:-[a-f0-9]{4}){3}-[a-f0-9]{12}")
_NAMESPACE = uuid.UUID("6b9d6f0e-4a53-5d0c-9f57-2a1d8a1f3c11")
_ESCAPED = "_e."
_HASHED = "_h."
_PLAIN_BYTES = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


class Descriptor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Names a blob or manifest by digest (``sha256:…``); ``size`` in bytes."""

    media_type: str
    digest: str
    size: int
    annotations: dict[str, str] = {}


class Manifest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An OCI image manifest, as far as templates need it; unknown fields are skipped."""

    schema_version: int = 2
    media_type: str = MANIFEST_TYPE
    artifact_type: str = ""
    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: dict[str, str] = {}

    @property
    def disks(self) -> tuple[Descriptor, ...]:
        """The disk layers, base first."""
        return self._of(DISK_TYPE)

    @property
    def kernel(self) -> Descriptor | None:
        """The kernel, when the template boots one directly."""
        return next(iter(self._of(KERNEL_TYPE)), None)

    @property
    def initrd(self) -> Descriptor | None:
        """The initial ram disk that goes with the kernel."""
        return next(iter(self._of(INITRD_TYPE)), None)

    @property
    def nvram(self) -> Descriptor | None:
        """The firmware's variables, when the template has some."""
        return next(iter(self._of(NVRAM_TYPE)), None)

    @property
    def states(self) -> tuple[Descriptor, ...]:
        """Saved states; empty when the template boots cold."""
        return self._of(STATE_TYPE)

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """Everything a pull fetches: the config, then every layer in order."""
        return (self.config, *self.layers)

    def _of(self, media_type: str) -> tuple[Descriptor, ...]:
        return tuple(layer for layer in self.layers if layer.media_type == media_type)


class SavedState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a host must offer to restore a saved state; elsewhere the template boots cold.

    ``machine`` is the exact machine type (``pc-q35-7.2``, no alias), ``version`` the hypervisor's,
    ``accelerator`` and ``cpu_model`` what ran it. ``mac_address``: the guest's, kept by a restore.
    """

    machine: str
    hypervisor: str = "qemu"
    version: str = ""
    accelerator: str = ""
    cpu_model: str = ""
    cpu: int
    ram_mb: int
    mac_address: str = ""
    vnc: bool = False


class Display(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The screen, in pixels."""

    width: int = 1024
    height: int = 768


class TemplateConfig(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The config blob: what a VM of this template looks like unless a start overrides it.

    ``arch`` is ``amd64`` or ``arm64``, ``ram_mb`` in MiB. ``machine`` is the hypervisor's machine
    type, empty for the driver's default. ``cmdline`` is the kernel's, used with a kernel blob.
    ``network_mode`` is ``shared`` unless said. ``saved`` goes with a saved state.
    """

    name: str
    arch: str = "amd64"
    cpu: int = 1
    ram_mb: int = 512
    machine: str = ""
    description: str = ""
    ports: tuple[PortRule, ...] = ()
    cmdline: str = ""
    network_mode: str = ""
    display: Display = Display()
    saved: SavedState | None = None


def digest_of(content: bytes) -> str:
    """The digest that names ``content``."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def template_id_of(repository: str) -> str:
    """The template that a repository is: its own name when that is a UUID, else a uuid5 of it."""
    if _UUID_PATTERN.fullmatch(repository):
        return repository
    return str(uuid.uuid5(_NAMESPACE, repository))


def reference_of(tag: str) -> str:
    """The OCI reference of a tag: itself where the OCI grammar allows it, else reversibly escaped.

    A tag too long even so becomes a hash; the manifest's TAG_ANNOTATION then tells it.
    """
    taken = tag.startswith((_ESCAPED, _HASHED))
    if not taken and REFERENCE_PATTERN.fullmatch(tag):
        return tag
    body = "".join(chr(b) if b in _PLAIN_BYTES else f".{b:02x}" for b in tag.encode())
    escaped = _ESCAPED + body
    if REFERENCE_PATTERN.fullmatch(escaped):
        return escaped
    return _HASHED + hashlib.sha256(tag.encode()).hexdigest()


def tag_of_reference(reference: str, annotation: str = "") -> str:
    """The tag that a reference stands for; ``annotation`` counts only where it fits."""
    if annotation and reference_of(annotation) == reference:
        return annotation
    if not reference.startswith(_ESCAPED):
        return reference
    first, *rest = reference.removeprefix(_ESCAPED).split(".")
    try:
        encoded = first.encode() + b"".join(bytes.fromhex(p[:2]) + p[2:].encode() for p in rest)
        tag = encoded.decode()
    except ValueError:
        return reference
    return tag if reference_of(tag) == reference else reference
