"""The startup script of a VM that ran before anybody asked for it, as pools keep them.

It is begun once. How it ended is told each time it is ordered again.
"""

import functools
from collections.abc import Callable

import structlog

from contracts.scripts import RunScript
from contracts.vms import Script, ScriptResult, VmFailed, VmPhase
from node_agent.drivers.port import DriverError, HostFault
from node_agent.host import Host
from node_agent.limit import within
from node_agent.reports import Reports
from node_agent.startup_script import SCRIPT_GRACE, ScriptFailed, interrupted, run_startup
from node_agent.vm import Vm

_log = structlog.get_logger()


def take(host: Host, vm: Vm, order: RunScript) -> Callable[[], None] | None:
    """Begin it, or say how it ended; None where a heartbeat or a repeat will do.

    Who orders it has heard that the VM runs, whether or not the bus confirmed that.
    """
    record = vm.record
    if record.late_script_ended:
        return functools.partial(_tell, host, vm)
    if isinstance(record.report, VmFailed):
        return vm.tell_again
    if vm.work.busy or record.late_script is not None:
        return None
    if vm.phase is not VmPhase.RUNNING or host.clock.now() > order.deadline:
        return None
    vm.put(record.with_(late_script=order.script, script_begun=True, confirmed=True))
    work = functools.partial(_run, host, vm, order.script)
    return functools.partial(vm.work.begin, work, record.log_ids)


async def _run(host: Host, vm: Vm, script: Script) -> None:
    driver, name = host.driver, vm.record.vm_name
    try:
        result = await _within_limit(host, name, script)
        vm.info = await driver.info(name)
    except ScriptFailed as failed:
        await vm.end_by_script(failed)
    except DriverError as error:
        _log.warning("vm.script_lost", vm=name, error=str(error))
        await vm.end_by_script(interrupted(script))
    except Exception:
        _log.exception("vm.script_failed", vm=name)
        await vm.end_by_script(interrupted(script))
    else:
        ended = {"late_script": None, "late_script_ended": True, "script_result": result}
        await vm.keep(vm.record.with_(**ended))
        _tell(host, vm)


def _tell(host: Host, vm: Vm) -> None:
    if vm.info is not None:
        Reports(host).scripted(vm.record, vm.info)


async def _within_limit(host: Host, name: str, script: Script) -> ScriptResult | None:
    limit = script.timeout + SCRIPT_GRACE
    try:
        return await within(host.clock, limit, run_startup(host.driver, name, script))
    except TimeoutError:
        raise HostFault("the driver does not say how the script ended") from None
