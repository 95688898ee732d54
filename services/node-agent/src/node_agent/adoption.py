"""After a restart: what the journal remembers against what the hypervisor really has."""

from collections.abc import Iterable, Sequence

import structlog

from contracts.vms import VmFailed, VmInfo, VmPhase
from node_agent import saving
from node_agent.domain.record import Record
from node_agent.drivers.port import DriverError, ListedVm
from node_agent.host import Host
from node_agent.start import UNCONFIRMED
from node_agent.vm import Vm
from node_agent.vms import Vms

_log = structlog.get_logger()


async def adopt(host: Host, vms: Vms, records: Iterable[Record]) -> None:
    """Take over every instance of the journal, and end what must not go on.

    Running VMs stay. Half-made clones go, and their start begins anew while it is still wanted.
    VMs that the journal shows as superseded attempts of this cloud go. Others are not touched.
    """
    listed = await host.driver.list_vms()
    seen = {vm.info.name: vm.info for vm in listed}
    for record in records:
        vm = Vm(host, record)
        vms.add(vm)
        _resume(host, vm, seen.get(record.vm_name))
    await _delete_superseded(host, vms, listed)


def _resume(host: Host, vm: Vm, seen: VmInfo | None) -> None:
    record = vm.record
    if record.phase is VmPhase.STOPPING:
        vm.tear_down()
    elif record.phase is VmPhase.GONE:
        return
    elif record.report is None:
        _go_on(host, vm, seen)
    elif isinstance(record.report, VmFailed):
        _after_failure(vm, seen)
    else:
        vm.info = seen or vm.info
        if record.late_script is not None:
            vm.interrupt(record.late_script)
        elif not record.confirmed:
            _tell_in_time(host, vm)
        else:
            _save_further(host, vm)
        _log.info("vm.adopted", instance=record.instance_id, vm=record.vm_name)


def _go_on(host: Host, vm: Vm, seen: VmInfo | None) -> None:
    """An attempt without an outcome: the agent died somewhere on the way."""
    record = vm.record
    if record.script_begun:
        vm.interrupt(record.run.script if record.run else None)
    elif _is_too_late(host, record):
        vm.give_up("the agent was restarted and the start is too late now")
    elif seen is None:
        vm.start()
    elif seen.status == "running":
        vm.start(seen)
    elif seen.start_date is None:
        vm.start_over()
    else:
        vm.give_up(f'Unexpected VM state: "{seen.status}"')


def _after_failure(vm: Vm, seen: VmInfo | None) -> None:
    if vm.record.has_vm:
        vm.info = seen or vm.info
    if not vm.record.confirmed:
        vm.tell_again()


def _tell_in_time(host: Host, vm: Vm) -> None:
    until = vm.record.valid_until
    if until is not None and host.clock.now() > until:
        vm.give_up(UNCONFIRMED)
    else:
        vm.tell_again()


def _save_further(host: Host, vm: Vm) -> None:
    saving.begin(host, vm)
    for push in vm.record.pushes:
        if push.outcome is not None and not push.confirmed:
            saving.tell(host, vm, push)


def _is_too_late(host: Host, record: Record) -> bool:
    now, run = host.clock.now(), record.run
    if run is None or (record.valid_until is not None and now > record.valid_until):
        return True
    return now > max(run.deadline, record.valid_until or run.deadline)


async def _delete_superseded(host: Host, vms: Vms, listed: Sequence[ListedVm]) -> None:
    for found in listed:
        vm = vms.get(found.instance_id)
        if vm is None or not _is_superseded(vm.record, found):
            continue
        name = found.info.name
        _log.warning("vm.superseded_deleted", vm=name, instance=found.instance_id)
        try:
            await host.driver.delete(name)
        except DriverError as error:
            _log.warning("vm.delete_failed", vm=name, error=str(error))


def _is_superseded(record: Record, found: ListedVm) -> bool:
    """Whether a VM's labels say that it is an older attempt of an instance of this cloud."""
    if not record.cloud_id or found.cloud_id != record.cloud_id:
        return False
    if found.info.name == record.vm_name or found.info.name in record.leftovers:
        return False
    return found.attempt < record.attempt or found.attempt <= record.stopped
