"""The initial ram disk: busybox and the virtio modules of one kernel, so the disk needs none."""

import lzma
from pathlib import Path

from corral.guest.cpio import Cpio
from corral.guest.programs import CannotBuild, program, run

MODULES = (
    *("virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci"),
    *("virtio_blk", "failover", "net_failover", "virtio_net", "virtio_console", "virtio-rng"),
    *("evdev", "button", "crc32c_generic", "libcrc32c", "crc16", "mbcache", "jbd2", "ext4"),
)
"""Loaded in this order: each needs the ones before it. Kernels differ in what is built in."""

INDISPENSABLE = frozenset({"virtio_pci", "virtio_blk", "virtio_net", "virtio_console", "ext4"})

_CONSOLE = (5, 1)


def build(packages: Path, init: Path) -> bytes:
    """The archive, uncompressed: unpacking one costs an emulated processor more than reading it."""
    archive = Cpio()
    for folder in ("bin", "dev", "modules"):
        archive.folder(folder)
    archive.device("dev/console", *_CONSOLE)
    archive.file("init", init.read_bytes(), 0o755)
    archive.file("bin/busybox", busybox(packages).read_bytes(), 0o755)
    order = []
    for name, file in _modules(packages):
        archive.file(f"modules/{name}.ko", _plain(file))
        order.append(f"{name}.ko\n")
    archive.file("modules/order", "".join(order).encode())
    return archive.finished()


def kernel(packages: Path) -> Path:
    """The kernel image."""
    return _only(packages, "boot/vmlinuz-*")


def busybox(packages: Path) -> Path:
    """The statically linked busybox."""
    return _only(packages, "**/bin/busybox")


def _modules(packages: Path) -> list[tuple[str, Path]]:
    """Name and file of each module that the kernel does not have built in."""
    builtin = {Path(n).stem for n in _only(packages, "**/modules.builtin").read_text().split()}
    files = {file.name.partition(".")[0]: file for file in packages.glob("**/kernel/**/*.ko*")}
    if lacking := INDISPENSABLE - builtin - files.keys():
        raise CannotBuild(f"the kernel package lacks {', '.join(sorted(lacking))}")
    return [(name, files[name]) for name in MODULES if name in files and name not in builtin]


def _plain(module: Path) -> bytes:
    if module.suffix == ".ko":
        return module.read_bytes()
    if module.suffix == ".xz":
        return lzma.decompress(module.read_bytes())
    if module.suffix == ".zst":
        plain = module.with_suffix("")
        run([program("zstd"), "-d", "-q", "-f", module, "-o", plain])
        return plain.read_bytes()
    raise CannotBuild(f"{module.name}: modules compressed like this cannot be read")


def _only(packages: Path, pattern: str) -> Path:
    found = sorted(packages.glob(pattern))
    if not found:
        raise CannotBuild(f"the packages hold no {pattern}")
    return found[-1]
