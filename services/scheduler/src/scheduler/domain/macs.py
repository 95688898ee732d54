"""The pool of MAC addresses: whose is which, and who gets the next."""

from collections.abc import Collection
from datetime import datetime

import msgspec

from contracts.events import EventKind
from contracts.instances import Reason
from contracts.macs import (
    POOL,
    MacPoolDocument,
    MacPoolSpec,
    MacPoolStatus,
    mac_number,
    mac_text,
)
from scheduler.domain.record import InstanceRecord
from scheduler.domain.subject import Subject

MAC = "mac"
"""What reasons call the lack of an address."""

_NONE_FREE = Reason(filter=MAC, message="no MAC address is free")
_IN_USE = Reason(filter=MAC, message="the MAC address asked for is in use")


class MacRange(msgspec.Struct, frozen=True):
    """Addresses that are handed out, as numbers, both ends included."""

    first: int
    last: int

    def __contains__(self, address: int) -> bool:
        return self.first <= address <= self.last

    def __len__(self) -> int:
        return self.last - self.first + 1


class MacPool(Subject):
    """Who holds which address follows from the instances, so nothing is to be repaired.

    An instance holds its address while it may have a VM; one that ended while its node was silent
    until that node speaks again, also when its record is gone. What a VM is seen with is held as
    well, also if nobody handed it out. ``managed_range`` None: hypervisors choose addresses.
    ``changed``: the document is to be written; ``improved``: somebody who was refused may get one.
    """

    sub_type = "configAction"

    def __init__(self, document: MacPoolDocument, managed_range: MacRange | None) -> None:
        super().__init__(document.id, document.status_revision, document.outbox)
        self.created = document.created
        self.generation = document.generation
        self.spec = document.spec
        self.status = document.status
        self.changed = self.improved = False
        self._range = managed_range
        self._holders: dict[int, set[str]] = {}
        self._held: dict[str, int] = {}
        self._held_in_range = 0
        self._forsaken: dict[str, str] = {}
        self._next = managed_range.first if managed_range else 0
        self._refused = False

    @property
    def managed(self) -> bool:
        """Whether addresses are handed out."""
        return self._range is not None

    def settle_in(self, now: datetime) -> None:
        """Have the document say what the settings are; without management there may be none."""
        wanted = msgspec.structs.replace(
            self.status,
            managed=self.managed,
            first=mac_text(self._range.first) if self._range else "",
            last=mac_text(self._range.last) if self._range else "",
            observed_generation=self.generation,
        )
        if wanted != self.status:
            self.status = msgspec.structs.replace(wanted, changed=now)
            self.changed = True

    def observe(self, generation: int, spec: MacPoolSpec, now: datetime) -> None:
        """Take a newer wish: purge or fill."""
        if generation <= self.status.observed_generation:
            return
        self.generation, self.spec = max(generation, self.generation), spec
        self.status = msgspec.structs.replace(
            self.status, observed_generation=generation, changed=now
        )
        self.changed = True
        self.improved = True
        self.happened(
            EventKind.CONFIG_CHANGED,
            now,
            {"setting": "mac_pool", "purged": spec.purged},
            actor=spec.actor or "anonymous",
            request_id=spec.request_id or self.id,
        )

    def refusal(self, wish: str | None) -> Reason | None:
        """Why a start has to wait: ``wish`` is an address, "" for any, None for none."""
        if wish is None:
            return None
        free = mac_number(wish) not in self._holders if wish else self._any_is_free()
        if free:
            return None
        self._refused = True
        return _IN_USE if wish else _NONE_FREE

    def take(self, wish: str | None) -> str:
        """The address for a start that is not refused. Held once the instance is settled."""
        if wish is None:
            return ""
        return wish or mac_text(self._free())

    def settle(self, instance: InstanceRecord) -> None:
        """Hold or give back, as the instance's status says."""
        if self._range is None:
            return
        status = instance.status
        seen = status.vminfo.mac_address if status.vminfo else ""
        address = mac_number(status.mac_address or seen) if status.live or status.lost else None
        before = self._held.get(instance.id)
        if before == address:
            return
        if before is not None:
            self._give_back(instance.id, before)
        if address is not None:
            self._hold(instance.id, address)

    def keep_forsaken(self, instance_id: str, node_id: str, mac_address: str) -> None:
        """The record goes, yet a VM with this address may be left on a silent node."""
        address = mac_number(mac_address)
        if self._range is None or address is None:
            return
        self._forsaken[instance_id] = node_id
        if instance_id not in self._held:
            self._hold(instance_id, address)

    def node_spoke(self, node_id: str, listed: Collection[str]) -> None:
        """A node has these instances and no others."""
        for instance_id in [one for one, node in self._forsaken.items() if node == node_id]:
            if instance_id not in listed:
                del self._forsaken[instance_id]
                self._give_back(instance_id, self._held[instance_id])

    def _any_is_free(self) -> bool:
        return (
            self._range is not None
            and not self.spec.purged
            and self._held_in_range < len(self._range)
        )

    def _free(self) -> int:
        """The next free address in turn, so that one given back rests as long as possible."""
        assert self._range is not None
        while self._next in self._holders:
            self._step()
        found = self._next
        self._step()
        return found

    def _step(self) -> None:
        assert self._range is not None
        self._next = self._next + 1 if self._next < self._range.last else self._range.first

    def _hold(self, instance_id: str, address: int) -> None:
        self._held[instance_id] = address
        holders = self._holders.setdefault(address, set())
        holders.add(instance_id)
        if len(holders) == 1 and self._range is not None and address in self._range:
            self._held_in_range += 1

    def _give_back(self, instance_id: str, address: int) -> None:
        del self._held[instance_id]
        holders = self._holders[address]
        holders.remove(instance_id)
        if holders:
            return
        del self._holders[address]
        if self._range is not None and address in self._range:
            self._held_in_range -= 1
        if self._refused:
            self._refused, self.improved = False, True


def a_new_pool(now: datetime) -> MacPoolDocument:
    """The pool before its first write."""
    status = MacPoolStatus(changed=now)
    return MacPoolDocument(id=POOL, created=now, spec=MacPoolSpec(), status=status)
