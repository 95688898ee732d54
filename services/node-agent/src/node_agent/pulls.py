"""A tag pulled ahead of time for one request: progress, the end, and what a broken line costs."""

import asyncio

import structlog

from contracts.distributions import PullTemplate, TemplatePullReported
from node_agent.drivers.port import DriverError, SourceDown
from node_agent.host import Host

_PROGRESS_SECONDS = 1.0
_PATIENCE = 300.0
"""Seconds without a byte after which a registry that does not answer is a failure."""

_PAUSES = (1.0, 2.0, 5.0, 10.0)
_log = structlog.get_logger()


class Pull:
    """Runs from its making on. ``done`` and ``error`` are said until heard, progress in passing."""

    def __init__(self, host: Host, order: PullTemplate) -> None:
        self._host = host
        self._order = order
        self._share = 0.0
        self._moved_at = host.clock.monotonic()
        self._said_at = -_PROGRESS_SECONDS
        self.task = asyncio.create_task(self._run(), name=f"pull:{order.request_id}")

    def again(self) -> None:
        """The order came once more: say how far it is."""
        self._mention()

    async def _run(self) -> None:
        try:
            await self._have()
        except DriverError as error:
            self._end(str(error))
        except Exception as error:
            _log.exception("template.pull_failed", template=self._order.template.name)
            self._end(f"{type(error).__name__}: {error}")

    async def _have(self) -> None:
        """Pull; go on where it broke off while the registry only fails to answer."""
        order, host = self._order, self._host
        failures = 0
        while True:
            try:
                async with host.images.hold(
                    order.template, order.registry, self._moved, ahead=True
                ):
                    self._end()
                    return
            except SourceDown as error:
                now = host.clock.monotonic()
                if now - self._moved_at > _PATIENCE or host.clock.now() > order.deadline:
                    raise
                _log.info("template.pull_broke_off", request=order.request_id, error=str(error))
            await host.clock.sleep(_PAUSES[min(failures, len(_PAUSES) - 1)])
            failures += 1

    def _moved(self, share: float) -> None:
        """Shares are of what is still missing: after a break they begin anew."""
        now = self._host.clock.monotonic()
        if share > 0:
            self._moved_at = now
        self._share = max(self._share, share)
        if now - self._said_at >= _PROGRESS_SECONDS:
            self._said_at = now
            self._mention()

    def _mention(self) -> None:
        self._host.publisher.mention(self._report(self._share))

    def _end(self, error: str = "") -> None:
        report = self._report(self._share if error else 1.0, done=not error, error=error)
        self._host.publisher.tell(report)

    def _report(self, share: float, *, done: bool = False, error: str = "") -> TemplatePullReported:
        return TemplatePullReported(
            node_id=self._order.node_id,
            at=self._host.clock.now(),
            request_id=self._order.request_id,
            progress=share,
            done=done,
            error=error,
        )


def too_late(host: Host, order: PullTemplate) -> None:
    """Say that the order came after its deadline."""
    host.publisher.tell(
        TemplatePullReported(
            node_id=order.node_id,
            at=host.clock.now(),
            request_id=order.request_id,
            progress=0.0,
            error="too late",
        )
    )
