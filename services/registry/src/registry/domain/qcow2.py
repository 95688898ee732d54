"""What a qcow2 header may say before a layer is accepted.

Source: QEMU's qcow2 interoperability document (header fields, big-endian).
A layer names the layer below it as ``<sha256>.qcow2``, which is what nodes keep it as. A path or
an address would make every host that boots the template read a file of the pusher's choice.
"""

import re
import struct

HEADER_BYTES = 4096
"""How much of a layer ``check`` wants to see; a backing name must stand within it."""

_FIXED = struct.Struct(">4sIQI")
_FEATURES = struct.Struct(">Q")
_FEATURES_AT = 72
_VERSION_1_1 = 3
_EXTERNAL_DATA_FILE = 1 << 2
_BARE_NAME = re.compile(rb"[A-Za-z0-9_][A-Za-z0-9._-]*")
_ALGORITHM = "sha256:"


class BadLayer(ValueError):
    """The layer is not acceptable; the text says why."""


def name_of(digest: str) -> str:
    """The name by which a layer must name the layer below it."""
    return digest.removeprefix(_ALGORITHM) + ".qcow2"


def check(head: bytes, *, below: str) -> None:
    """Raise BadLayer unless ``head``, a layer's first bytes, is acceptable.

    ``below``: the name of the layer it stands on, empty for the lowest, which must name none.
    """
    if len(head) < _FIXED.size or not head.startswith(b"QFI\xfb"):
        raise BadLayer("is not a qcow2 image")
    _, version, offset, size = _FIXED.unpack_from(head)
    if version not in (2, _VERSION_1_1):
        raise BadLayer(f"has the unknown qcow2 version {version}")
    if version == _VERSION_1_1:
        if len(head) < _FEATURES_AT + _FEATURES.size:
            raise BadLayer("has a truncated header")
        (features,) = _FEATURES.unpack_from(head, _FEATURES_AT)
        if features & _EXTERNAL_DATA_FILE:
            raise BadLayer("keeps its data in an external file")
    _check_below(head[offset : offset + size] if offset else b"", size if offset else 0, below)


def _check_below(name: bytes, size: int, below: str) -> None:
    if name and not below:
        raise BadLayer("is the base layer but names a backing file")
    if len(name) < size or (name and not _BARE_NAME.fullmatch(name)):
        raise BadLayer("names a backing file that is not a bare file name")
    if name.decode() != below:
        raise BadLayer(f"must name the layer below it, {below}, as its backing file")
