"""What the agent must remember of one instance on one node, across its own death."""

from datetime import datetime, timedelta
from typing import Any, TypeAlias

import msgspec

from contracts.vms import (
    RunVm,
    Script,
    ScriptResult,
    StopVm,
    VmFailed,
    VmPhase,
    VmStarted,
)
from node_agent.domain.push import Push, remembered

TOMBSTONE_LIFE = timedelta(minutes=10)
"""How long after a StopVm's deadline its attempts stay dead."""

Outcome: TypeAlias = VmStarted | VmFailed


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One instance on one node: the newest attempt, and up to which attempt all are stopped.

    ``phase`` is QUEUED from acceptance until there is a ``report``; finer phases are not kept.
    ``vm_name`` is written before the clone is made, ``script_begun`` before the script is begun.
    ``late_script`` was ordered after the VM ran and has no outcome yet; ``script_result`` is its.
    ``leftovers``: VMs of superseded attempts that must go first. ``stopped`` -1: no StopVm yet.
    ``registry`` is where its tag came from, ``request_id`` who asked for it, for logs.
    ``rebooting`` was begun at ``rebooted_at``; ``restarts`` is the last that is done.
    ``pushes``: orders to save it as an image, the newest last.
    """

    node_id: str
    instance_id: str
    attempt: int
    epoch: int = 0
    phase: VmPhase = VmPhase.QUEUED
    cloud_id: str = ""
    registry: str = ""
    request_id: str = ""
    vm_name: str = ""
    leftovers: tuple[str, ...] = ()
    run: RunVm | None = None
    valid_until: datetime | None = None
    validity: float = 0.0
    script_begun: bool = False
    late_script: Script | None = None
    late_script_ended: bool = False
    script_result: ScriptResult | None = None
    report: Outcome | None = None
    confirmed: bool = False
    restarts: int = 0
    rebooting: int = 0
    rebooted_at: datetime | None = None
    pushes: tuple[Push, ...] = ()
    stopped: int = -1
    tombstone_until: datetime | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Node and instance."""
        return self.node_id, self.instance_id

    @property
    def log_ids(self) -> dict[str, str]:
        """What every line about it says: for whom something is done, and where."""
        ids = {"instance": self.instance_id, "node": self.node_id}
        if self.request_id:
            ids["request_id"] = self.request_id
        if self.run is not None and self.run.trace:
            ids["trace_id"] = self.run.trace.split("-")[1]
        return ids

    @property
    def has_vm(self) -> bool:
        """Whether a VM of ours may be on the host."""
        if isinstance(self.report, VmFailed):
            return self.report.vm_left
        return self.phase is not VmPhase.GONE

    @property
    def saving(self) -> Push | None:
        """The newest order to save it that has no outcome yet."""
        return next((push for push in reversed(self.pushes) if push.outcome is None), None)

    def push(self, request_id: str) -> Push | None:
        """What is known of a request to save it."""
        return next((push for push in self.pushes if push.request_id == request_id), None)

    def with_push(self, push: Push) -> "Record":
        """A copy that knows of this, too.

        Who orders a save has heard that the VM runs, whether or not the bus confirmed it.
        """
        heard = self.confirmed or isinstance(self.report, VmStarted)
        return self.with_(pushes=remembered(self.pushes, push), confirmed=heard)

    @property
    def forgettable_at(self) -> datetime | None:
        """When nothing depends on this record any more; None while something may."""
        if self.phase is VmPhase.GONE:
            return self.tombstone_until
        if self.phase is VmPhase.FAILED and self.confirmed and not self.has_vm:
            return self.valid_until and self.valid_until + TOMBSTONE_LIFE
        return None

    def with_(self, **changes: Any) -> "Record":
        """A copy with some fields changed."""
        return msgspec.structs.replace(self, **changes)


def accepted(run: RunVm, vm_name: str, before: Record | None) -> Record:
    """The record of a start that was just taken on, after whatever was known."""
    return Record(
        node_id=run.node_id,
        instance_id=run.instance_id,
        attempt=run.attempt,
        epoch=run.epoch,
        cloud_id=run.cloud_id,
        registry=run.registry,
        request_id=run.request_id,
        vm_name=vm_name,
        leftovers=_leftovers(before),
        run=run,
        valid_until=run.valid_until,
        validity=run.validity,
        stopped=before.stopped if before else -1,
        tombstone_until=before.tombstone_until if before else None,
    )


def stopping(stop: StopVm, before: Record | None, now: datetime) -> Record:
    """The record after a StopVm for the newest attempt or a later one."""
    until = max(stop.deadline, now) + TOMBSTONE_LIFE
    if before is None:
        return Record(
            node_id=stop.node_id,
            instance_id=stop.instance_id,
            attempt=stop.attempt,
            epoch=stop.epoch,
            phase=VmPhase.GONE,
            stopped=stop.attempt,
            tombstone_until=until,
        )
    gone = not before.has_vm and not before.leftovers
    return before.with_(
        attempt=max(before.attempt, stop.attempt),
        epoch=max(before.epoch, stop.epoch),
        phase=VmPhase.GONE if gone else VmPhase.STOPPING,
        run=None,
        report=None,
        late_script=None,
        pushes=(),
        stopped=max(before.stopped, stop.attempt),
        tombstone_until=max(until, before.tombstone_until or until),
    )


def _leftovers(before: Record | None) -> tuple[str, ...]:
    if before is None:
        return ()
    own = (before.vm_name,) if before.has_vm and before.vm_name else ()
    return before.leftovers + own
