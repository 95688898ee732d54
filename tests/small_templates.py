"""Templates of tiny qcow2 layers: enough for a cache, too little to boot."""

import subprocess
from pathlib import Path

import msgspec

from contracts.artifacts import CONFIG_TYPE, DISK_TYPE, KERNEL_TYPE, TemplateConfig
from contracts.templates import TemplateRef
from tests.images import MemorySource


def quiet(_: float) -> None:
    """Nobody listens."""


def image(folder: Path, name: str, backing: str = "", options: str = "") -> bytes:
    """A qcow2 image, made without looking for the file that it names."""
    file = folder / name
    over = ["-u", "-F", "qcow2", "-b", backing] if backing else []
    extra = ["-o", options] if options else []
    argv = ["qemu-img", "create", "-q", "-f", "qcow2", *over, *extra, str(file), "1M"]
    subprocess.run(argv, check=True, cwd=folder)
    return file.read_bytes()


def template(
    source: MemorySource, layers: list[bytes], tag: str = "v1", kernel: bytes = b"kernel"
) -> TemplateRef:
    config = source.put(CONFIG_TYPE, msgspec.json.encode(TemplateConfig(name="small")))
    blobs = [source.put(DISK_TYPE, layer) for layer in layers]
    return source.put_manifest("small", tag, config, [*blobs, source.put(KERNEL_TYPE, kernel)])


def stacked(source: MemorySource, folder: Path, top: bytes = b"") -> tuple[bytes, bytes]:
    """A base and a layer that stands on it."""
    base = image(folder, "base")
    name = source.put(DISK_TYPE, base).digest.partition(":")[2]
    return base, image(folder, "top", backing=f"{name}.qcow2") + top
