"""Turns a folder into a bootable-by-kernel disk image, without mounting and without being root."""

import os
import stat
from pathlib import Path

from corral.guest.programs import run

SIZE = 128 * 1024 * 1024
"""Bytes; a file system without partitions. A larger disk override makes the guest grow it."""

_SECTOR = 512


def build(root: Path, output: Path, owners: dict[str, int]) -> None:
    """Write ``output`` (qcow2) with the content of ``root``.

    Everything belongs to root but the paths in ``owners``, whoever builds.
    """
    (root / "etc/disk.sectors").write_text(f"{SIZE // _SECTOR}\n")
    raw = output.with_suffix(".raw")
    # With a journal: a VM that is restarted by force must find a disk that can be mounted.
    options = ["-q", "-F", "-t", "ext4", "-E", "root_owner=0:0"]
    run(["mke2fs", *options, "-d", root, raw, f"{SIZE // 1024}k"])
    run(["debugfs", "-w", "-f", "-", raw], stdin=_ownership(root, owners))
    run(["qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", raw, output])
    raw.unlink()


def _ownership(root: Path, owners: dict[str, int]) -> str:
    """Commands for debugfs: mke2fs copies the builder's ids, which mean nothing in the guest."""
    lines = []
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(folder, name)
            inside = str(path.relative_to(root))
            wanted = owners.get(inside, 0)
            found: os.stat_result = path.lstat()
            if (found.st_uid, found.st_gid) != (wanted, wanted) and not stat.S_ISSOCK(
                found.st_mode
            ):
                lines += [f'sif "/{inside}" {field} {wanted}' for field in ("uid", "gid")]
    return "\n".join(lines) + "\n"
