"""What a qcow2 header may say before a layer is accepted.

Source: QEMU's qcow2 interoperability document (header fields, big-endian).
A layer may name its parent, by a bare file name only: a path or an address would make every
host that boots the template read a file of the pusher's choice.
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


class BadLayer(ValueError):
    """The layer is not acceptable; the text says why."""


def check(head: bytes, *, base: bool) -> None:
    """Raise BadLayer unless ``head``, a layer's first bytes, is acceptable.

    ``base``: the layer is the lowest of its chain, so it must not name a parent.
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
    if offset:
        _check_parent(head[offset : offset + size], size, base=base)


def _check_parent(name: bytes, size: int, *, base: bool) -> None:
    if base:
        raise BadLayer("is the base layer but names a backing file")
    if len(name) < size or not _BARE_NAME.fullmatch(name):
        raise BadLayer("names a backing file that is not a bare file name")
