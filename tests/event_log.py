"""The event log as it is stored, and what must hold of it."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from chassis.store.port import Store
from contracts.events import EventDocument, EventKind

START = (EventKind.START_VM, EventKind.VM_STARTED)
LIFE = (*START, EventKind.TERMINATE_VM, EventKind.VM_TERMINATED)


async def read_log(store: Store) -> list[EventDocument]:
    """All of it, by sequence."""
    return await store.find("events", EventDocument, {}, sort=[("sequence", 1)])


def kinds_by_subject(log: Iterable[EventDocument]) -> dict[str, list[EventKind]]:
    """What happened to each instance, node or template, in order."""
    found: defaultdict[str, list[EventKind]] = defaultdict(list)
    for entry in log:
        found[entry.event.subject].append(entry.event.kind)
    return dict(found)


def without_holes(log: Sequence[EventDocument]) -> bool:
    """Whether the sequence counts from 1 and misses nothing."""
    return [entry.sequence for entry in log] == list(range(1, len(log) + 1))
