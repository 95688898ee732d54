"""The stuck-guest watch: a guest that does not answer a trivial command is failed."""

import asyncio
from collections.abc import Iterable

import structlog

from contracts.vms import VmPhase
from node_agent.drivers.port import DriverError, VmMissing
from node_agent.node import Node
from node_agent.vm import Vm

_COMMAND = b"exit 0\n"
STUCK = "the guest does not answer"
_log = structlog.get_logger()


class StuckGuests:
    """Asks every running guest; ``limit`` in seconds. The VM stays until it is terminated."""

    def __init__(self, nodes: Iterable[Node], limit: float) -> None:
        self._nodes = tuple(nodes)
        self._limit = limit
        self._asking: dict[Vm, asyncio.Task[None]] = {}

    async def look(self) -> None:
        """Ask every guest that is not being asked already; wait for none of them."""
        for node in self._nodes:
            for vm in node.vms:
                if vm.phase is VmPhase.RUNNING and not vm.work.busy and vm not in self._asking:
                    name = f"vm:ask:{vm.record.instance_id}"
                    self._asking[vm] = asyncio.create_task(self._ask(node, vm), name=name)

    async def start(self) -> None:
        """See Part."""

    async def stop(self) -> None:
        """See Part."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _ask(self, node: Node, vm: Vm) -> None:
        version = vm.work.version
        try:
            stuck = await self._is_stuck(node, vm.record.vm_name)
            unchanged = vm.work.version == version and not vm.work.busy
            if stuck and unchanged and vm.phase is VmPhase.RUNNING:
                _log.warning("vm.stuck", instance=vm.record.instance_id, vm=vm.record.vm_name)
                vm.fail_running(STUCK)
        finally:
            del self._asking[vm]

    async def _is_stuck(self, node: Node, name: str) -> bool:
        driver = node.host.driver
        try:
            return (await driver.run_script(name, _COMMAND, self._limit)).did_timeout
        except VmMissing:
            return False
        except DriverError:
            return await _still_runs(node, name)


async def _still_runs(node: Node, name: str) -> bool:
    """A guest that shut itself down is stopped, not stuck."""
    try:
        return (await node.host.driver.info(name)).status == "running"
    except DriverError:
        return False
