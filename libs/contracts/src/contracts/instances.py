"""Gateway and scheduler about instances; everybody else hears what became of them."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias

import msgspec

from contracts.documents import Pending
from contracts.messages import Command, Fact
from contracts.templates import TemplateRef
from contracts.vms import Overrides, Script, ScriptResult, VmInfo

DEFAULT_PRIORITY = 1000
"""Priority of an instance whose request gave none (1 to 10000, lower first)."""


class InstanceState(StrEnum):
    """The nine documented states; no other word exists on the wire."""

    SCHEDULING = "Scheduling"
    PULLING = "Pulling"
    STARTED = "Started"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    TERMINATING = "Terminating"
    TERMINATED = "Terminated"
    ERROR = "Error"
    PUSHING = "Pushing"


MetadataValue: TypeAlias = str | int | float | bool


class InstanceSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was asked. Written by the gateway alone.

    ``permission_group``: only nodes on which it is granted to create instances; None: any.
    ``priority`` 0 means the default. ``restarts`` counts the wished restarts.
    ``actor`` and ``request_id`` are of the request that last moved something acted on,
    ``start_request_id`` (the public ``inflight_reqid``) of the one that made the instance.
    ``trace`` is the W3C ``traceparent`` of that request, "" when it is not traced.
    ``pool_id``: the pool that keeps it ready for a request that has not come yet; the request that
    claims it takes this away and leaves the moment in ``claimed``.
    ``ttl``: seconds after it was first Started at which it is ended, 0 for never.
    """

    template: TemplateRef
    registry: str = ""
    wanted_version: int | None = None
    name: str | None = None
    external_id: str | None = None
    metadata: dict[str, MetadataValue] | None = None
    node_id: str | None = None
    group_id: str | None = None
    permission_group: str | None = None
    priority: int = 0
    name_template: str = ""
    script: Script | None = None
    overrides: Overrides = Overrides()
    terminate: bool = False
    restarts: int = 0
    actor: str = ""
    request_id: str = ""
    start_request_id: str = ""
    trace: str = ""
    pool_id: str | None = None
    claimed: datetime | None = None
    ttl: int = 0

    def without_script(self) -> "InstanceSpec":
        """The same wish without the text of its script: it may be long, and secret."""
        if self.script is None or not self.script.body:
            return self
        return msgspec.structs.replace(self, script=msgspec.structs.replace(self.script, body=b""))

    @property
    def vcpu(self) -> int:
        """Virtual CPUs that the VM will have."""
        return self.overrides.vcpu or self.template.cpu

    @property
    def vram_mb(self) -> int:
        """MiB of memory that the VM will have."""
        return self.overrides.vram or self.template.ram_mb


class Reason(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why an instance waits: a filter's name, its sentence, and how many nodes it refused.

    ``groups``: in which of the node groups that were tried.
    """

    filter: str
    message: str
    nodes: int = 0
    groups: tuple[str, ...] = ()


class Attempt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One try on one node; ``failure`` is empty while it may still succeed."""

    number: int
    node_id: str
    placed: datetime
    failure: str = ""


class InstanceStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is. Written by the scheduler alone (the gateway writes the first one).

    ``attempt`` 0: no order ever went out. ``live``: the attempt may have a VM on ``node_id``,
    so its capacity is held. ``lost``: in Error only because its node is silent, or ended while
    it was, so that a VM may be left there.
    ``giving_up``: the attempt took too long and was ordered away.
    ``saving``: the image request that is being carried out; ``saved``: one has succeeded, which
    is the end of the instance. ``started``: when it first was; ``expired``: its ttl has ended it.
    ``mac_address``: handed out to the attempt; empty where the hypervisor chooses.
    ``deadline`` and ``valid_until`` belong to the running attempt.
    ``changed`` is the public ``ts``; ``ended`` starts the minute before removal.
    ``claimed``: the claim of this member of a pool was seen; ``script_due``: it brought a startup
    script, of which the node has not told yet that it is over.
    ``failure_logs``: the registry's files about the last failed attempt, below ``files/logs/``.
    """

    state: InstanceState = InstanceState.SCHEDULING
    observed_generation: int = 0
    message: str = ""
    node_id: str = ""
    queue: str = ""
    attempt: int = 0
    epoch: int = 0
    live: bool = False
    was_started: bool = False
    lost: bool = False
    giving_up: bool = False
    saving: str = ""
    saved: bool = False
    mac_address: str = ""
    progress: float = 0.0
    restarts: int = 0
    deadline: datetime | None = None
    valid_until: datetime | None = None
    vminfo: VmInfo | None = None
    script_result: ScriptResult | None = None
    failure_logs: tuple[str, ...] = ()
    reasons: tuple[Reason, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    changed: datetime
    started: datetime | None = None
    expired: bool = False
    ended: datetime | None = None
    claimed: bool = False
    script_due: bool = False


def awaits_script(spec: InstanceSpec, status: InstanceStatus) -> bool:
    """Whether what was claimed from a pool is Started for others only after its script."""
    unseen = spec.claimed is not None and not status.claimed and spec.script is not None
    return status.state is InstanceState.STARTED and (unseen or status.script_due)


def expiry(created: datetime, spec: InstanceSpec, status: InstanceStatus) -> datetime | None:
    """When its time to live ends an instance; None while it has none or was never Started.

    What a pool had started before it was asked for lives from when it was.
    """
    if not spec.ttl or not status.was_started:
        return None
    since = max(status.started or created, spec.claimed or created)
    return since + timedelta(seconds=spec.ttl)


class InstanceDocument(Pending, frozen=True, kw_only=True, omit_defaults=True):
    """An instance as stored in ``instances``."""

    spec: InstanceSpec
    status: InstanceStatus


class StartVM(Command, frozen=True, kw_only=True, tag="vm.start.v1"):
    """Start one instance; its document is durable already."""

    instance: InstanceDocument


class TerminateVM(Command, frozen=True, kw_only=True, tag="vm.terminate.v1"):
    """``spec.terminate`` was set with this generation."""

    instance_id: str
    generation: int
    spec: InstanceSpec


class RestartVM(Command, frozen=True, kw_only=True, tag="vm.restart.v1"):
    """``spec.restarts`` grew with this generation."""

    instance_id: str
    generation: int
    spec: InstanceSpec


class UpdateVM(Command, frozen=True, kw_only=True, tag="vm.update.v1"):
    """Name, external id or metadata changed: nobody acts, views move. Or ``ttl`` did."""

    instance_id: str
    generation: int
    spec: InstanceSpec


class InstanceChanged(Fact, frozen=True, kw_only=True, tag="instance.changed.v1"):
    """The scheduler wrote a new status. ``spec`` comes without the script's body."""

    instance_id: str
    generation: int
    status_revision: int
    created: datetime
    spec: InstanceSpec
    status: InstanceStatus


class InstanceRemoved(Fact, frozen=True, kw_only=True, tag="instance.removed.v1"):
    """The record is gone; it will not come back."""

    instance_id: str
