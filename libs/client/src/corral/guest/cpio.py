"""Writes the archive that Linux takes as an initial ram disk (the "newc" format of cpio)."""

from dataclasses import dataclass, field

_MAGIC = "070701"
_FOLDER, _FILE, _DEVICE = 0o040755, 0o100000, 0o020600


@dataclass
class Cpio:
    """An archive being written; everything in it belongs to root. Paths have no leading slash."""

    _parts: list[bytes] = field(default_factory=list)
    _count: int = 0

    def folder(self, path: str) -> None:
        """Add a folder; its parents come first."""
        self._entry(path, _FOLDER)

    def file(self, path: str, content: bytes, mode: int = 0o644) -> None:
        """Add a regular file."""
        self._entry(path, _FILE | mode, content)

    def device(self, path: str, major: int, minor: int) -> None:
        """Add a character device."""
        self._entry(path, _DEVICE, device=(major, minor))

    def finished(self) -> bytes:
        """The whole archive."""
        self._entry("TRAILER!!!", 0)
        return b"".join(self._parts)

    def _entry(
        self, path: str, mode: int, content: bytes = b"", device: tuple[int, int] = (0, 0)
    ) -> None:
        self._count += 1
        name = path.encode() + b"\0"
        links = 2 if mode == _FOLDER else 1
        numbers = (
            *(self._count, mode, 0, 0, links, 0, len(content)),
            *(0, 0, *device, len(name), 0),
        )
        header = (_MAGIC + "".join(f"{number:08X}" for number in numbers)).encode()
        self._parts += [_padded(header + name), _padded(content)]


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
