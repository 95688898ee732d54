"""What the scheduler holds of one instance in memory, and how it is read."""

from datetime import datetime

import msgspec

from contracts.events import EventKind, Scalar
from contracts.instances import (
    DEFAULT_PRIORITY,
    InstanceChanged,
    InstanceDocument,
    InstanceSpec,
    InstanceState,
    expiry,
)
from scheduler.domain.subject import Subject
from scheduler.domain.transitions import TRANSITIONS, Cause


class Step(msgspec.Struct, frozen=True):
    """A part of a start that is over; ``failure`` is empty when it went well."""

    name: str
    begun: datetime
    ended: datetime
    node_id: str
    attempt: int
    failure: str = ""


class InstanceRecord(Subject):
    """An instance in memory.

    ``valid_until``: no VM of the running attempt can exist unreported after it.
    ``ordered_at`` is when an order last went out, ``missed`` how many heartbeats since then
    did not list the attempt. ``mark`` is the report-queue mark that must come back first.
    ``aged``: it has waited so long that it goes before all others.
    ``fresh``: a member of a pool that is not stored yet; ``retired``: one whose end was wished.
    ``reported`` is when, by its node's clock, the newest report about the attempt was said.
    ``steps`` of its start are over and not yet in its trace.
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
        self.waits_since = document.status.changed if document.status.attempt else self.created
        self.steps: tuple[Step, ...] = ()
        self.aged = False
        self.fresh = False
        self.retired = False

    @property
    def order(self) -> tuple[int, datetime, str]:
        """Its place among those that wait: priority first (lower sooner, 0: aged), then age."""
        priority = 0 if self.aged else self.spec.priority or DEFAULT_PRIORITY
        return (priority, self.created, self.id)

    @property
    def starting(self) -> bool:
        """Whether it is on its way to Started."""
        return self.status.state in {InstanceState.SCHEDULING, InstanceState.PULLING}

    @property
    def waiting(self) -> bool:
        """Whether it needs a node."""
        return (
            self.starting and not self.status.live and not self.spec.terminate and not self.retired
        )

    @property
    def pooled(self) -> bool:
        """Whether it is kept for a request that has not come yet."""
        return bool(self.spec.pool_id) and not (self.spec.terminate or self.retired or self.ended)

    @property
    def may_age(self) -> bool:
        """Whether waiting can still bring it forward."""
        return not (self.aged or self.spec.pool_id)

    @property
    def ending(self) -> bool:
        """Whether its end was asked for, or came with its image or its time."""
        return self.spec.terminate or self.status.saved or self.status.expired

    @property
    def expiry(self) -> datetime | None:
        """When its time to live is over, if it was ever Started and has one."""
        return expiry(self.created, self.spec, self.status)

    @property
    def unwanted(self) -> bool:
        """Whether its node shall have no VM of this attempt."""
        return self.ending or self.status.giving_up

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

    def attempt_over(self, now: datetime, failure: str = "") -> None:
        """The attempt to start it has come to an end, good or bad."""
        attempts = self.status.attempts
        if attempts and not attempts[-1].failure and not self.status.was_started:
            self.step("attempt", attempts[-1].placed, now, failure)

    def step(self, name: str, begun: datetime, ended: datetime, failure: str = "") -> None:
        """Keep for its trace, if it has one, that a step of its start is over."""
        if self.spec.trace:
            node_id, attempt = self.status.node_id, self.status.attempt
            self.steps += (Step(name, begun, ended, node_id, attempt, failure),)

    def stays(self, now: datetime, node_id: str) -> None:
        """A VM of it is ordered away again and again, and is still there."""
        self._happened(EventKind.UNKNOWN_VM_PERSISTS, now, node_id=node_id)

    def move(self, cause: Cause) -> InstanceState | None:
        """Where the table leads from here; None when the cause is stale."""
        return TRANSITIONS[self.status.state, cause]

    def changed(self) -> InstanceChanged:
        """The message that tells everybody; the script's body stays out."""
        return InstanceChanged(
            instance_id=self.id,
            generation=self.generation,
            status_revision=self.revision,
            created=self.created,
            spec=self.spec.without_script(),
            status=self.status,
        )

    def _set(self, now: datetime, **changes: object) -> None:
        self.status = msgspec.structs.replace(self.status, changed=now, **changes)

    def _happened(self, kind: EventKind, now: datetime, **fields: Scalar) -> None:
        """Nobody hears of a member of a pool before somebody has asked for it."""
        if self.spec.pool_id:
            return
        self.happened(kind, now, {"instance_id": self.id, **fields})

    def _asked(self, kind: EventKind, now: datetime, **fields: Scalar) -> None:
        """Somebody's request was seen by its owner."""
        if self.spec.pool_id:
            return
        by, request = self.spec.actor or "anonymous", self.spec.request_id or self.id
        self.happened(kind, now, {"instance_id": self.id, **fields}, actor=by, request_id=request)
