"""What time triggers, for all nodes of the process."""

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Iterable

from chassis.clock import Clock
from contracts.vms import VmPhase
from node_agent.journal import Journal
from node_agent.metrics import UNSETTLED, VMS
from node_agent.node import Node
from node_agent.vm import Vm


class HeartbeatWheel:
    """Has every node beat at its own pace, the first time at a random moment of its interval."""

    def __init__(self, nodes: Iterable[Node], clock: Clock) -> None:
        self._clock = clock
        self._count = itertools.count()
        now = clock.monotonic()
        self._due = [
            (now + random.random() * node.heartbeat, next(self._count), node)  # noqa: S311 -- spreads load
            for node in nodes
        ]
        heapq.heapify(self._due)

    async def turn(self) -> None:
        """Begin the heartbeats that are due."""
        now = self._clock.monotonic()
        while self._due and self._due[0][0] <= now:
            _, _, node = self._due[0]
            node.beat()
            heapq.heapreplace(self._due, (now + node.heartbeat, next(self._count), node))


class Watch:
    """Enforces the deadlines of what is unsettled, and forgets what is over."""

    def __init__(self, nodes: Iterable[Node], unsettled: set[Vm], journal: Journal) -> None:
        self._nodes = tuple(nodes)
        self._journal = journal
        self._unsettled = unsettled

    async def look(self) -> None:
        """Look at every VM that some deadline watches; write what no one waits for."""
        self._journal.flush()
        UNSETTLED.set(len(self._unsettled))
        phases = Counter(vm.phase for node in self._nodes for vm in node.vms)
        for phase in VmPhase:
            VMS.labels(phase.value).set(phases[phase])
        for vm in tuple(self._unsettled):
            vm.watch()

    async def forget(self) -> None:
        """Drop tombstones and failures whose time is over."""
        for node in self._nodes:
            node.vms.forget_old()
