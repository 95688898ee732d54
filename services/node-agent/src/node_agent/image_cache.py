"""The templates of one host: downloaded once, kept while used, evicted when space is needed."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog

from contracts.nodes import CachedTemplate
from contracts.templates import TemplateRef
from node_agent.drivers.port import HostFault, ImageSource, NoSpace, Progress, VmDriver
from node_agent.workers import Workers

_DEFAULT_RESERVE = 0.2
_log = structlog.get_logger()


class _Download:
    """One pull with everybody who waits for it; ends when the last of them leaves."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.share = 0.0
        self.abandoned = False
        self.listeners: list[Progress] = []
        self.task: asyncio.Task[None] | None = None

    def progress(self, share: float) -> None:
        self.share = share
        for listener in self.listeners:
            listener(share)

    @property
    def missing(self) -> int:
        return int(self.size * (1 - self.share))


class ImageCache:
    """``reserve``: bytes of disk that stay free (None: a fifth of the disk)."""

    def __init__(
        self,
        driver: VmDriver,
        sources: Callable[[str], ImageSource],
        workers: Workers,
        reserve: int | None = None,
    ) -> None:
        self._driver = driver
        self._sources = sources
        self._workers = workers
        self._reserve = reserve
        self._held: Counter[tuple[str, str]] = Counter()
        self._downloads: dict[tuple[str, str], _Download] = {}
        self._room = asyncio.Lock()

    @asynccontextmanager
    async def hold(
        self, template: TemplateRef, registry: str, progress: Progress
    ) -> AsyncIterator[None]:
        """Have the tag in the cache, and keep it there inside the block.

        ``progress`` is called only when something must be downloaded. Raises NoSpace, HostFault.
        """
        key = (template.id, template.tag)
        self._held[key] += 1
        try:
            if not await self._is_cached(template):
                await self._join(key, template, registry, progress)
            yield
        finally:
            self._held[key] -= 1
            if not self._held[key]:
                del self._held[key]

    async def keep(self, template: TemplateRef, source: ImageSource) -> None:
        """Have a tag in the cache that was made on this host."""
        await self._driver.pull(template, source, _ignore)

    async def remove(self, template_id: str) -> None:
        """Drop every tag of a template that is not in use."""
        for cached in await self._driver.templates():
            if cached.id == template_id:
                await self._evict(cached)

    async def reserve(self) -> int:
        """Bytes of disk that no pull may use."""
        if self._reserve is not None:
            return self._reserve
        return int((await self._driver.facts()).disk_size * _DEFAULT_RESERVE)

    async def _is_cached(self, template: TemplateRef) -> bool:
        return any(_same(cached, template) for cached in await self._driver.templates())

    async def _join(
        self, key: tuple[str, str], template: TemplateRef, registry: str, progress: Progress
    ) -> None:
        download = self._downloads.get(key)
        while download is not None and download.abandoned:
            assert download.task is not None
            await asyncio.wait([download.task])
            download = self._downloads.get(key)
        if download is None:
            download = self._downloads[key] = _Download(template.size)
            download.task = asyncio.create_task(
                self._pull(key, download, template, registry), name=f"pull:{template.name}"
            )
        assert download.task is not None
        download.listeners.append(progress)
        progress(download.share)
        try:
            await asyncio.shield(download.task)
        finally:
            download.listeners.remove(progress)
            if not download.listeners and not download.task.done():
                download.abandoned = True
                download.task.cancel()
                await asyncio.wait([download.task])

    async def _pull(
        self, key: tuple[str, str], download: _Download, template: TemplateRef, registry: str
    ) -> None:
        try:
            async with self._workers.pull():
                source = self._sources(registry)
                async with self._room:
                    download.size = await self._make_room(key, template, source)
                await self._driver.pull(template, source, download.progress)
        finally:
            if self._downloads.get(key) is download:
                del self._downloads[key]

    async def _make_room(
        self, key: tuple[str, str], template: TemplateRef, source: ImageSource
    ) -> int:
        """Evict until the download fits above the reserve; its size in bytes."""
        reserve = await self.reserve()
        while True:
            missing = await self._driver.missing_bytes(template, source)
            others = sum(d.missing for k, d in self._downloads.items() if k != key)
            free = (await self._driver.usage()).free_disk - reserve - others
            if missing <= free:
                return missing
            if not await self._evict_oldest():
                _log.warning("cache.no_space", template=template.name, missing=missing, free=free)
                raise NoSpace(NoSpace.__doc__)

    async def _evict_oldest(self) -> bool:
        for cached in await self._driver.templates():
            if await self._evict(cached):
                return True
        return False

    async def _evict(self, cached: CachedTemplate) -> bool:
        if self._held[cached.id, cached.tag]:
            return False
        try:
            await self._driver.evict(cached)
        except HostFault:
            return False
        _log.info("cache.evicted", template=cached.name, tag=cached.tag)
        return True


def _same(cached: CachedTemplate, template: TemplateRef) -> bool:
    if cached.id != template.id or cached.tag != template.tag:
        return False
    return not cached.digest or cached.digest == template.digest


def _ignore(_share: float) -> None:
    """Nothing is downloaded."""
