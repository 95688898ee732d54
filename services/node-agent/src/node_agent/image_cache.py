"""The templates of one host: downloaded once, kept while used, evicted when space is needed."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext

import structlog

from contracts.nodes import CachedTemplate
from contracts.templates import TemplateRef
from node_agent.drivers.port import HostFault, ImageSource, NoSpace, Progress, VmDriver
from node_agent.workers import Workers

_DEFAULT_RESERVE = 0.2
_SETTLED = 3600.0
"""Seconds after its last use during which a tag does not go for a pull ahead of time."""

_Key = tuple[str, str]
_log = structlog.get_logger()


class _Download:
    """One pull with everybody who waits for it; ends when the last of them leaves.

    ``ahead``: no start is among them.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.ahead = True
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
    """``reserve``: bytes of disk that stay free (None: a fifth of the disk).

    A tag that a start or a pull holds is never evicted. For a start everything else may go, the
    least recently used first; for a pull ahead of time only what was not used for an hour, or two
    large templates would push each other out for ever without one VM being started. Such a pull
    takes no worker's place either, or starts would wait behind it.
    """

    def __init__(
        self,
        driver: VmDriver,
        sources: Callable[[str], ImageSource],
        workers: Workers,
        reserve: int | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._driver = driver
        self._sources = sources
        self._workers = workers
        self._reserve = reserve
        self._monotonic = monotonic
        self._held: Counter[_Key] = Counter()
        self._used: dict[_Key, float] = {}
        self._leaving: dict[_Key, asyncio.Event] = {}
        self._downloads: dict[tuple[str, str, str], _Download] = {}
        self._room = asyncio.Lock()

    @asynccontextmanager
    async def hold(
        self, template: TemplateRef, registry: str, progress: Progress, *, ahead: bool = False
    ) -> AsyncIterator[None]:
        """Have the tag in the cache, and keep it there inside the block.

        ``progress`` is called only when something must be downloaded. ``ahead``: for no start.
        Raises NoSpace, HostFault.
        """
        async with self._in_use(template):
            if not await self._is_cached(template):
                await self._join(template, registry, progress, ahead=ahead)
            self._note_use(template)
            yield

    async def keep(self, template: TemplateRef, source: ImageSource) -> None:
        """Have a tag in the cache that was made on this host, as if it had been pulled now."""
        async with self._in_use(template):
            await self._driver.pull(template, source, _ignore)
            self._note_use(template)

    async def remove(self, template_id: str) -> None:
        """Drop every tag of a template, but for those that a VM, a start or a pull uses now.

        A start that comes while a tag is on its way out waits, and pulls it again.
        """
        for cached in await self._driver.templates():
            if cached.id == template_id:
                await self._evict(cached)

    async def reserve(self) -> int:
        """Bytes of disk that no pull may use."""
        if self._reserve is not None:
            return self._reserve
        return int((await self._driver.facts()).disk_size * _DEFAULT_RESERVE)

    @asynccontextmanager
    async def _in_use(self, template: TemplateRef) -> AsyncIterator[None]:
        """The tag is not evicted inside the block; one on its way out has left before it."""
        key = (template.id, template.tag)
        self._held[key] += 1
        try:
            while leaving := self._leaving.get(key):
                await leaving.wait()
            yield
        finally:
            self._held[key] -= 1
            if not self._held[key]:
                del self._held[key]

    def _note_use(self, template: TemplateRef) -> None:
        self._used[template.id, template.tag] = self._monotonic()

    async def _is_cached(self, template: TemplateRef) -> bool:
        return any(_same(cached, template) for cached in await self._driver.templates())

    async def _join(
        self, template: TemplateRef, registry: str, progress: Progress, *, ahead: bool
    ) -> None:
        key = (template.id, template.tag, template.digest)
        download = self._downloads.get(key)
        while download is not None and download.abandoned:
            assert download.task is not None
            await asyncio.wait([download.task])
            download = self._downloads.get(key)
        if download is None:
            download = self._downloads[key] = _Download(template.size)
            download.task = asyncio.create_task(
                self._pull(download, template, registry), name=f"pull:{template.name}"
            )
        assert download.task is not None
        download.ahead = download.ahead and ahead
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

    async def _pull(self, download: _Download, template: TemplateRef, registry: str) -> None:
        try:
            async with nullcontext() if download.ahead else self._workers.pull():
                source = self._sources(registry)
                async with self._room:
                    download.size = await self._make_room(download, template, source)
                await self._driver.pull(template, source, download.progress)
        finally:
            key = (template.id, template.tag, template.digest)
            if self._downloads.get(key) is download:
                del self._downloads[key]

    async def _make_room(
        self, download: _Download, template: TemplateRef, source: ImageSource
    ) -> int:
        """Evict until the download fits above the reserve; its size in bytes."""
        reserve = await self.reserve()
        swept = False
        while True:
            missing = await self._driver.missing_bytes(template, source)
            others = sum(d.missing for d in self._downloads.values() if d is not download)
            free = (await self._driver.usage()).free_disk - reserve - others
            if missing <= free:
                return missing
            if not swept:
                swept = True
                await self._driver.evict(None)
            elif not await self._evict_oldest(download):
                _log.warning("cache.no_space", template=template.name, missing=missing, free=free)
                raise NoSpace(NoSpace.__doc__)

    async def _evict_oldest(self, download: _Download) -> bool:
        for cached in await self._driver.templates():
            if download.ahead and self._is_settled(cached):
                continue
            if await self._evict(cached):
                return True
        return False

    def _is_settled(self, cached: CachedTemplate) -> bool:
        used = self._used.get((cached.id, cached.tag))
        return used is not None and self._monotonic() - used < _SETTLED

    async def _evict(self, cached: CachedTemplate) -> bool:
        key = (cached.id, cached.tag)
        if leaving := self._leaving.get(key):
            await leaving.wait()
            return True
        if self._held[key]:
            return False
        gone = self._leaving[key] = asyncio.Event()
        try:
            await self._driver.evict(cached)
        except HostFault:
            return False
        finally:
            del self._leaving[key]
            gone.set()
        self._used.pop(key, None)
        _log.info("cache.evicted", template=cached.name, tag=cached.tag)
        return True


def _same(cached: CachedTemplate, template: TemplateRef) -> bool:
    if cached.id != template.id or cached.tag != template.tag:
        return False
    return not cached.digest or cached.digest == template.digest


def _ignore(_share: float) -> None:
    """Nothing is downloaded."""
