"""One instance on one node, from the accepted order to the VM that is gone."""

import functools
from datetime import datetime, timedelta

import msgspec
import structlog

from contracts.vms import RebootVm, Script, VmFailed, VmInfo, VmPhase, VmStarted, VmState
from node_agent.domain.record import Outcome, Record
from node_agent.drivers.port import CannotHonour, DriverError, HostFault
from node_agent.host import Host
from node_agent.metrics import STARTS
from node_agent.reboot import reboot
from node_agent.removal import UNTIL_DONE, delete_vm
from node_agent.reports import Reports
from node_agent.solo import Solo
from node_agent.start import UNCONFIRMED, Start
from node_agent.startup_script import ScriptFailed, interrupted

_DELETE_TRIES = 3
_SETTLED = (VmPhase.RUNNING, VmPhase.STOPPED, VmPhase.GONE)
_log = structlog.get_logger()


class Vm:
    """The work on one instance: one thing at a time, and what a later order begins ends it.

    ``record`` is what the journal knows; everything else here is rebuilt after a restart.
    """

    def __init__(self, host: Host, record: Record) -> None:
        self._host = host
        self._reports = Reports(host)
        self.record = record
        self.phase = record.phase
        self.info: VmInfo | None = record.report.info if record.report is not None else None
        self._share = 0.0
        self.work = Solo(f"vm:{record.instance_id}")
        self._limit_at: float | None = None
        self._owed_gone: list[int] = []

    # what orders begin; the record is durable by then

    def overtake(self, record: Record) -> None:
        """A newer order counts from this moment on: nothing may be done or said by the older."""
        self.work.cancel()
        self._reports.withdraw()
        self._host.unsettled.discard(self)
        self.put(record)

    def start(self, found: VmInfo | None = None) -> None:
        """Bring the VM up; ``found`` is ours and runs already, left by an agent that was killed."""
        self._reports.withdraw()
        self.phase, self.info, self._share = VmPhase.QUEUED, None, 0.0
        self._host.unsettled.add(self)
        self.work.begin(functools.partial(self._start, found), self.record.log_ids)

    def start_over(self) -> None:
        """Delete what a killed agent has half made, and begin again."""
        self._host.unsettled.add(self)
        self.work.begin(self._start_over, self.record.log_ids)

    def tear_down(self) -> None:
        """End whatever is under way, delete the VM, and say VmGone."""
        self._reports.withdraw()
        self._host.unsettled.discard(self)
        self.phase = self.record.phase
        self.work.begin(self._tear_down, self.record.log_ids)

    def reboot(self, order: RebootVm) -> None:
        """Restart the VM for this number."""
        self.work.begin(functools.partial(self._reboot, order), self.record.log_ids)

    def give_up(self, message: str) -> None:
        """End the attempt as failed, not finally."""
        self._reports.withdraw()
        self.work.begin(functools.partial(self._fail, HostFault(message)), self.record.log_ids)

    def fail_running(self, message: str) -> None:
        """The VM runs and is of no use: the instance has failed, the VM stays until StopVm."""
        self.work.begin(functools.partial(self._fail_running, message), self.record.log_ids)

    def interrupt(self, script: Script | None) -> None:
        """End the attempt for good: an agent was killed while its script ran."""
        work = functools.partial(self.end_by_script, interrupted(script))
        self.work.begin(work, self.record.log_ids)

    # what is said

    def tell_again(self) -> None:
        """Repeat the last report, or how far the attempt is."""
        report = self.record.report
        if report is None:
            self._reports.progress(self.record, self.phase, self._share, now=True)
            return
        if self._reports.telling:
            return
        fresh = msgspec.structs.replace(report, at=self._host.clock.now())
        if isinstance(fresh, VmStarted):
            if self.info is not None:
                fresh = msgspec.structs.replace(fresh, info=self._reports.stamped(self.info))
            if not self.record.confirmed:
                self._host.unsettled.add(self)
        self._reports.outcome(fresh, self._confirmed)

    def tell_gone(self, attempt: int) -> None:
        """Say that nothing is left up to this attempt, as soon as that is true."""
        if self.record.leftovers:
            self.owe_gone(attempt)
        else:
            self._reports.gone(self.record, attempt)

    def owe_gone(self, attempt: int) -> None:
        """The VMs up to this attempt are being deleted by a newer start: say so when it is done."""
        self._owed_gone.append(attempt)

    def settle_gone(self, attempt: int) -> None:
        """There is no VM: end what may still be said, and say that."""
        self._reports.withdraw()
        self._host.unsettled.discard(self)
        self.phase = VmPhase.GONE
        self.tell_gone(attempt)

    def tell_restarted(self, number: int, error: str = "") -> None:
        """Say that a restart is done, or cannot be."""
        self._reports.restarted(self.record, number, self.info, error)

    def line(self, seen: VmInfo | None, *, listed: bool, full: bool) -> VmState | None:
        """The heartbeat's line; None when there is nothing to say of this instance any more.

        ``listed``: ``seen`` is what the driver has just listed of it, None meaning: no such VM.
        """
        if self._is_over():
            return None
        if listed and not self.work.busy:
            self._observe(seen)
        info = None if self.phase is VmPhase.GONE else self.info
        return self._reports.line(self.record, self.phase, self._share, info, full=full)

    def heard(self, line: VmState, said_at: datetime) -> None:
        """A heartbeat with this line was confirmed; what was over by then stays over."""
        if line.attempt != self.record.attempt:
            return
        self._reports.heard(line)
        until = self.record.valid_until
        if until is not None and said_at <= until and self in self._host.unsettled:
            valid = said_at + timedelta(seconds=self.record.validity)
            if valid > until:
                self.put(self.record.with_(valid_until=valid))

    # what time does, and what a start tells

    def watch(self) -> None:
        """Called about once a second while unsettled: enforce the limits."""
        until = self.record.valid_until
        if self.record.confirmed:
            self._host.unsettled.discard(self)
        elif until is not None and self._host.clock.now() > until:
            self._host.unsettled.discard(self)
            self.give_up(UNCONFIRMED)
        elif self._limit_at is not None and self._host.clock.monotonic() > self._limit_at:
            self._limit_at = None
            self.give_up("the start took too long")

    def limit(self, seconds: float | None) -> None:
        """See Attempt."""
        now = self._host.clock.monotonic()
        self._limit_at = None if seconds is None else now + seconds

    def moved(self, phase: VmPhase, share: float = 0.0) -> None:
        """See Attempt. Only pulls are told while they go on, and when they are over."""
        before, self.phase, self._share = self.phase, phase, share
        if VmPhase.PULLING in (before, phase):
            self._reports.progress(self.record, phase, share, now=before is not phase)

    def put(self, record: Record) -> None:
        """Change the record; durable some time later."""
        self.record = record
        self._host.journal.put(record)

    async def keep(self, record: Record) -> None:
        """See Attempt."""
        self.put(record)
        await self._host.journal.sync()

    # the work

    async def _start(self, found: VmInfo | None) -> None:
        run = self.record.run
        if run is None:
            return  # a StopVm came before this could begin
        self.limit(None)
        start = Start(self._host, self, run)
        try:
            await self._clear_leftovers(_DELETE_TRIES)
            info, result = await start.bring_up(found)
        except ScriptFailed as failed:
            await self.end_by_script(failed)
        except DriverError as error:
            await self._fail(error)
        except Exception as error:
            _log.exception("vm.start_failed", vm=self.record.vm_name)
            await self._fail(HostFault(f"{type(error).__name__}: {error}"))
        else:
            self.info = info
            started = self._reports.started(self.record, info)
            started = msgspec.structs.replace(started, script_result=result, took=start.took)
            await self._end(VmPhase.RUNNING, started)

    async def _start_over(self) -> None:
        if await delete_vm(self._host, self.record.vm_name, _DELETE_TRIES):
            await self._start(None)
        else:
            await self._fail(HostFault("what a killed agent left cannot be deleted"))

    async def _fail(self, error: DriverError) -> None:
        """Delete what was made; nobody may run a script again that was begun here."""
        self.limit(None)
        logs = await self._host.failure_logs.leave(self._host.driver, self.record, str(error))
        gone = await delete_vm(self._host, self.record.vm_name, _DELETE_TRIES)
        final = isinstance(error, CannotHonour) or self.record.script_begun
        failed = self._reports.failed(self.record, str(error), final=final, logs=logs)
        await self._end(VmPhase.FAILED, msgspec.structs.replace(failed, vm_left=not gone))

    async def _fail_running(self, message: str) -> None:
        logs = await self._host.failure_logs.leave(self._host.driver, self.record, message)
        failed = self._reports.failed(self.record, message, final=True, logs=logs)
        info = None if self.info is None else self._reports.stamped(self.info)
        await self._end(VmPhase.FAILED, msgspec.structs.replace(failed, vm_left=True, info=info))

    async def end_by_script(self, script: ScriptFailed) -> None:
        """The instance has failed for good; its VM becomes what the fail handler says."""
        self.limit(None)
        logs = await self._host.failure_logs.leave(self._host.driver, self.record, str(script))
        self.info = left = await script.settle(self._host.driver, self.record.vm_name)
        gone = left is None and await delete_vm(self._host, self.record.vm_name, _DELETE_TRIES)
        failed = self._reports.failed(self.record, str(script), final=True, logs=logs)
        report = msgspec.structs.replace(
            failed,
            vm_left=not gone,
            info=None if left is None else self._reports.stamped(left),
            script_result=script.result,
        )
        await self._end(VmPhase.FAILED, report)

    async def _end(self, phase: VmPhase, report: Outcome) -> None:
        """Have the outcome durable, then say it; VmStarted stays watched until confirmed."""
        self.phase = phase
        await self.keep(self.record.with_(phase=phase, report=report, run=None, confirmed=False))
        if isinstance(report, VmFailed):
            self._host.unsettled.discard(self)
            _log.warning("vm.failed", attempt=report.attempt, final=report.final)
        else:
            _log.info("vm.started", attempt=report.attempt, vm=self.record.vm_name)
        STARTS.labels(phase.value).inc()
        self._reports.outcome(report, self._confirmed)

    def _confirmed(self) -> None:
        self._host.unsettled.discard(self)
        if not self.record.confirmed:
            self.put(self.record.with_(confirmed=True))

    async def _tear_down(self) -> None:
        await delete_vm(self._host, self.record.vm_name, UNTIL_DONE)
        await self._clear_leftovers(UNTIL_DONE)
        await self.keep(self.record.with_(phase=VmPhase.GONE, vm_name=""))
        self.phase, self.info = VmPhase.GONE, None
        self.tell_gone(self.record.stopped)
        _log.info("vm.gone")

    async def _clear_leftovers(self, tries: int) -> None:
        """Delete the VMs of older attempts; HostFault when that fails so often."""
        if self.record.leftovers:
            for name in self.record.leftovers:
                if not await delete_vm(self._host, name, tries):
                    raise HostFault(f"{name} of an older attempt cannot be deleted")
            self.put(self.record.with_(leftovers=()))
        owed, self._owed_gone = self._owed_gone, []
        for attempt in owed:
            self.tell_gone(attempt)

    async def _reboot(self, order: RebootVm) -> None:
        error = await reboot(self._host, self, order)
        _log.info("vm.restarted", number=order.number, error=error)
        self.tell_restarted(order.number, error)

    def _is_over(self) -> bool:
        if self.phase is VmPhase.GONE:
            return self.record.stopped >= self.record.attempt
        return self.phase is VmPhase.FAILED and self.record.confirmed and not self.record.has_vm

    def _observe(self, seen: VmInfo | None) -> None:
        if self.phase in _SETTLED:
            if seen is None:
                self.phase = VmPhase.GONE
            else:
                self.phase = VmPhase.RUNNING if seen.status == "running" else VmPhase.STOPPED
        if seen is not None:
            self.info = seen
