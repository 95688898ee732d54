"""A small disk: a tmpfs where mounting is possible, else a folder in which writing fails alike."""

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SIZE = 8 << 20


class SmallDisk:
    """A folder of ``SIZE`` bytes. What fills it is counted by whoever it is: ENOSPC is real."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.refused = 0
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Leave no byte free."""
        with self._ballast.open("wb", buffering=0) as file:
            try:
                while True:
                    os.pwrite(file.fileno(), bytes(4096), file.seek(0, os.SEEK_END))
            except OSError as error:
                assert error.errno == errno.ENOSPC, error  # noqa: PT017 -- the loop's end

    def free(self) -> None:
        """Give the space back."""
        self._ballast.unlink()


@contextmanager
def small_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallDisk]:
    """See SmallDisk. Writes through ``os.pwrite`` that fail are counted in ``refused``."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "corral-test", str(folder)]
    mounted = os.geteuid() == 0 and not subprocess.run(mount, check=False).returncode
    disk = SmallDisk(folder)
    real = os.pwrite

    def pwrite(descriptor: int, data: bytes, at: int) -> int:
        if not mounted and _below(folder, descriptor) and _used(folder) + len(data) > SIZE:
            disk.refused += 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        try:
            return real(descriptor, data, at)
        except OSError as error:
            disk.refused += error.errno == errno.ENOSPC
            raise

    monkeypatch.setattr(os, "pwrite", pwrite)
    try:
        yield disk
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=True)


def _below(folder: Path, descriptor: int) -> bool:
    return Path(f"/proc/self/fd/{descriptor}").readlink().is_relative_to(folder)


def _used(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
