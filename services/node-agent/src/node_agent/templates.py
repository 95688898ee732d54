"""Orders about the templates of a node."""

import asyncio
from collections.abc import Callable

import structlog

from contracts.distributions import DeleteTemplate, PullTemplate, TemplatePullReported
from node_agent.drivers.port import DriverError
from node_agent.host import Host

_PROGRESS_SECONDS = 1.0
_log = structlog.get_logger()


class Templates:
    """Pulls ahead of time, and clears the cache; one pull per request at a time."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._pulls: dict[str, asyncio.Task[None]] = {}
        self._others: set[asyncio.Task[None]] = set()

    def pull_template(self, order: PullTemplate) -> Callable[[], None]:
        """Have a tag in the cache; a repeated order joins the pull under way."""
        if self._host.clock.now() > order.deadline:
            return lambda: self._report(order, 0.0, error="too late")
        return lambda: self._begin(order)

    def delete_template(self, order: DeleteTemplate) -> Callable[[], None]:
        """Drop the tags of a template that are not in use."""

        def begin() -> None:
            task = asyncio.create_task(
                self._delete(order.template_id), name=f"pull:delete:{order.template_id}"
            )
            self._others.add(task)
            task.add_done_callback(self._others.discard)

        return begin

    async def stop(self) -> None:
        """End every pull where it stands."""
        tasks = [*self._pulls.values(), *self._others]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _begin(self, order: PullTemplate) -> None:
        if order.request_id in self._pulls:
            return
        task = asyncio.create_task(self._pull(order), name=f"pull:{order.request_id}")
        self._pulls[order.request_id] = task
        task.add_done_callback(lambda _: self._pulls.pop(order.request_id, None))

    async def _pull(self, order: PullTemplate) -> None:
        said_at = -_PROGRESS_SECONDS

        def progress(share: float) -> None:
            nonlocal said_at
            now = self._host.clock.monotonic()
            if now - said_at >= _PROGRESS_SECONDS:
                said_at = now
                self._report(order, share)

        try:
            async with self._host.images.hold(order.template, order.registry, progress):
                self._report(order, 1.0, done=True)
        except DriverError as error:
            self._report(order, 0.0, error=str(error))
        except Exception as error:
            _log.exception("template.pull_failed", template=order.template.name)
            self._report(order, 0.0, error=f"{type(error).__name__}: {error}")

    async def _delete(self, template_id: str) -> None:
        try:
            await self._host.images.remove(template_id)
        except DriverError as error:
            _log.warning("template.delete_failed", template=template_id, error=str(error))

    def _report(
        self, order: PullTemplate, share: float, *, done: bool = False, error: str = ""
    ) -> None:
        publisher = self._host.publisher
        say = publisher.tell if done or error else publisher.mention
        say(
            TemplatePullReported(
                node_id=order.node_id,
                at=self._host.clock.now(),
                request_id=order.request_id,
                progress=share,
                done=done,
                error=error,
            )
        )
