"""The guest's root folder: busybox, the programs with the libraries they need, our few files."""

import os
import re
import shutil
from pathlib import Path

from corral.guest.initrd import busybox
from corral.guest.programs import CannotBuild, run

PROGRAMS = ("qemu-ga", "dropbear", "dropbearkey", "resize2fs")
FOLDERS = (
    *("bin", "dev", "etc/dropbear", "home/corral", "lib64", "mnt", "proc", "root", "run"),
    *("sbin", "sys", "tmp", "usr/bin", "usr/sbin", "var/log", "var/run"),
)
_LIBRARIES = "lib/x86_64-linux-gnu"
_LOADER = "ld-linux-x86-64.so.2"
_RESOLVED = re.compile(r"^\s*(?P<name>\S+) => (?P<path>/\S+) \(", re.MULTILINE)
_MODES = {"etc/shadow": 0o600}


def populate(root: Path, packages: Path, files: Path) -> None:
    """Fill ``root`` from unpacked ``packages`` and from ``files``, a tree laid over it."""
    for folder in (*FOLDERS, _LIBRARIES):
        (root / folder).mkdir(parents=True, exist_ok=True)
    _add_busybox(root, busybox(packages))
    loader = _find(packages, _LOADER)
    _copy(loader, root / "lib64" / _LOADER, 0o755)
    for name in PROGRAMS:
        _add_program(root, packages, loader, _find(packages, name))
    _overlay(root, files)


def _add_busybox(root: Path, source: Path) -> None:
    target = root / "bin/busybox"
    _copy(source, target, 0o755)
    for applet in run([target, "--list-full"]).split():
        link = root / applet
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.exists():
            link.symlink_to("/bin/busybox")
    (root / "sbin/init").unlink(missing_ok=True)
    (root / "sbin/init").symlink_to("/bin/busybox")


def _add_program(root: Path, packages: Path, loader: Path, source: Path) -> None:
    """Copy a program and what the dynamic loader resolves for it, from the packages only."""
    target = root / "usr/sbin" / source.name
    target.unlink(missing_ok=True)
    _copy(source, target, 0o755)
    folders = sorted({str(file.parent) for file in packages.glob("**/x86_64-linux-gnu/*.so*")})
    listing = run([loader, "--library-path", ":".join(folders), "--list", source])
    if "not found" in listing:
        raise CannotBuild(f"{source.name}: a library is in none of the packages: {listing}")
    for found in _RESOLVED.finditer(listing):
        _copy(Path(found["path"]), root / _LIBRARIES / Path(found["name"]).name, 0o755)


def _overlay(root: Path, files: Path) -> None:
    for source in files.rglob("*"):
        if source.is_file():
            path = source.relative_to(files)
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            script = source.read_bytes().startswith(b"#!")
            _copy(source, target, _MODES.get(str(path), 0o755 if script else 0o644))
    (root / "tmp").chmod(0o1777)
    (root / "root").chmod(0o700)


def _find(packages: Path, name: str) -> Path:
    for found in sorted(packages.rglob(name)):
        if found.is_file() and os.access(found, os.X_OK):
            return found
    raise CannotBuild(f"the packages hold no program {name}")


def _copy(source: Path, target: Path, mode: int) -> None:
    shutil.copyfile(source, target)
    target.chmod(mode)
