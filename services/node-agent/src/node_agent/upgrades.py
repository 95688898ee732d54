"""Becoming the version that the controller asks for, by a program of the host's administrator."""

import asyncio
import tempfile
from collections.abc import Callable

import structlog

from contracts.nodes import AgentNotUpgraded, UpgradeAgent
from node_agent.host import Host

_NO_PROGRAM = "this agent is upgraded by its package manager"
_LONGEST_ERROR = 500
_log = structlog.get_logger()


class Upgrades:
    """Runs ``program`` with the wished version as its argument, in a session of its own.

    It fetches and verifies a package (the gateway serves ``/pkg/…``), installs it and restarts the
    agent, which leaves every VM as it stands. Without a program nothing is done, and that is said.
    """

    def __init__(self, host: Host, program: str) -> None:
        self._host = host
        self._program = program
        self._running: asyncio.Task[None] | None = None

    def upgrade_agent(self, order: UpgradeAgent) -> Callable[[], None] | None:
        """Begin, unless one is under way or the order is late."""
        if self._host.clock.now() > order.deadline:
            return None
        if self._running is not None and not self._running.done():
            return None
        if not self._program:
            return lambda: self._refuse(order, _NO_PROGRAM)
        return lambda: self._begin(order)

    async def stop(self) -> None:
        """Watch no longer: the program goes on, for it may be what ends this agent."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    def _begin(self, order: UpgradeAgent) -> None:
        self._running = asyncio.create_task(self._run(order), name="upgrade")

    async def _run(self, order: UpgradeAgent) -> None:
        """What it says goes to a file: a pipe would break under it when this agent ends."""
        _log.info("agent.upgrading", node=order.node_id, version=order.version)
        with tempfile.TemporaryFile() as said:
            try:
                process = await asyncio.create_subprocess_exec(
                    self._program,
                    order.version,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=said,
                    stderr=said,
                    start_new_session=True,
                )
            except OSError as error:
                self._refuse(order, f"{self._program}: {error.strerror}")
                return
            code = await process.wait()
            if code:
                said.seek(0)
                text = said.read().decode(errors="replace").strip()[-_LONGEST_ERROR:]
                self._refuse(order, text or f"{self._program}: exit code {code}")

    def _refuse(self, order: UpgradeAgent, error: str) -> None:
        _log.warning("agent.not_upgraded", node=order.node_id, version=order.version, error=error)
        report = AgentNotUpgraded(
            node_id=order.node_id,
            at=self._host.clock.now(),
            version=order.version,
            error=error,
        )
        self._host.publisher.tell(report)
