"""The programs that a build needs, and what to do where one is missing."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

TIMEOUT = 300.0
"""Seconds that one program may take; the longest is a download."""

_PACKAGE_OF = {
    "apt-cache": "apt",
    "apt-get": "apt",
    "debugfs": "e2fsprogs",
    "dpkg": "dpkg",
    "mke2fs": "e2fsprogs",
    "qemu-img": "qemu-utils",
    "zstd": "zstd",
}
_ADMIN_FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin"


class CannotBuild(Exception):
    """The demo guest cannot be built here; the text names the cause and the remedy."""


def program(name: str) -> str:
    """The path of a program, also where only an administrator's PATH has it."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:{_ADMIN_FOLDERS}")
    if path is None:
        package = _PACKAGE_OF[name]
        raise CannotBuild(f"{name} is missing; remedy: apt-get install {package}")
    return path


def run(argv: Sequence[str | Path], *, cwd: Path | None = None, stdin: str = "") -> str:
    """The standard output of a program that must succeed. ``argv[0]`` is a name or a path."""
    first = str(argv[0])
    path = first if "/" in first else program(first)
    try:
        done = subprocess.run(  # noqa: S603 -- no shell, and the arguments are ours
            [path, *argv[1:]],
            cwd=cwd,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
            env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
        )
    except subprocess.TimeoutExpired:
        raise CannotBuild(f"{first} did not end in {TIMEOUT:g} s") from None
    if done.returncode:
        raise CannotBuild(f"{first} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
