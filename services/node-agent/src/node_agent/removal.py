"""Deleting VMs from the host, again and again while the driver fails."""

import structlog

from node_agent.drivers.port import DriverError
from node_agent.host import Host

_PAUSES = (0.2, 1.0, 5.0, 15.0, 30.0)
UNTIL_DONE = 1_000_000
_log = structlog.get_logger()


async def delete_vm(host: Host, name: str, tries: int) -> bool:
    """Have no VM of this name; False when the driver failed that often."""
    if not name:
        return True
    for number in range(tries):
        try:
            await host.driver.delete(name)
        except DriverError as error:
            _log.warning("vm.delete_failed", vm=name, error=str(error))
            await host.clock.sleep(_PAUSES[min(number, len(_PAUSES) - 1)])
        else:
            return True
    return False
