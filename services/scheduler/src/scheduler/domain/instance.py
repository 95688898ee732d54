"""One instance: its wish, its world, and the events its changes cause."""

from datetime import datetime, timedelta

import msgspec

from contracts.events import EventKind, Scalar
from contracts.instances import (
    DEFAULT_PRIORITY,
    Attempt,
    InstanceChanged,
    InstanceDocument,
    InstanceSpec,
    InstanceState,
    Reason,
)
from contracts.vms import ScriptResult, VmInfo
from scheduler.domain.subject import Subject
from scheduler.domain.transitions import TRANSITIONS, Cause


class Instance(Subject):
    """An instance in memory.

    ``valid_until``: no VM of the running attempt can exist unreported after it.
    ``ordered_at`` is when an order last went out, ``missed`` how many heartbeats since then
    did not list the attempt. ``mark`` is the report-queue mark that must come back first.
    ``reported`` is when, by its node's clock, the newest report about the attempt was said.
    """

    sub_type = "vmAction"

    def __init__(self, document: InstanceDocument) -> None:
        super().__init__(document.id, document.status_revision, document.outbox)
        self.created = document.created
        self.generation = document.generation
        self.spec = document.spec
        self.status = document.status
        self.valid_until = document.status.valid_until
        self.ordered_at: datetime | None = None
        self.missed = 0
        self.mark = ""
        self.reported: datetime | None = None
        self.strays = 0

    @property
    def order(self) -> tuple[int, datetime, str]:
        """Its place among those that wait: priority first (lower sooner), then age."""
        return (self.spec.priority or DEFAULT_PRIORITY, self.created, self.id)

    @property
    def starting(self) -> bool:
        """Whether it is on its way to Started."""
        return self.status.state in {InstanceState.SCHEDULING, InstanceState.PULLING}

    @property
    def waiting(self) -> bool:
        """Whether it needs a node."""
        return self.starting and not self.status.live and not self.spec.terminate

    @property
    def ended(self) -> bool:
        """Whether nothing but its removal is left to do."""
        return self.status.ended is not None

    def observe(self, generation: int, spec: InstanceSpec, now: datetime) -> bool:
        """Take a newer wish; False when it is known already (a repeat, or late)."""
        if generation <= self.status.observed_generation:
            return False
        if generation >= self.generation:
            self.generation, self.spec = generation, spec
        self._set(now, observed_generation=self.generation)
        return True

    def move(self, cause: Cause) -> InstanceState | None:
        """Where the table leads from here; None when the cause is stale."""
        return TRANSITIONS[self.status.state, cause]

    def requested(self, now: datetime) -> None:
        """First sight of it: the start request becomes an event."""
        self._asked(
            EventKind.START_VM,
            now,
            group_id=self.spec.group_id,
            node_id=self.spec.node_id,
            priority=self.spec.priority,
            tag=self.spec.template.tag,
            template_id=self.spec.template.id,
        )

    def place(
        self, node_id: str, queue: str, epoch: int, now: datetime, limits: tuple[float, float]
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
            progress=0.0,
            deadline=now + timedelta(seconds=start) if start else None,
            valid_until=self.valid_until,
            reasons=(),
            vminfo=None,
            attempts=(
                *self.status.attempts,
                Attempt(number=number, node_id=node_id, placed=now),
            ),
        )

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
        self._set(
            now,
            state=state,
            was_started=True,
            lost=False,
            message="",
            progress=0.0,
            vminfo=info,
            script_result=script or self.status.script_result,
            deadline=None,
            valid_until=None,
        )
        self.spec = without_script(self.spec)
        if first:
            self._happened(EventKind.VM_STARTED, now, state=state, node_id=self.status.node_id)
        return True

    def retry(self, failure: str, now: datetime) -> None:
        """The attempt is over without a VM; another may follow."""
        state = self.move(Cause.RETRY)
        assert state is not None
        self._fail_attempt(failure, now, state=state, progress=0.0)
        self._happened(EventKind.START_RETRIED, now, message=failure, attempt=self.status.attempt)

    def fail(
        self,
        message: str,
        now: datetime,
        *,
        vm_left: bool,
        info: VmInfo | None = None,
        script: ScriptResult | None = None,
    ) -> bool:
        """It failed for good; ``vm_left`` keeps its capacity held."""
        state = self.move(Cause.FAILED)
        if state is None:
            return False
        first = not self.status.was_started
        self._fail_attempt(
            message,
            now,
            state=state,
            message=message,
            live=vm_left,
            vminfo=info or self.status.vminfo,
            script_result=script or self.status.script_result,
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
        self._set(now, state=state, lost=False, live=False, message=message)
        if not failed:
            self._happened(EventKind.VM_LOST, now, state=state, message=message)
        return True

    def seen(self, cause: Cause, info: VmInfo | None, now: datetime) -> bool:
        """A heartbeat shows the VM running or stopped; False when nothing is new."""
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
        self._set(now, state=state, reasons=())
        self._asked(EventKind.TERMINATE_VM, now, instance_state=state)
        if not self.status.live:
            if self.status.attempt:
                self.gone(now)
            else:
                self._set(now, ended=now)
        return True

    def gone(self, now: datetime, message: str = "") -> bool:
        """No VM of it is left."""
        state = self.move(Cause.GONE)
        if state is None:
            return False
        self._set(now, state=state, live=False, ended=now, message=message or self.status.message)
        self._happened(EventKind.VM_TERMINATED, now, state=state)
        return True

    def give_up(self, now: datetime) -> None:
        """The attempt took too long; it is ordered away and tried elsewhere when gone."""
        self._set(now, giving_up=True, deadline=None)

    def raise_attempt(self, number: int, now: datetime) -> None:
        """An agent knows a later attempt than we do (an old backup was restored)."""
        self._set(now, attempt=max(number, self.status.attempt))

    def changed(self) -> InstanceChanged:
        """The message that tells everybody; the script's body stays out."""
        return InstanceChanged(
            instance_id=self.id,
            generation=self.generation,
            status_revision=self.revision,
            created=self.created,
            spec=without_script(self.spec),
            status=self.status,
        )

    def _fail_attempt(self, failure: str, now: datetime, **changes: object) -> None:
        attempts = list(self.status.attempts)
        if attempts:
            attempts[-1] = msgspec.structs.replace(attempts[-1], failure=failure)
        changes.setdefault("live", False)
        self._set(
            now,
            attempts=tuple(attempts),
            deadline=None,
            valid_until=None,
            giving_up=False,
            lost=False,
            **changes,
        )
        self.valid_until = None
        self.mark = ""

    def _set(self, now: datetime, **changes: object) -> None:
        self.status = msgspec.structs.replace(self.status, changed=now, **changes)

    def _happened(self, kind: EventKind, now: datetime, **fields: Scalar) -> None:
        self.happened(kind, now, {"instance_id": self.id, **fields})

    def _asked(self, kind: EventKind, now: datetime, **fields: Scalar) -> None:
        """Somebody's request was seen by its owner."""
        by, request = self.spec.actor or "anonymous", self.spec.request_id or self.id
        self.happened(kind, now, {"instance_id": self.id, **fields}, actor=by, request_id=request)


def without_script(spec: InstanceSpec) -> InstanceSpec:
    """The wish without the bytes of its script."""
    if spec.script is None or not spec.script.body:
        return spec
    return msgspec.structs.replace(spec, script=msgspec.structs.replace(spec.script, body=b""))


def same_but_time(one: VmInfo, other: VmInfo | None) -> bool:
    """Whether two sightings of a VM differ in nothing but when they were made."""
    return other is not None and msgspec.structs.replace(one, timestamp=other.timestamp) == other
