"""What each owner holds: for the quotas of groups, and so that who holds least goes first."""

from collections import Counter

from contracts.groups import Quota
from contracts.instances import InstanceSpec, Reason
from scheduler.domain.record import InstanceRecord

QUOTA = "quota"


def owner_of(spec: InstanceSpec) -> str:
    """Whom an instance counts for: the node group it was asked for in, else who asked."""
    if spec.group_id:
        return spec.group_id
    return f"pool {spec.pool_id}" if spec.pool_id else f"credential {spec.actor}"


class Shares:
    """Instances that may have a VM, and their virtual CPUs, by owner: computed, never counted.

    ``freed``: owners that hold less than before, for those who wait for their quota.
    """

    def __init__(self) -> None:
        self._held: dict[str, tuple[str, int]] = {}
        self._instances: Counter[str] = Counter()
        self._vcpus: Counter[str] = Counter()
        self.freed: set[str] = set()

    def settle(self, instance: InstanceRecord) -> None:
        """Take an instance as it is now."""
        live = instance.status.live
        new = (owner_of(instance.spec), instance.spec.vcpu) if live else None
        old = self._held.get(instance.id)
        if new == old:
            return
        if old is not None:
            del self._held[instance.id]
            self._add(old, -1)
            self.freed.add(old[0])
        if new is not None:
            self._held[instance.id] = new
            self._add(new, 1)

    def held(self, owner: str) -> int:
        """Instances that an owner holds."""
        return self._instances[owner]

    def refusal(self, owner: str, vcpu: int, quota: Quota | None) -> Reason | None:
        """Why an owner may not hold one more of this size; None when it may."""
        if quota is None:
            return None
        if quota.instances is not None and self._instances[owner] >= quota.instances:
            limit = f"{quota.instances} instances"
        elif quota.vcpus is not None and self._vcpus[owner] + vcpu > quota.vcpus:
            limit = f"{quota.vcpus} virtual CPUs"
        else:
            return None
        return Reason(filter=QUOTA, message=f"the node group's quota of {limit} is used up")

    def _add(self, held: tuple[str, int], sign: int) -> None:
        owner, vcpu = held
        self._instances[owner] += sign
        self._vcpus[owner] += sign * vcpu
        if not self._instances[owner]:
            del self._instances[owner], self._vcpus[owner]
