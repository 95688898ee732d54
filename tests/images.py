"""Templates for tests: the demo guest built once per run, and registries that are only memory."""

import asyncio
import atexit
import functools
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from contracts.artifacts import (
    CONFIG_TYPE,
    DISK_TYPE,
    INITRD_TYPE,
    KERNEL_TYPE,
    TEMPLATE_TYPE,
    Descriptor,
    Manifest,
    digest_of,
)
from contracts.templates import TemplateRef
from corral.guest import BuiltTemplate, build_template
from corral.registry import LocalTemplate, RegistryClient, push_template, repository_of_name

PACKAGES = Path(__file__).parent.parent / ".local/guest-packages"
"""Kept between runs, so that only the first one downloads."""

PIECE = 256 * 1024


@functools.cache
def demo_guest() -> BuiltTemplate:
    """The demo guest, built at the first call of this run."""
    folder = Path(tempfile.mkdtemp(prefix="demo-guest-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return build_template(folder, cache=PACKAGES)


async def push_demo_guest(registry: str, tag: str = "v1") -> str:
    """Have the demo guest in a registry; its repository, which is the template's id."""
    built = await asyncio.to_thread(demo_guest)
    repository = repository_of_name(built.config.name)
    template = LocalTemplate(
        config=built.config, disks=(built.disk,), kernel=built.kernel, initrd=built.initrd
    )
    async with RegistryClient(registry) as client:
        await push_template(client, repository, tag, template)
    return repository


class MemorySource:
    """An ImageSource of what was put into it; ``asked`` tells (digest, offset) of every blob."""

    address = "memory"

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, bytes] = {}
        self.asked: list[tuple[str, int]] = []

    def put(self, media_type: str, content: bytes) -> Descriptor:
        digest = digest_of(content)
        self.blobs[digest] = content
        return Descriptor(media_type=media_type, digest=digest, size=len(content))

    def put_manifest(
        self, name: str, tag: str, config: Descriptor, layers: list[Descriptor]
    ) -> TemplateRef:
        manifest = Manifest(artifact_type=TEMPLATE_TYPE, config=config, layers=tuple(layers))
        body = msgspec.json.encode(manifest)
        digest = digest_of(body)
        self.manifests[digest] = self.manifests[tag] = body
        return TemplateRef(
            id=f"template-{name}",
            name=name,
            tag=tag,
            version=0,
            arch="amd64",
            repository=f"templates/{name}",
            digest=digest,
            size=sum(blob.size for blob in (config, *layers)),
        )

    async def manifest(self, repository: str, reference: str) -> bytes:
        return self.manifests[reference]

    async def blob(self, repository: str, digest: str, offset: int = 0) -> AsyncIterator[bytes]:
        self.asked.append((digest, offset))
        content = self.blobs[digest]
        for start in range(offset, len(content), PIECE):
            yield content[start : start + PIECE]


def layer_over(disk: Path) -> bytes:
    """An empty layer that stands on ``disk``, named as layers name each other."""
    with tempfile.TemporaryDirectory() as folder:
        below = Path(folder, digest_of(disk.read_bytes()).partition(":")[2] + ".qcow2")
        below.symlink_to(disk)
        over = ["-F", "qcow2", "-b", below.name, "layer"]
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *over], cwd=folder, check=True)
        return Path(folder, "layer").read_bytes()


def publish(source: MemorySource, built: BuiltTemplate, tag: str = "v1") -> TemplateRef:
    """Put a built template into ``source``, as two layers."""
    config = source.put(CONFIG_TYPE, msgspec.json.encode(built.config))
    layers = [
        source.put(DISK_TYPE, built.disk.read_bytes()),
        source.put(DISK_TYPE, layer_over(built.disk)),
        source.put(KERNEL_TYPE, built.kernel.read_bytes()),
        source.put(INITRD_TYPE, built.initrd.read_bytes()),
    ]
    return source.put_manifest(built.config.name, tag, config, layers)
