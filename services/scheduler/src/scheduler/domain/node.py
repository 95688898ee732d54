"""One node: what it offers, what is claimed of it, and whether it is heard."""

from collections import Counter
from datetime import datetime

import msgspec

from contracts.nodes import (
    CapacityMode,
    NodeChanged,
    NodeDocument,
    NodeFacts,
    NodeSpec,
    NodeState,
    NodeUsage,
)
from contracts.vms import UnknownVm
from scheduler.domain.subject import Subject


class Claim(msgspec.Struct, frozen=True):
    """What is held by one VM, sure or possible; ``vram`` in MiB."""

    vcpu: int
    vram: int
    usb_device: str = ""


class Node(Subject):
    """A node in memory.

    ``claims``: instances placed here that may have a VM; ``strays``: attempts it reports that are
    not its business any more; unmanaged VMs count as well. So capacity used is computed, never
    counted. ``heard`` and ``flushed`` are in the clock's monotonic seconds,
    ``said`` is its own clock at its newest heartbeat; ``heartbeat`` is the
    interval it was told, in seconds. ``version`` moves when a filter may answer differently.
    ``free_usb``: claim to devices that nobody has.
    """

    sub_type = "nodeAction"

    def __init__(self, document: NodeDocument, heard: float, said: datetime) -> None:
        super().__init__(document.id, document.status_revision, document.outbox)
        self.created = document.created
        self.generation = document.generation
        self.spec = document.spec
        self.status = document.status
        self.heard = heard
        self.said = said
        self.flushed = float("-inf")
        self.skewed = False
        self.heartbeat = 0.0
        self.claims: dict[str, Claim] = {}
        self.strays: dict[str, Claim] = {}
        self.pulling: Counter[str] = Counter()
        self.granted: frozenset[str] = frozenset()
        self.version = 0
        self.free_usb: Counter[str] = Counter()
        self.index_facts()

    def index_facts(self) -> None:
        """Recompute what placement asks for; called whenever facts, spec or groups changed."""
        self.version += 1
        facts = self.status.facts
        self.cached = {template.digest for template in facts.templates}
        self.known_templates = {template.id for template in facts.templates}
        self.capabilities = frozenset(facts.capabilities)
        self.group_ids = frozenset(self.status.groups)
        self.arch = facts.arch
        self.queue = facts.queue or self.id
        self._by_number = self.capacity_mode is CapacityMode.NUMBER
        self._capacity = self.capacity
        self.recount()

    def grant(self, groups: frozenset[str]) -> None:
        """Permission groups that may have instances here."""
        self.granted = groups
        self.version += 1

    def recount(self) -> None:
        """Recompute what is free; called whenever claims, strays or limits changed."""
        if self.status.facts.usb_devices or self.free_usb:
            self._recount_usb()
        held = (*self.claims.values(), *self.strays.values())
        self._free = self._capacity - len(held) - len(self.status.unmanaged)
        if self._by_number:
            return
        facts, others = self.status.facts, self.status.unmanaged
        vcpu = self.spec.vcpu_limit or facts.vcpu_limit
        vram = (self.spec.ram_limit_gb or facts.ram_limit_gb) * 1024
        self._free_vcpu = vcpu - sum(c.vcpu for c in held) - sum(vm.cpu_cores for vm in others)
        self._free_vram = vram - sum(c.vram for c in held) - sum(vm.ram_mb for vm in others)

    def _recount_usb(self) -> None:
        held = {one: claim.usb_device for one, claim in self.claims.items() if claim.usb_device}
        free = self.status.facts.free_usb(held)
        if free != self.free_usb:
            self.free_usb = free
            self.version += 1

    @property
    def capacity_mode(self) -> CapacityMode:
        """As set through the API, else as joined."""
        return self.spec.capacity_mode or self.status.facts.capacity_mode

    @property
    def capacity(self) -> int:
        """VMs it takes in number mode."""
        wished = self.spec.capacity
        return self.status.facts.capacity if wished is None else wished

    @property
    def draining(self) -> bool:
        """Takes no new starts."""
        wished = self.spec.drain
        return self.status.facts.drain if wished is None else wished

    @property
    def online(self) -> bool:
        """Heard recently."""
        return self.status.state is not NodeState.OFFLINE

    def room(self, vcpu: int, vram: int) -> int:
        """How many more VMs of this size fit."""
        if self._by_number:
            return self._free
        return min(self._free_vcpu // max(vcpu, 1), self._free_vram // max(vram, 1))

    def state_now(self) -> NodeState:
        """The documented state of a node that is heard: a function of facts and wishes."""
        if not self.status.facts.license_valid:
            return NodeState.INVALID_LICENSE
        if self.status.upgrading_until is not None:
            return NodeState.UPDATING
        if self.draining:
            return NodeState.DRAIN
        return NodeState.ACTIVE

    def update(
        self,
        now: datetime,
        *,
        facts: NodeFacts | None = None,
        usage: NodeUsage | None = None,
        unmanaged: tuple[UnknownVm, ...] | None = None,
        groups: tuple[str, ...] | None = None,
        state: NodeState | None = None,
    ) -> set[str]:
        """Take what is given and differs; the names of what did."""
        given = {
            "facts": facts,
            "usage": usage,
            "unmanaged": unmanaged,
            "groups": groups,
            "state": state,
        }
        new = {k: v for k, v in given.items() if v is not None and getattr(self.status, k) != v}
        self.status = msgspec.structs.replace(
            self.status, changed=now if new else self.status.changed, last_seen=now, **new
        )
        if new.keys() - {"usage"}:
            self.index_facts()
        return set(new)

    def observe(self, generation: int, spec: NodeSpec, now: datetime) -> bool:
        """Take a newer wish; False when it is known."""
        if generation <= self.status.observed_generation:
            return False
        self.generation, self.spec = max(generation, self.generation), spec
        groups = self.status.groups if spec.groups is None else spec.groups
        self.status = msgspec.structs.replace(
            self.status, observed_generation=generation, groups=groups, changed=now
        )
        self.index_facts()
        return True

    def begin_upgrade(self, until: datetime, now: datetime) -> None:
        """Its agent is told to become the wished version."""
        self._upgrade(now, upgrading_until=until, upgrade_error="")

    def end_upgrade(self, error: str, now: datetime) -> None:
        """Nothing more is expected of the wished upgrade."""
        self._upgrade(now, upgrading_until=None, upgrade_error=error)

    def _upgrade(self, now: datetime, **changes: object) -> None:
        self.status = msgspec.structs.replace(
            self.status, upgrades=self.spec.upgrades, changed=now, **changes
        )
        state = self.state_now() if self.online else self.status.state
        self.status = msgspec.structs.replace(self.status, state=state)
        self.index_facts()

    def leave(self) -> None:
        """It is gone for everybody."""
        self.status = msgspec.structs.replace(self.status, left=True)

    def changed(self) -> NodeChanged:
        """The message that tells everybody."""
        return NodeChanged(
            node_id=self.id,
            generation=self.generation,
            status_revision=self.revision,
            created=self.created,
            spec=self.spec,
            status=self.status,
        )
