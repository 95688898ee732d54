"""Restarting a VM once for each number, also when an agent is killed on the way."""

from typing import Protocol

from contracts.vms import Overrides, RebootVm, VmInfo
from node_agent.domain.record import Record
from node_agent.drivers.port import DriverError
from node_agent.host import Host
from node_agent.overrides import check_overrides


class Rebooted(Protocol):
    """The VM as far as a restart is concerned."""

    record: Record
    info: VmInfo | None

    async def keep(self, record: Record) -> None:
        """Return when this is durable."""
        ...


async def reboot(host: Host, vm: Rebooted, order: RebootVm) -> str:
    """Stop by force and start again, unless that was done; the error, or the empty string."""
    driver, name, number, error = host.driver, vm.record.vm_name, order.number, ""
    changes = Overrides(vnc_password=order.vnc_password, usb_device=order.usb_device)
    try:
        check_overrides(changes, driver.capabilities, driver.name)
        info = await driver.info(name)
        if not _was_done(vm.record, number, info):
            begun = host.clock.now()
            await vm.keep(vm.record.with_(rebooting=number, rebooted_at=begun))
            info = await driver.restart(name, changes)
        vm.info = info
    except DriverError as failure:
        error = str(failure) or type(failure).__name__
    await vm.keep(vm.record.with_(restarts=number))
    return error


def _was_done(record: Record, number: int, info: VmInfo) -> bool:
    """Whether an agent that was killed had done this restart, by the VM's own word."""
    begun = record.rebooted_at if record.rebooting == number else None
    return begun is not None and info.start_date is not None and info.start_date >= begun
