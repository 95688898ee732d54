"""One thing at a time: what is begun later ends what is under way, and begins when it has ended."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

_log = structlog.get_logger()


class Solo:
    """``version`` grows with everything that is begun."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: set[asyncio.Task[None]] = set()
        self.version = 0

    @property
    def busy(self) -> bool:
        """Whether something is under way."""
        return bool(self._tasks)

    def begin(self, work: Callable[[], Awaitable[None]], log_ids: Mapping[str, str]) -> None:
        """Cancel what is under way; do ``work`` once that has ended.

        Every line that is logged on the way carries ``log_ids``.
        """
        self.version += 1
        self.cancel()
        with structlog.contextvars.bound_contextvars(**log_ids):
            task = asyncio.create_task(self._alone(work, tuple(self._tasks)), name=self._name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cancel(self) -> None:
        """From now on what is under way does nothing more."""
        for task in self._tasks:
            task.cancel()

    async def abandon(self) -> None:
        """Stop all work where it stands."""
        self.cancel()
        if self._tasks:
            await asyncio.wait(tuple(self._tasks))

    async def _alone(
        self, work: Callable[[], Awaitable[None]], others: tuple[asyncio.Task[None], ...]
    ) -> None:
        if others:
            await asyncio.wait(others)
        try:
            await work()
        except Exception:
            _log.exception("work.failed", name=self._name)
