"""The templates on this host: one manifest per tag, their blobs, and when each was last used."""

import asyncio
import hashlib
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import msgspec
import structlog

from chassis.full_disk import full_disk_as
from contracts.artifacts import Descriptor, Manifest, TemplateConfig, digest_of
from contracts.nodes import CachedTemplate
from contracts.templates import TemplateRef
from node_agent.drivers.port import CannotHonour, HostFault, ImageSource, NoSpace, Progress
from node_agent.drivers.qemu.blobs import BlobStore
from node_agent.drivers.qemu.qcow2 import check_layer
from node_agent.drivers.qemu.space import write_whole

_CONFIG_LIMIT = 1024 * 1024
Key = tuple[str, str]
_log = structlog.get_logger()


class Cached(msgspec.Struct, frozen=True, kw_only=True):
    """One tag in the cache, as kept in its file. ``raw`` is the manifest as it was pulled."""

    id: str
    name: str
    tag: str
    digest: str
    manifest: Manifest
    config: TemplateConfig
    raw: bytes = b""

    @property
    def key(self) -> Key:
        """What a tag is known by."""
        return self.id, self.tag

    @property
    def listed(self) -> CachedTemplate:
        """How the node reports it."""
        layers = tuple(layer.digest for layer in self.manifest.disks)
        return CachedTemplate(
            id=self.id, name=self.name, tag=self.tag, digest=self.digest, layers=layers
        )


class _Pull:
    """A download under way, and who waits for it."""

    def __init__(self) -> None:
        self.task: asyncio.Task[None]
        self.manifest: Manifest | None = None
        self.listeners: list[Progress] = []


class TemplateCache:
    """Templates below ``root``: ``blobs/`` and ``tags/``."""

    def __init__(self, root: Path) -> None:
        self._tags = root / "tags"
        blobs = root / "blobs"
        for folder in (self._tags, blobs):
            folder.mkdir(parents=True, exist_ok=True)
        self.blobs = BlobStore(blobs)
        self._pulls: dict[tuple[str, str, str], _Pull] = {}
        self._wanted: WeakKeyDictionary[asyncio.Task[Any], Manifest] = WeakKeyDictionary()
        self._held = {cached.key: cached for cached in _read_all(self._tags)}

    def find(self, template: TemplateRef) -> Cached | None:
        """The tag if it is here, whole, and the very one that ``template`` names."""
        cached = self._held.get((template.id, template.tag))
        if cached is None or template.digest not in {"", cached.digest}:
            return None
        return cached if self._is_whole(cached) else None

    def listed(self) -> list[CachedTemplate]:
        """Every tag, least recently used first; one that lost a blob is forgotten."""
        for cached in [cached for cached in self._held.values() if not self._is_whole(cached)]:
            _log.warning("qemu.tag_incomplete", template=cached.name, tag=cached.tag)
            self._forget(cached.key)
        held = sorted(self._held.values(), key=lambda cached: _used_at(self._file(cached.key)))
        return [cached.listed for cached in held]

    def touch(self, cached: Cached) -> None:
        """Note that the tag is used now."""
        os.utime(self._file(cached.key))

    def layers(self, cached: Cached) -> list[Path]:
        """The files of the disk layers, base first."""
        return [self.blobs.path(layer) for layer in cached.manifest.disks]

    def kernels(self) -> list[Path]:
        """Every kernel here."""
        kernels = [cached.manifest.kernel for cached in self._held.values()]
        return [self.blobs.path(kernel) for kernel in kernels if kernel]

    def blob(self, digest: str) -> Path | None:
        """See Shelf."""
        return self.blobs.find(digest)

    def manifest(self, digest: str) -> bytes | None:
        """See Shelf."""
        kept = (cached.raw for cached in self._held.values() if cached.digest == digest)
        return next(kept, None)

    async def missing_bytes(self, template: TemplateRef, source: ImageSource) -> int:
        """What a pull would download.

        Until the task that asks has pulled, or has ended, evictions spare what is here of it.
        """
        if self.find(template):
            return 0
        _, manifest = await _manifest(template, source)
        self._wanted[_this_task()] = manifest
        return sum(self.blobs.missing(blob) for blob in _unique(manifest))

    async def pull(self, template: TemplateRef, source: ImageSource, progress: Progress) -> None:
        """Have the tag. Whoever asks for the same one meanwhile waits for the same download."""
        try:
            if self.find(template):
                progress(1.0)
            else:
                await self._join(template, source, progress)
        finally:
            self._wanted.pop(_this_task(), None)

    def evict(self, template: CachedTemplate | None, in_use: Collection[Path]) -> None:
        """Drop a tag, and every blob that no tag, no pull, the next one included, and no VM needs.

        ``in_use`` are the blobs of VMs.
        """
        if template:
            self._forget((template.id, template.tag))
        wanted = [cached.manifest for cached in self._held.values()]
        wanted += [pull.manifest for pull in self._pulls.values() if pull.manifest]
        wanted += [manifest for task, manifest in self._wanted.items() if not task.done()]
        needed = {self.blobs.path(blob) for manifest in wanted for blob in manifest.blobs}
        self.blobs.keep_only(needed.union(in_use))

    async def _join(self, template: TemplateRef, source: ImageSource, progress: Progress) -> None:
        key = (template.id, template.tag, template.digest)
        pull = self._pulls.get(key)
        if pull is None:
            pull = self._pulls[key] = _Pull()
            pull.task = asyncio.create_task(self._pull(pull, template, source))
            pull.task.add_done_callback(lambda _: self._drop(key, pull))
        pull.listeners.append(progress)
        try:
            await asyncio.shield(pull.task)
        finally:
            pull.listeners.remove(progress)
            if not pull.listeners and not pull.task.done():
                self._drop(key, pull)
                pull.task.cancel()
                await asyncio.wait([pull.task])

    def _drop(self, key: tuple[str, str, str], pull: _Pull) -> None:
        """Nobody may join this one any more; another may have taken its place."""
        if self._pulls.get(key) is pull:
            del self._pulls[key]

    def _forget(self, key: Key) -> None:
        if self._held.pop(key, None):
            self._file(key).unlink(missing_ok=True)

    def _is_whole(self, cached: Cached) -> bool:
        return all(self.blobs.missing(blob) == 0 for blob in cached.manifest.blobs)

    async def _pull(self, pull: _Pull, template: TemplateRef, source: ImageSource) -> None:
        raw, manifest = await _manifest(template, source)
        pull.manifest = manifest
        blobs = _unique(manifest)
        total = sum(self.blobs.missing(blob) for blob in blobs) or 1
        done = 0

        def told(count: int) -> None:
            nonlocal done
            done += count
            for listener in pull.listeners:
                listener(min(1.0, done / total))

        for blob in blobs:
            await self.blobs.fetch(blob, source, template.repository, told)
        self._keep(template, raw, manifest)

    def _keep(self, template: TemplateRef, raw: bytes, manifest: Manifest) -> None:
        """Check what came as a whole, and only then make it a tag."""
        below: Path | None = None
        for layer in manifest.disks:
            check_layer(self.blobs.path(layer), below)
            below = self.blobs.path(layer)
        if below is None:
            raise CannotHonour(f"template {template.name} has no disk that QEMU can use")
        cached = Cached(
            id=template.id,
            name=template.name,
            tag=template.tag,
            digest=template.digest,
            manifest=manifest,
            config=self._config(manifest.config),
            raw=raw,
        )
        with full_disk_as(NoSpace):
            write_whole(self._file(cached.key), msgspec.json.encode(cached))
        self._held[cached.key] = cached

    def _config(self, blob: Descriptor) -> TemplateConfig:
        if blob.size > _CONFIG_LIMIT:
            raise CannotHonour("the template's config is too large to be one")
        try:
            return msgspec.json.decode(self.blobs.path(blob).read_bytes(), type=TemplateConfig)
        except msgspec.DecodeError as error:
            raise CannotHonour(f"the template's config cannot be read: {error}") from error

    def _file(self, key: Key) -> Path:
        name = hashlib.sha256("\n".join(key).encode()).hexdigest()
        return self._tags / f"{name}.json"


def _read_all(folder: Path) -> Iterator[Cached]:
    """What cannot be read is as good as not there: it will be pulled again."""
    for file in folder.glob("*.json"):
        try:
            yield msgspec.json.decode(file.read_bytes(), type=Cached)
        except msgspec.DecodeError as error:
            _log.warning("qemu.tag_unreadable", file=str(file), error=str(error))


def _used_at(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _this_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


def _unique(manifest: Manifest) -> list[Descriptor]:
    return list({blob.digest: blob for blob in manifest.blobs}.values())


async def _manifest(template: TemplateRef, source: ImageSource) -> tuple[bytes, Manifest]:
    """As it came, and what it says."""
    body = await source.manifest(template.repository, template.digest or template.tag)
    if template.digest and digest_of(body) != template.digest:
        raise HostFault(f"the manifest of {template.name} from {source.address} is another one")
    try:
        return body, msgspec.json.decode(body, type=Manifest)
    except msgspec.DecodeError as error:
        raise CannotHonour(f"the manifest of {template.name} cannot be read: {error}") from error
