"""One instance: its wish, its world, and the events its changes cause."""

from datetime import datetime, timedelta

import msgspec

from contracts.events import EventKind
from contracts.instances import Attempt, InstanceState, Reason
from contracts.vms import ScriptResult, VmInfo
from scheduler.domain.member import Member
from scheduler.domain.transitions import Cause


class Instance(Member):
    """An instance in memory, and everything that can happen to it."""

    def place(
        self,
        node_id: str,
        queue: str,
        epoch: int,
        now: datetime,
        limits: tuple[float, float],
        mac_address: str = "",
    ) -> None:
        """Begin the next attempt on a node. ``limits``: seconds to start, seconds of validity."""
        number = self.status.attempt + 1
        start, validity = limits
        self.valid_until = now + timedelta(seconds=validity)
        self.missed = 0
        self.reported = None
        self._set(
            now,
            node_id=node_id,
            queue=queue,
            attempt=number,
            epoch=epoch,
            live=True,
            giving_up=False,
            mac_address=mac_address,
            progress=0.0,
            deadline=now + timedelta(seconds=start) if start else None,
            valid_until=self.valid_until,
            reasons=(),
            vminfo=None,
            attempts=(*self.status.attempts, Attempt(number=number, node_id=node_id, placed=now)),
        )
        self.step("waiting", self.waits_since, now)

    def park(self, reasons: tuple[Reason, ...], now: datetime) -> bool:
        """Wait under these reasons; False when they are known (counts aside, which move a lot)."""
        if [r.filter for r in self.status.reasons] == [r.filter for r in reasons]:
            return False
        self._set(now, reasons=reasons)
        return True

    def progress(self, cause: Cause, share: float, now: datetime) -> bool:
        """The attempt pulls or prepares."""
        state = self.move(cause)
        if state is None or (state == self.status.state and share == self.status.progress):
            return False
        self._set(now, state=state, progress=share)
        return True

    def started(self, info: VmInfo, script: ScriptResult | None, now: datetime) -> bool:
        """The VM runs; False when that was known."""
        state = self.move(Cause.STARTED)
        if state is None or (self.status.state == InstanceState.ERROR and not self.status.lost):
            return False
        first = not self.status.was_started
        self.attempt_over(now)
        self._set(
            now,
            state=state,
            was_started=True,
            started=self.status.started or now,
            lost=False,
            message="",
            progress=0.0,
            vminfo=info,
            script_result=script or self.status.script_result,
            failure_logs=(),
            deadline=None,
            valid_until=None,
        )
        if not self.status.script_due:
            self.spec = self.spec.without_script()
        if first:
            self._happened(EventKind.VM_STARTED, now, state=state, node_id=self.status.node_id)
        return True

    def retry(self, failure: str, now: datetime, logs: tuple[str, ...] = ()) -> None:
        """The attempt is over without a VM; another may follow."""
        state = self.move(Cause.RETRY)
        assert state is not None
        self._fail_attempt(
            failure, now, state=state, progress=0.0, mac_address="", failure_logs=logs
        )
        self._happened(EventKind.START_RETRIED, now, message=failure, attempt=self.status.attempt)

    def fail(
        self,
        message: str,
        now: datetime,
        *,
        vm_left: bool,
        info: VmInfo | None = None,
        script: ScriptResult | None = None,
        logs: tuple[str, ...] = (),
    ) -> bool:
        """It failed for good; ``vm_left`` keeps its capacity held."""
        state = self.move(Cause.FAILED)
        if state is None:
            return False
        first = self.unannounced
        self._fail_attempt(
            message,
            now,
            state=state,
            message=message,
            live=vm_left,
            vminfo=info or self.status.vminfo,
            script_result=script or self.status.script_result,
            failure_logs=logs or self.status.failure_logs,
        )
        if first:
            self._happened(
                EventKind.VM_FAILED_TO_START,
                now,
                state=state,
                message=message,
                node_id=self.status.node_id,
            )
        return True

    def lost(self, now: datetime) -> bool:
        """Its node is silent; its capacity stays held."""
        state = self.move(Cause.LOST)
        if state is None:
            return False
        self._set(now, state=state, lost=True, message="node is not communicating")
        self._happened(EventKind.VM_LOST, now, state=state, node_id=self.status.node_id)
        return True

    def vanished(self, message: str, now: datetime) -> bool:
        """Its node no longer has the VM; an Error keeps the message that explains it."""
        state = self.move(Cause.VANISHED)
        if state is None:
            return False
        failed = self.status.state == InstanceState.ERROR and not self.status.lost
        message = self.status.message if failed else message
        self._set(now, state=state, lost=False, live=False, saving="", message=message)
        if not failed:
            self._happened(EventKind.VM_LOST, now, state=state, message=message)
        return True

    def seen(self, cause: Cause, info: VmInfo | None, now: datetime) -> bool:
        """A heartbeat shows the VM running, stopped or being saved; False when nothing is new."""
        state = self.move(cause)
        if state is None or (self.status.state == InstanceState.ERROR and not self.status.lost):
            return False
        same_info = info is None or same_but_time(info, self.status.vminfo)
        if state == self.status.state and same_info and not self.status.lost:
            return False
        stopped = cause is Cause.STOPPED
        recovered = self.status.lost
        word = info.status if info else "stopped"
        self._set(
            now,
            state=state,
            lost=False,
            vminfo=info or self.status.vminfo,
            message=f'Unexpected VM state: "{word}"' if stopped else "",
        )
        if recovered:
            self._happened(EventKind.VM_RECOVERED, now, state=state)
        return True

    def restarted(self, number: int, info: VmInfo | None, error: str, now: datetime) -> bool:
        """A wished restart was carried out, or failed."""
        if number <= self.status.restarts:
            return False
        self._set(now, restarts=number, vminfo=info or self.status.vminfo, message=error or "")
        self._happened(EventKind.VM_RESTARTED, now, message=error)
        return True

    def terminate(self, now: datetime) -> bool:
        """Its end was asked for. Without a VM anywhere the end is now."""
        state = self.move(Cause.TERMINATE)
        if state is None:
            return False
        self._set(now, state=state, saving="", reasons=())
        self._asked(EventKind.TERMINATE_VM, now, instance_state=state)
        if not self.status.live:
            if self.status.attempt:
                self.gone(now)
            else:
                self._set(now, ended=now)
        return True

    def expire(self, now: datetime) -> bool:
        """Its time to live is over; a save that is under way may finish."""
        state = self.move(Cause.TERMINATE)
        if state is None or self.status.saving:
            return False
        self._set(now, state=state, expired=True, message="its time to live is over")
        self._happened(EventKind.VM_EXPIRED, now, state=state, ttl=self.spec.ttl)
        if not self.status.live:
            self.gone(now)
        return True

    def save(self, request_id: str, now: datetime) -> None:
        """Its VM is to become an image."""
        state = self.move(Cause.SAVING)
        assert state is not None
        self._set(now, state=state, saving=request_id)

    def saved(self, now: datetime) -> bool:
        """It has become an image, which is its end."""
        state = self.move(Cause.SAVED)
        if state is None:
            return False
        self._set(now, state=state, saving="", saved=True)
        return True

    def save_failed(self, now: datetime) -> None:
        """It has not become an image and goes on; one that is lost waits for its node."""
        state = self.move(Cause.SAVE_FAILED) or self.status.state
        self._set(now, state=state, saving="")

    def gone(self, now: datetime, message: str = "", *, forsaken: bool = False) -> bool:
        """No VM of it is left, or, ``forsaken``, nobody is there to say so."""
        state = self.move(Cause.GONE)
        if state is None:
            return False
        message = message or self.status.message
        self._set(now, state=state, live=False, lost=forsaken, ended=now, message=message)
        self._happened(EventKind.VM_TERMINATED, now, state=state)
        return True

    def cleared(self, now: datetime) -> bool:
        """The node of a forsaken one has come back, and no VM is left."""
        if not (self.ended and self.status.lost):
            return False
        self._set(now, lost=False)
        return True

    def give_up(self, now: datetime) -> None:
        """The attempt took too long; it is ordered away and tried elsewhere when gone."""
        self._set(now, giving_up=True, deadline=None)

    def raise_attempt(self, number: int, now: datetime) -> None:
        """An agent knows a later attempt than we do (an old backup was restored)."""
        self._set(now, attempt=max(number, self.status.attempt))

    def _fail_attempt(self, failure: str, now: datetime, **changes: object) -> None:
        attempts = list(self.status.attempts)
        if attempts:
            attempts[-1] = msgspec.structs.replace(attempts[-1], failure=failure)
        changes.setdefault("live", False)
        self.attempt_over(now, failure)
        self._set(
            now,
            attempts=tuple(attempts),
            deadline=None,
            valid_until=None,
            giving_up=False,
            lost=False,
            saving="",
            script_due=False,
            **changes,
        )
        self.valid_until = None
        self.mark = ""
        self.waits_since = now


def same_but_time(one: VmInfo, other: VmInfo | None) -> bool:
    """Whether two sightings of a VM differ in nothing but when they were made."""
    return other is not None and msgspec.structs.replace(one, timestamp=other.timestamp) == other
