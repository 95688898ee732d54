"""A guest's memory and devices: out to a file, and back.

What can go back where is strict: the same QEMU, accelerator, machine type, processor and devices,
and a disk exactly as it was. Elsewhere the disk is booted, as after a power cut.
"""

import asyncio
import os
import shutil
from pathlib import Path
from typing import Any

import msgspec

from chassis.full_disk import full_disk_as
from contracts.artifacts import SavedState
from node_agent.drivers.port import STATE_SECONDS, HostFault, NoSpace
from node_agent.drivers.qemu import process, qmp
from node_agent.drivers.qemu.channel import NoAnswer
from node_agent.drivers.qemu.folder import STATE, VmRecord
from node_agent.drivers.qemu.qmp import Monitor

HYPERVISOR = "qemu"

_POLL = 0.01
_SLOWEST_POLL = 0.2
_MIB = 20
_UNLIMITED = 1 << 50
_LOADING = "inmigrate"
_HALTED = frozenset({"paused", "finish-migrate", "postmigrate"})
_MOVING = frozenset({"setup", "active", "device", "cancelling"})
_NAME = "state"


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What this host runs guests with. ``cpu_model`` names the real processor where it shows."""

    version: str
    accelerator: str
    cpu_model: str


def misfit(saved: SavedState, offer: Offer) -> str:
    """Why the state cannot be restored here; empty when it may."""
    pairs = {
        "hypervisor": (saved.hypervisor, HYPERVISOR),
        "version": (saved.version, offer.version),
        "accelerator": (saved.accelerator, offer.accelerator),
        "cpu_model": (saved.cpu_model, offer.cpu_model),
    }
    differing = [name for name, (needed, here) in pairs.items() if needed != here]
    return ", ".join(f"{name} {pairs[name][0]} is {pairs[name][1]} here" for name in differing)


async def save_state(folder: Path, target: Path, record: VmRecord, offer: Offer) -> SavedState:
    """Halt the guest and write its state to ``target``; it stays halted, also after an error.

    NoSpace when the disk may not hold its memory: it is not halted then. HostFault when QEMU
    cannot, or is not done in STATE_SECONDS. Of a state that is not whole nothing is left.
    """
    _check_room(target, record)
    part = _part(target)
    try:
        with full_disk_as(NoSpace):
            found = await _write_state(folder, part, record, offer)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    part.rename(target)
    return found


async def _write_state(folder: Path, part: Path, record: VmRecord, offer: Offer) -> SavedState:
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        async with qmp.monitor(folder, STATE_SECONDS) as monitor:
            found = await _described(monitor, record, offer)
            await monitor.run("migrate-set-parameters", max_bandwidth=_UNLIMITED)
            await monitor.run("stop")
            await monitor.lend(_NAME, descriptor)
            await monitor.run("migrate", uri=f"fd:{_NAME}")
            await _written(monitor)
        await asyncio.to_thread(os.fsync, descriptor)
    except NoAnswer as error:
        raise HostFault(f"suspending did not end in {STATE_SECONDS:g} s") from error
    finally:
        os.close(descriptor)
    return found


async def is_halted(folder: Path) -> bool:
    """Whether a save has left the guest standing still."""
    async with qmp.monitor(folder) as monitor:
        return (await monitor.run("query-status"))["status"] in _HALTED


async def unhalt(folder: Path) -> None:
    """Have a guest go on that was halted to be saved; what was written of its state goes."""
    async with qmp.monitor(folder) as monitor:
        await monitor.run("migrate_cancel")
        await _at_rest(monitor)
        await monitor.run("cont")
    _part(folder / STATE).unlink(missing_ok=True)


async def loaded(folder: Path, pid: int) -> None:
    """Return when the state is back; the guest is halted still. HostFault when QEMU refuses it."""
    while True:
        try:
            async with qmp.monitor(folder) as monitor:
                if (await monitor.run("query-status"))["status"] != _LOADING:
                    return
        except NoAnswer as error:
            if await process.ended(pid, 0.0):
                raise HostFault(process.complaint(folder) or "QEMU ended") from error
        await asyncio.sleep(_POLL)


def _check_room(target: Path, record: VmRecord) -> None:
    free = shutil.disk_usage(target.parent).free >> _MIB
    if free < record.ram_mb:
        raise NoSpace(
            f"lack of disk space: its memory has {record.ram_mb} MiB, the disk has {free} MiB free"
        )


def _part(target: Path) -> Path:
    return target.with_name(f"{target.name}.part")


async def _described(monitor: Monitor, record: VmRecord, offer: Offer) -> SavedState:
    """What the running process is, which may be older than the program on the disk."""
    machine = await monitor.run("qom-get", path="/machine", property="type")
    version = (await monitor.run("query-version"))["qemu"]
    return SavedState(
        machine=machine.removesuffix("-machine"),
        hypervisor=HYPERVISOR,
        version=".".join(str(version[part]) for part in ("major", "minor", "micro")),
        accelerator=offer.accelerator,
        cpu_model=offer.cpu_model,
        cpu=record.cpu,
        ram_mb=record.ram_mb,
        mac_address=record.mac_address,
        vnc=record.screen,
    )


async def _written(monitor: Monitor) -> None:
    pause = _POLL
    while True:
        told: dict[str, Any] = await monitor.run("query-migrate")
        match told.get("status"):
            case "completed":
                return
            case "failed" | "cancelled":
                raise HostFault(f"suspending failed: {told.get('error-desc', told['status'])}")
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, _SLOWEST_POLL)


async def _at_rest(monitor: Monitor) -> None:
    while True:
        told: dict[str, Any] = await monitor.run("query-migrate")
        if told.get("status") not in _MOVING:
            return
        await asyncio.sleep(_POLL)
