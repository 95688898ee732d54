"""A make-believe hypervisor, and the semantics of the driver port in prose.

What every driver promises, and this one does without a real VM:

- ``clone`` makes a stopped VM of a cached tag. It exists under its name at once, with its labels,
  and has its uuid, MAC and forwarded ports. Without overrides: the template's CPUs and memory,
  a MAC of its own, and one rule ``ssh`` that forwards the next free host port from 10000 on to
  port 22. A clone of a suspended tag is suspended, unless the host or an override rules that out:
  then it is stopped, and boots from its disk. A second VM of one name is a HostFault.
- ``start`` returns when the guest has booted. ``ip`` may stay empty for a while after that.
  Starting a running VM changes nothing and tells its info. ``start_date`` is the last boot. A
  suspended VM goes on where it was.
- ``run_script`` runs in the guest; a failing script is a result and no error. The make-believe
  shell knows three words, one a line: ``sleep N``, ``echo TEXT`` and ``exit N``; others do nothing.
  Beyond the time limit the result has ``return_code`` -1 and ``did_timeout``; the script is
  killed, or runs on.
- ``restart`` and ``stop`` keep the disk, the ports and the MAC. A restart may change password and
  USB device, and fails before it stops anything when it cannot. A guest may shut itself down at
  any time: its status is ``stopped`` then, and the VM is still there.
- ``save`` suspends or stops a running VM and makes an image of it: the same one until the VM runs
  again, so that a save that broke off can be repeated. After it, or after any failure of it,
  ``start`` has the VM run on. A VM that is stopped cannot be suspended: HostFault.
- ``delete`` of a VM that is not there is fine: after it there is none.
- ``list_vms`` tells every VM with its labels, also those that a killed agent left behind.
- ``pull`` has a tag in the cache, least recently used first in ``templates``; a pull that was
  cancelled leaves nothing. ``evict`` refuses a tag that a VM was made of.

Every verb can be cancelled at any moment; ``delete`` of the same name cleans up after it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from chassis.clock import Clock
from contracts.nodes import CachedTemplate, NodeUsage
from contracts.templates import TemplateRef
from contracts.vms import Overrides, ScriptResult, VmInfo
from node_agent.drivers.port import (
    NO_CHANGES,
    Capability,
    HostFacts,
    HostFault,
    ImageSource,
    ListedVm,
    Progress,
    SavedImage,
    VmMissing,
    VmSpec,
)
from node_agent.drivers.simulated_devices import Devices
from node_agent.drivers.simulated_faults import Faults
from node_agent.drivers.simulated_guest import (
    RUNNING,
    STOPPED,
    SUSPENDED,
    boot,
    change,
    end,
    logs_of,
    make,
)
from node_agent.drivers.simulated_host import (
    Delays,
    Fault,
    FaultKind,
    HistoryLine,
    Hypervisor,
    SimulatedHardware,
    SimulatedVm,
)
from node_agent.drivers.simulated_image import image_of
from node_agent.drivers.simulated_ports import Addresses, HostPorts
from node_agent.drivers.simulated_shell import run

_PULL_STEPS = 10

NO_DELAYS = Delays()
USUAL_HARDWARE = SimulatedHardware()


class SimulatedDriver:
    """One simulated host; thousands fit into a process. See the module for what it promises.

    With ``state_dir`` its VMs live in ``<state_dir>/<node_id>/`` and outlive the process.
    """

    name = "simulated"
    capabilities = frozenset(Capability)
    shelf = None

    def __init__(
        self,
        node_id: str,
        clock: Clock,
        *,
        state_dir: Path | None = None,
        delays: Delays = NO_DELAYS,
        faults: Sequence[Fault] = (),
        hardware: SimulatedHardware = USUAL_HARDWARE,
    ) -> None:
        self._clock = clock
        self._delays = delays
        self.faults = Faults(faults)
        self._hardware = hardware
        self._addresses = Addresses()
        self.hypervisor = Hypervisor(state_dir / node_id if state_dir else None)
        held = (rule for vm in self.hypervisor.vms.values() for rule in vm.info.port_forwarding)
        self._ports = HostPorts(held)
        self._devices = Devices(hardware, self.hypervisor.vms)

    def history(self) -> Sequence[HistoryLine]:
        """What was done to the VMs of this host, oldest first."""
        return self.hypervisor.history()

    def lose(self, name: str) -> None:
        """Have a VM vanish behind the agent's back."""
        vm = self._vm(name)
        self._ports.free(vm.info.port_forwarding)
        self.hypervisor.remove(vm, "lose", self._clock.now())

    def power_off(self, name: str) -> None:
        """Have a guest shut itself down."""
        vm = self._vm(name)
        end(vm, self._clock.now())
        self.hypervisor.save(vm, "power-off", self._clock.now())

    async def facts(self) -> HostFacts:
        """See VmDriver."""
        return self._devices.facts()

    async def usage(self) -> NodeUsage:
        """See VmDriver."""
        return self.hypervisor.usage(self._hardware)

    async def templates(self) -> Sequence[CachedTemplate]:
        """See VmDriver."""
        return tuple(self.hypervisor.templates.values())

    async def missing_bytes(self, template: TemplateRef, source: ImageSource) -> int:  # noqa: ARG002 -- the port's
        """See VmDriver."""
        return 0 if template.digest in self.hypervisor.templates else template.size

    async def pull(self, template: TemplateRef, source: ImageSource, progress: Progress) -> None:  # noqa: ARG002 -- the port's
        """See VmDriver. Nothing is fetched: only the delay is real."""
        fault = await self.faults.strike("pull")
        for step in range(_PULL_STEPS if self._delays.pull else 0):
            progress(step / _PULL_STEPS)
            await self._clock.sleep(self._delays.pull / _PULL_STEPS)
        progress(1.0)
        self.hypervisor.keep_template(template)
        self._after(fault, "")

    async def evict(self, template: CachedTemplate | None) -> None:
        """See VmDriver."""
        if template is None:
            return
        await self.faults.strike("evict")
        if any(vm.digest == template.digest for vm in self.hypervisor.vms.values()):
            raise HostFault(f"{template.name}:{template.tag} is in use")
        self.hypervisor.drop_template(template.digest)

    async def clone(self, spec: VmSpec) -> None:
        """See VmDriver."""
        fault = await self.faults.strike("clone")
        if spec.name in self.hypervisor.vms:
            raise HostFault(f"{spec.name}: already exists")
        if spec.template.digest not in self.hypervisor.templates:
            raise HostFault(f"{spec.template.name}:{spec.template.tag} is not in the cache")
        if self._delays.clone:
            await self._clock.sleep(self._delays.clone)
        self._devices.check(spec.overrides)
        self.hypervisor.touch_template(spec.template.digest)
        now = self._clock.now()
        forwards = self._ports.forward(spec.overrides.port_forwarding_override)
        self.hypervisor.save(make(spec, forwards, now), "clone", now)
        self._after(fault, spec.name)

    async def start(self, name: str) -> VmInfo:
        """See VmDriver."""
        suspended = self._vm(name).info.status == SUSPENDED
        return await self._boot(name, "resume" if suspended else "start")

    async def info(self, name: str) -> VmInfo:
        """See VmDriver."""
        return self._now(self._vm(name))

    async def run_script(
        self,
        name: str,
        script: bytes,
        timeout: float,
        *,
        kill: bool = True,  # noqa: ARG002 -- a make-believe script leaves nothing to kill
    ) -> ScriptResult:
        """See VmDriver, and the module for the words of the make-believe shell."""
        vm = self._vm(name)
        fault = await self.faults.strike("script")
        self.hypervisor.note(vm, "script", self._clock.now())
        result = await run(script, timeout, self._delays.script, self._clock)
        self._after(fault, name)
        return result

    async def restart(self, name: str, changes: Overrides = NO_CHANGES) -> VmInfo:
        """See VmDriver."""
        vm = self._vm(name)
        self._devices.check(changes, but=vm)
        end(vm, self._clock.now())
        change(vm, changes)
        return await self._boot(name, "restart")

    async def stop(self, name: str) -> None:
        """See VmDriver."""
        vm = self._vm(name)
        fault = await self.faults.strike("stop")
        if self._delays.stop:
            await self._clock.sleep(self._delays.stop)
        now = self._clock.now()
        end(vm, now)
        self.hypervisor.save(vm, "stop", now)
        self._after(fault, name)

    async def save(self, name: str, *, suspend: bool, test: bool = False) -> SavedImage:  # noqa: ARG002 -- any simulated guest wakes up
        """See VmDriver."""
        vm = self._vm(name)
        fault = await self.faults.strike("save")
        if self._now(vm).status == RUNNING:
            if self._delays.stop:
                await self._clock.sleep(self._delays.stop)
            verb, status = ("suspend", SUSPENDED) if suspend else ("stop", STOPPED)
            end(vm, self._clock.now(), status)
            self.hypervisor.save(vm, verb, self._clock.now())
        elif suspend and vm.info.status == STOPPED:
            raise HostFault(f"{name} does not run")
        if self._delays.save:
            await self._clock.sleep(self._delays.save)
        self._after(fault, name)
        return image_of(vm, self._hardware.arch)

    async def delete(self, name: str) -> None:
        """See VmDriver."""
        fault = await self.faults.strike("delete")
        if self._delays.stop:
            await self._clock.sleep(self._delays.stop)
        vm = self.hypervisor.vms.get(name)
        if vm is not None:
            self._ports.free(vm.info.port_forwarding)
            self.hypervisor.remove(vm, "delete", self._clock.now())
        self._after(fault, "")

    async def logs(self, name: str) -> Mapping[str, bytes]:
        """See VmDriver."""
        await self.faults.strike("logs")
        return logs_of(self.hypervisor.vms.get(name))

    async def list_vms(self) -> Sequence[ListedVm]:
        """See VmDriver."""
        return [vm.listed(self._now(vm)) for vm in self.hypervisor.vms.values()]

    async def _boot(self, name: str, verb: str) -> VmInfo:
        vm = self._vm(name)
        fault = await self.faults.strike("start")
        if self._delays.start:
            await self._clock.sleep(self._delays.start)
        if self._now(vm).status != RUNNING:
            now = self._clock.now()
            boot(vm, self._addresses.next(), self._delays, now)
            self.hypervisor.save(vm, verb, now)
        info = self._now(vm)
        self._after(fault, name)
        return info

    def _now(self, vm: SimulatedVm) -> VmInfo:
        """The VM's info with what time has done to it."""
        if vm.info.status != RUNNING:
            return vm.info
        if vm.ends_at is not None and self._clock.now() >= vm.ends_at:
            end(vm, vm.ends_at)
            self.hypervisor.save(vm, "power-off", vm.ends_at)
        elif vm.ready_at is not None:
            if self._clock.now() < vm.ready_at:
                return msgspec.structs.replace(vm.info, ip="")
            vm.ready_at = None
        return vm.info

    def _vm(self, name: str) -> SimulatedVm:
        vm = self.hypervisor.vms.get(name)
        if vm is None:
            raise VmMissing(f"{name}: not found")
        return vm

    def _after(self, kind: FaultKind | None, name: str) -> None:
        if kind is FaultKind.LOSE and name:
            self.lose(name)
        elif kind is FaultKind.POWER_OFF and name:
            self.power_off(name)
