"""``stop``: end the process and its VMs, so that nothing of them is left on the machine."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
import psutil
import structlog

from chassis.clock import SystemClock
from chassis.errors import CorralError
from contracts.instances import InstanceState
from corral.cloud import Cloud, CloudError
from embedded.app import build
from embedded.config import EmbeddedSettings
from embedded.hold import holder
from node_agent.drivers import DRIVERS, DriverOptions
from node_agent.drivers.port import VmDriver

_VMS_LIMIT = 120.0
_EVERY = 0.1
_log = structlog.get_logger()

Say = Callable[[str], None]


class StillThere(CorralError):
    """Something did not end"""


async def end(settings: EmbeddedSettings, say: Say) -> None:
    """End the VMs, then the process that uses the data folder. StillThere.

    VMs are terminated as everybody does it, through the API, so that the records agree; without
    a running process one is started for that, quietly. What is left then goes by the driver.
    """
    folder = settings.folder
    running = holder(folder)
    if running is not None:
        await _terminate_all(running.gateway, settings.root_token, say)
        say(f"ending process {running.pid}")
        await _end_process(running.pid, settings.drain_seconds + 30)
    elif await _left(settings):
        await _terminate_quietly(settings, say)
    left = await _sweep(settings)
    if left:
        raise StillThere(f"VMs that could not be deleted: {', '.join(left)}")
    say(f"nothing of {folder} is running")


async def _terminate_all(address: str, root_token: str, say: Say) -> None:
    """Ask until every instance has ended; what the API cannot do the sweep will."""
    try:
        async with asyncio.timeout(_VMS_LIMIT), Cloud(address, root_token) as cloud:
            asked: set[str] = set()
            while ids := await _live(cloud):
                for instance in ids - asked:
                    say(f"terminating {instance}")
                    await cloud.stop_vm(instance)
                    asked.add(instance)
                await asyncio.sleep(_EVERY)
    except (TimeoutError, CloudError) as error:
        say(f"the controller could not terminate every VM ({error}); deleting them directly")


async def _live(cloud: Cloud) -> set[str]:
    """Instances that may have a VM, now or later."""
    listed = await cloud.get("/api/v1/vm")
    return {entry["instance_id"] for entry in listed if not _is_over(entry["vm"])}


def _is_over(vm: dict[str, Any]) -> bool:
    """What ends without ever having had a node shows Terminating until it is forgotten."""
    state = vm["instance_state"]
    unplaced = state == InstanceState.TERMINATING and not vm.get("node_id")
    return unplaced or state == InstanceState.TERMINATED


async def _terminate_quietly(settings: EmbeddedSettings, say: Say) -> None:
    free = dict.fromkeys((name for name in settings.__struct_fields__ if name.endswith("_port")), 0)
    quiet = msgspec.structs.replace(settings, demo_template=False, **free).settled()
    say("no process is running, but VMs are: starting one to terminate them")
    try:
        cloud = build(quiet)
        await cloud.start()
    except (CorralError, OSError) as error:
        say(f"it does not start ({error}); deleting them directly")
        return
    try:
        await _terminate_all(cloud.address, settings.root_token, say)
    finally:
        await cloud.stop()


async def _end_process(pid: int, limit: float) -> None:
    """SIGTERM, and wait until it is gone (a zombie is: its parent is merely slow)."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        process.terminate()
        end_at = time.monotonic() + limit
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            if time.monotonic() > end_at:
                raise StillThere(f"process {pid} did not end in {limit:.0f} s")
            await asyncio.sleep(_EVERY)


async def _left(settings: EmbeddedSettings) -> list[str]:
    return [vm.info.name for driver in _drivers(settings) for vm in await driver.list_vms()]


async def _sweep(settings: EmbeddedSettings) -> list[str]:
    for driver in _drivers(settings):
        for vm in await driver.list_vms():
            await driver.delete(vm.info.name)
            _log.warning("embedded.vm_deleted", vm=vm.info.name)
    return await _left(settings)


def _drivers(settings: EmbeddedSettings) -> list[VmDriver]:
    """The drivers that have worked on this data folder."""
    folder = settings.agent_folder
    return [
        make(DriverOptions(node_id="", clock=SystemClock(), folder=folder))
        for name, make in DRIVERS.items()
        if (folder / name).exists()
    ]
