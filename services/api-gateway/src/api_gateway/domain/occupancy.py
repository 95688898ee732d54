"""How many VMs each node runs: computed from the instances, never counted by anybody."""

from collections import Counter
from typing import NamedTuple

from contracts.instances import InstanceSpec, InstanceStatus


class Occupied(NamedTuple):
    """Running VMs of one node, their virtual CPUs and MiB of memory."""

    vms: int = 0
    vcpu: int = 0
    vram_mb: int = 0


class Occupancy:
    """Which instance runs on which node; ``moved`` are nodes whose figures changed."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[str, int, int]] = {}
        self._vms: Counter[str] = Counter()
        self._vcpu: Counter[str] = Counter()
        self._vram: Counter[str] = Counter()
        self.moved: set[str] = set()

    def account(self, instance_id: str, spec: InstanceSpec, status: InstanceStatus) -> None:
        """Take an instance as it is now."""
        running = status.live and status.was_started
        new = (status.node_id, spec.vcpu, spec.vram_mb) if running else None
        if self._held.get(instance_id) != new:
            self.drop(instance_id)
            if new is not None:
                self._held[instance_id] = new
                self._add(new, 1)

    def drop(self, instance_id: str) -> None:
        """An instance is gone."""
        old = self._held.pop(instance_id, None)
        if old is not None:
            self._add(old, -1)

    def of(self, node_id: str) -> Occupied:
        """The figures of one node."""
        return Occupied(self._vms[node_id], self._vcpu[node_id], self._vram[node_id])

    def _add(self, held: tuple[str, int, int], sign: int) -> None:
        node_id, vcpu, vram = held
        self._vms[node_id] += sign
        self._vcpu[node_id] += sign * vcpu
        self._vram[node_id] += sign * vram
        self.moved.add(node_id)
