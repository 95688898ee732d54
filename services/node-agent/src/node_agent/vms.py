"""The instances of one node: which orders are taken, and what is said in a heartbeat."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, TypeVar

from contracts.images import ImagePushed, PushImage
from contracts.messages import Report
from contracts.scripts import RunScript
from contracts.vms import (
    RebootVm,
    RunVm,
    StopVm,
    UnknownVm,
    VmFailed,
    VmGone,
    VmPhase,
    VmRefused,
    VmReport,
    VmRestarted,
    VmState,
)
from node_agent import late_script, saving
from node_agent.domain.fencing import Answer, answer_run
from node_agent.domain.names import vm_name
from node_agent.domain.push import Push
from node_agent.domain.record import accepted, stopping
from node_agent.drivers.port import ListedVm
from node_agent.host import Host
from node_agent.vm import Vm

Effect = Callable[[], None]
"""What follows from an order, once it is durable in the journal."""


Told = TypeVar("Told", bound=VmReport)


class Vms:
    """Decides on orders at once, changing the journal's memory; effects come after its sync."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._vms: dict[str, Vm] = {}
        self._names: set[str] = set()
        self._last_name_at = 0

    def __iter__(self) -> Iterator[Vm]:
        return iter(tuple(self._vms.values()))

    def get(self, instance_id: str) -> Vm | None:
        """What is known of an instance."""
        return self._vms.get(instance_id)

    def add(self, vm: Vm) -> None:
        """Take over an instance that the journal knew."""
        self._vms[vm.record.instance_id] = vm

    def run_vm(self, order: RunVm) -> Effect | None:
        """Begin a start, or say what is known of it."""
        now = self._host.clock.now()
        vm = self._vms.get(order.instance_id)
        match answer_run(vm.record if vm else None, order, now):
            case Answer.ACCEPT:
                return self._accept(order, vm)
            case Answer.REPEAT:
                assert vm is not None
                return self._repeat(order, vm)
            case Answer.GONE:
                return lambda: self._tell(_report(VmGone, order, now))
            case Answer.REFUSE:
                assert vm is not None
                return self._refuse(order, vm, now)
            case Answer.TOO_LATE:
                failed = _report(VmFailed, order, now, message="too late")
                return lambda: self._tell(failed)

    def stop_vm(self, order: StopVm) -> Effect | None:
        """Have no VM up to the order's attempt; always answered with VmGone in the end."""
        vm = self._vms.get(order.instance_id)
        if vm is not None and order.attempt < vm.record.attempt and vm.record.has_vm:
            record = vm.record
            vm.put(record.with_(stopped=max(record.stopped, order.attempt)))
            newer = vm
            return lambda: newer.tell_gone(order.attempt)
        under_way = vm is not None and vm.record.phase is VmPhase.STOPPING and vm.work.busy
        record = stopping(order, vm.record if vm else None, self._host.clock.now())
        if vm is None:
            vm = self._vms[order.instance_id] = Vm(self._host, record)
        if under_way:
            vm.put(record)
            return None
        vm.overtake(record)
        if record.phase is VmPhase.STOPPING:
            return vm.tear_down
        return lambda: vm.settle_gone(order.attempt)

    def reboot_vm(self, order: RebootVm) -> Effect | None:
        """Restart a running VM, once for each number."""
        now = self._host.clock.now()
        vm = self._vms.get(order.instance_id)
        if vm is None or order.attempt > vm.record.attempt:
            lost = _report(VmRestarted, order, now, number=order.number, error="Not found")
            return lambda: self._tell(lost)
        record = vm.record
        if order.attempt < record.attempt or order.epoch < record.epoch:
            return self._refuse(order, vm, now)
        if order.number <= record.restarts:
            return lambda: vm.tell_restarted(order.number)
        if now > order.deadline or vm.work.busy:
            return None
        if vm.phase not in (VmPhase.RUNNING, VmPhase.STOPPED, VmPhase.GONE):
            return lambda: vm.tell_restarted(order.number, "the VM does not run")
        return lambda: vm.reboot(order)

    def run_script(self, order: RunScript) -> Effect | None:
        """Run what a claim brought, once; that the VM is not there a heartbeat tells."""
        vm = self._vms.get(order.instance_id)
        if vm is None or order.attempt > vm.record.attempt:
            return None
        if order.attempt < vm.record.attempt or order.epoch < vm.record.epoch:
            return self._refuse(order, vm, self._host.clock.now())
        return late_script.take(self._host, vm, order)

    def push_image(self, order: PushImage) -> Effect | None:
        """Save a VM as an image, once for each request; how far it is, a heartbeat tells.

        A late order is left to its repeat: an answer would end the request, and the repeat that
        may be in the queue already would begin the save all the same.
        """
        now = self._host.clock.now()
        vm = self._vms.get(order.instance_id)
        if vm is None or order.attempt > vm.record.attempt:
            return lambda: self._tell(_not_pushed(order, now, "Not found"))
        if order.attempt < vm.record.attempt or order.epoch < vm.record.epoch:
            return self._refuse(order, vm, now)
        known = vm.record.push(order.request_id)
        if known is not None and known.outcome is not None:
            return lambda: saving.tell(self._host, vm, known)
        if vm.work.busy or (known is None and now > order.deadline):
            return None
        if known is None:
            reason = saving.objection(self._host, vm, order)
            push = Push(order=order, outcome=_not_pushed(order, now, reason) if reason else None)
            vm.put(vm.record.with_push(push))
            if reason:
                return lambda: saving.tell(self._host, vm, push)
        return lambda: saving.begin(self._host, vm)

    def versions(self) -> dict[str, int]:
        """How often something was begun for each instance; see ``lines``."""
        return {instance_id: vm.work.version for instance_id, vm in self._vms.items()}

    def lines(
        self, listed: Sequence[ListedVm], versions: dict[str, int], *, full: bool
    ) -> tuple[VmState, ...]:
        """Heartbeat lines; ``versions`` were taken before the driver was asked for its list.

        What was begun meanwhile is not judged by the list.
        """
        seen = {vm.info.name: vm.info for vm in listed}
        self._names = set(seen)
        found = []
        for instance_id, vm in self._vms.items():
            current = versions.get(instance_id) == vm.work.version
            line = vm.line(seen.get(vm.record.vm_name), listed=current, full=full)
            if line is not None:
                found.append(line)
        return tuple(found)

    def unknown(self, listed: Sequence[ListedVm]) -> tuple[UnknownVm, ...]:
        """VMs on the host that the journal does not know; they are never touched."""
        ours = {vm.record.vm_name for vm in self._vms.values()}
        for vm in self._vms.values():
            ours.update(vm.record.leftovers)
        return tuple(
            UnknownVm(
                name=vm.info.name,
                status=vm.info.status,
                cpu_cores=vm.info.cpu_cores,
                ram_mb=vm.info.ram_mb,
                cloud_id=vm.cloud_id,
                instance_id=vm.instance_id,
                attempt=vm.attempt,
            )
            for vm in listed
            if vm.info.name not in ours
        )

    def heard(self, lines: Sequence[VmState], said_at: datetime) -> None:
        """A heartbeat with these lines was confirmed."""
        for line in lines:
            vm = self._vms.get(line.instance_id)
            if vm is not None:
                vm.heard(line, said_at)

    def forget_old(self) -> None:
        """Drop what nothing depends on any more."""
        now = self._host.clock.now()
        for vm in self:
            until = vm.record.forgettable_at
            if until is not None and until < now and not vm.work.busy:
                del self._vms[vm.record.instance_id]
                self._host.journal.forget(vm.record)

    def _accept(self, order: RunVm, vm: Vm | None) -> Effect:
        name = vm_name(
            order,
            prefix=self._host.vm_prefix,
            node_name=self._host.name,
            nanoseconds=self._nanoseconds(),
            taken=self._names,
        )
        self._names.add(name)
        before = vm.record if vm else None
        record = accepted(order, name, before)
        if vm is None:
            vm = self._vms[order.instance_id] = Vm(self._host, record)
        vm.overtake(record)
        if before is not None and before.phase is VmPhase.STOPPING:
            vm.owe_gone(before.stopped)
        return vm.start

    def _repeat(self, order: RunVm, vm: Vm) -> Effect:
        record = vm.record
        until = max(order.valid_until, record.valid_until or order.valid_until)
        if order.epoch > record.epoch or until != record.valid_until:
            vm.put(record.with_(epoch=order.epoch, valid_until=until))
        if record.run is not None and not vm.work.busy:
            return vm.start  # accepted, yet what follows never began
        return vm.tell_again

    def _refuse(
        self, order: RunVm | RebootVm | RunScript | PushImage, vm: Vm, now: datetime
    ) -> Effect:
        refused = _report(
            VmRefused,
            order,
            now,
            known_attempt=vm.record.attempt,
            known_epoch=vm.record.epoch,
        )
        return lambda: self._tell(refused)

    def _tell(self, report: Report) -> None:
        self._host.publisher.tell(report)

    def _nanoseconds(self) -> int:
        """Unix time in nanoseconds, never the same twice."""
        now = int(self._host.clock.now().timestamp() * 1e6) * 1000
        self._last_name_at = max(self._last_name_at + 1, now)
        return self._last_name_at


def _not_pushed(order: PushImage, now: datetime, error: str) -> ImagePushed:
    return ImagePushed(
        node_id=order.node_id,
        at=now,
        request_id=order.request_id,
        instance_id=order.instance_id,
        attempt=order.attempt,
        error=error,
    )


def _report(
    kind: type[Told],
    order: RunVm | RebootVm | RunScript | PushImage,
    now: datetime,
    **fields: Any,
) -> Told:
    """A report about an order, in the order's own words."""
    return kind(
        node_id=order.node_id,
        at=now,
        instance_id=order.instance_id,
        attempt=order.attempt,
        epoch=order.epoch,
        **fields,
    )
