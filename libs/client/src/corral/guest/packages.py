"""The distribution's packages: which ones, fetched with one call, unpacked and not installed.

Names differ between releases (``libglib2.0-0``, ``libglib2.0-0t64``), so the libraries and the
kernel behind its meta package are asked of apt's own index.
"""

import json
import re
import tempfile
from pathlib import Path

from corral.guest.programs import CannotBuild, run

PROGRAMS = ("busybox-static", "qemu-guest-agent", "e2fsprogs", "dropbear-bin")
"""What runs in the guest; the libraries follow from it."""

KERNELS = ("linux-image-cloud-amd64", "linux-image-virtual", "linux-image-amd64")
"""Meta packages of a kernel for virtual machines, the smallest first."""

_INDEX = "packages.json"
_HARD = re.compile(r"^ [ |](?:Pre)?Depends: (?P<name>[^<\s]+)$")
_LIBRARY = re.compile(r"^(lib|zlib)(?!.*(perl|python))")
_KERNEL_PART = re.compile(r"^linux-(image|modules)-(unsigned-)?\d")


def fetch(cache: Path) -> list[Path]:
    """The package files in ``cache``, downloaded only when it does not hold a whole set yet."""
    cache.mkdir(parents=True, exist_ok=True)
    if held := _held(cache):
        return held
    names = _closure(_graph([*PROGRAMS, _kernel()]))
    with tempfile.TemporaryDirectory(dir=cache, prefix=".part-") as part:
        run(["apt-get", "download", *names], cwd=Path(part))
        fetched = [_file_of(Path(part), name) for name in names]
        files = [file.rename(cache / file.name) for file in fetched]
    (cache / _INDEX).write_text(json.dumps([file.name for file in files]))
    return files


def unpack(files: list[Path], target: Path) -> None:
    """Lay the content of the packages over one another in ``target``."""
    for file in files:
        run(["dpkg", "-x", file, target])


def _held(cache: Path) -> list[Path]:
    index = cache / _INDEX
    if not index.is_file():
        return []
    files = [cache / name for name in json.loads(index.read_text())]
    return files if all(file.is_file() for file in files) else []


def _kernel() -> str:
    for name in KERNELS:
        if "\n  Candidate: (none)" not in (policy := run(["apt-cache", "policy", name])) and policy:
            return name
    raise CannotBuild("apt knows no kernel package; remedy: apt-get update, on an amd64 machine")


def _graph(roots: list[str]) -> dict[str, list[str]]:
    """Hard dependencies of the roots and of everything below them."""
    unwanted = ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")
    options = [f"--no-{kind}" for kind in unwanted]
    graph: dict[str, list[str]] = {}
    current: list[str] = []
    for line in run(["apt-cache", "depends", "--recurse", *options, *roots]).splitlines():
        if not line.startswith((" ", "<")):
            current = graph.setdefault(line, [])
        elif found := _HARD.match(line):
            current.append(found["name"])
    if missing := [root for root in roots if root not in graph]:
        raise CannotBuild(f"apt does not know {', '.join(missing)}; remedy: apt-get update")
    return graph


def _closure(graph: dict[str, list[str]]) -> list[str]:
    """The programs, and the libraries and kernel parts below them; meta packages left out."""
    wanted: set[str] = set()
    waiting = list(PROGRAMS) + [name for name in graph if name in KERNELS]
    while waiting:
        name = waiting.pop()
        if name in wanted:
            continue
        wanted.add(name)
        below = graph.get(name, [])
        waiting += [n for n in below if _LIBRARY.match(n) or _KERNEL_PART.match(n)]
    return sorted(wanted.difference(KERNELS))


def _file_of(folder: Path, name: str) -> Path:
    for file in folder.glob(f"{name}_*.deb"):
        return file
    raise CannotBuild(f"apt-get downloaded no {name}; remedy: apt-get update")
