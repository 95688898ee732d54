"""Disk images: what a layer's header says, and overlays made on top of layers.

The header is read here and not by qemu-img, because a layer comes from elsewhere and may name any
file of this host. Source: the qcow2 file format of QEMU (docs/interop/qcow2.txt).
"""

import struct
from pathlib import Path

import msgspec

from node_agent.drivers.command import run
from node_agent.drivers.port import CannotHonour, HostFault, NoSpace

_MAGIC = b"QFI\xfb"
_FIXED = struct.Struct(">4sIQIIQ")
_INCOMPATIBLE = struct.Struct(">Q")
_INCOMPATIBLE_OFFSET = 72
_EXTERNAL_DATA = 1 << 2
_LONGEST_NAME = 1023
_TIMEOUT = 30.0
_ENOSPC = "No space left on device"


class Header(msgspec.Struct, frozen=True):
    """What matters of a header. ``size`` is what a guest sees, in bytes."""

    size: int
    backing: str
    external_data: bool


def read_header(image: Path) -> Header:
    """The header of ``image``; CannotHonour when it is no qcow2."""
    with image.open("rb") as file:
        start = file.read(_INCOMPATIBLE_OFFSET + _INCOMPATIBLE.size)
        if len(start) < _FIXED.size or not start.startswith(_MAGIC):
            raise CannotHonour(f"layer {image.stem} is not a qcow2 image")
        _, version, offset, length, _, size = _FIXED.unpack_from(start)
        features = 0
        if version > 2:  # noqa: PLR2004 -- from version 3 on there are feature bits
            (features,) = _INCOMPATIBLE.unpack_from(start, _INCOMPATIBLE_OFFSET)
        backing = b""
        if offset:
            file.seek(offset)
            backing = file.read(min(length, _LONGEST_NAME))
    return Header(size, backing.decode(errors="replace"), bool(features & _EXTERNAL_DATA))


def check_layer(image: Path, below: Path | None) -> None:
    """CannotHonour unless the layer stands on exactly the one below it, by its bare name."""
    header = read_header(image)
    if header.external_data:
        raise CannotHonour(f"layer {image.stem} keeps its data in another file")
    if header.backing != (below.name if below else ""):
        raise CannotHonour(f"layer {image.stem} stands on {header.backing!r}, not on its parent")


async def create_overlay(disk: Path, base: Path, size: int | None = None) -> None:
    """Make ``disk`` an empty layer that names ``base`` by its bare name; ``size`` in bytes."""
    argv = ["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-F", "qcow2", "-b", base.name]
    finished = await run([*argv, disk, str(size or read_header(base).size)], timeout=_TIMEOUT)
    if not finished.code:
        return
    if _ENOSPC in finished.complaint:
        raise NoSpace
    raise HostFault(f"qemu-img: {finished.complaint}")
