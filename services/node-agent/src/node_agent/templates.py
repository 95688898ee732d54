"""Orders about the templates of a node."""

import asyncio
from collections.abc import Callable

import structlog

from contracts.distributions import CancelPull, DeleteTemplate, PullTemplate
from node_agent.drivers.port import DriverError
from node_agent.host import Host
from node_agent.pulls import Pull, too_late

_log = structlog.get_logger()


class Templates:
    """Pulls ahead of time, and clears the cache; one pull per request at a time."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._pulls: dict[str, Pull] = {}
        self._others: set[asyncio.Task[None]] = set()

    def pull_template(self, order: PullTemplate) -> Callable[[], None]:
        """Have a tag in the cache; a repeated order joins the pull under way."""
        if self._host.clock.now() > order.deadline:
            return lambda: too_late(self._host, order)
        return lambda: self._begin(order)

    def cancel_pull(self, order: CancelPull) -> Callable[[], None]:
        """End the pull of a request; a start that waits for the same tag goes on."""

        def end() -> None:
            if order.request_id in self._pulls:
                self._pulls[order.request_id].task.cancel()

        return end

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
        tasks = [*(pull.task for pull in self._pulls.values()), *self._others]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _begin(self, order: PullTemplate) -> None:
        if order.request_id in self._pulls:
            self._pulls[order.request_id].again()
            return
        pull = self._pulls[order.request_id] = Pull(self._host, order)
        pull.task.add_done_callback(lambda _: self._pulls.pop(order.request_id, None))

    async def _delete(self, template_id: str) -> None:
        try:
            await self._host.images.remove(template_id)
        except DriverError as error:
            _log.warning("template.delete_failed", template=template_id, error=str(error))
