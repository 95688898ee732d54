"""Who waits for a node: equal requests of one owner in one line, the most deserving line first.

Priority decides, then which owner holds least, then age. Who has waited for very long goes before
all of these, in order of age, so that nobody is overtaken for ever.
"""

import heapq
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from contracts.instances import Reason
from scheduler.domain.instance import Instance
from scheduler.domain.request import Request
from scheduler.domain.shares import QUOTA, owner_of

Order = tuple[int, datetime, str]
"""Priority (0: aged), age, id."""

Rank = tuple[int, int, datetime, str]
"""Priority, what the owner holds, age, id."""


_NOBODY: Order = (0, datetime.min.replace(tzinfo=UTC), "")


class Line:
    """Instances of one owner with one request, best first.

    ``parked``: the reasons why its head waits. ``announced``: the head that is among those ready.
    """

    def __init__(self, owner: str, request: Request) -> None:
        self.owner = owner
        self.request = request
        self.heap: list[tuple[Order, int, Instance]] = []
        self.parked: tuple[Reason, ...] | None = None
        self.announced: Order | None = None
        self._told: tuple[str, ...] = ()
        self._untold: list[Instance] = []

    def push(self, instance: Instance, number: int) -> None:
        """Queue up; ``number`` only keeps equals apart."""
        heapq.heappush(self.heap, (instance.order, number, instance))
        self._untold.append(instance)

    def head(self) -> Instance | None:
        """The next to be placed; those that no longer wait are dropped."""
        while self.heap and not self.heap[0][2].waiting:
            heapq.heappop(self.heap)
        return self.heap[0][2] if self.heap else None

    def park(self, reasons: tuple[Reason, ...]) -> list[Instance]:
        """No node takes the head, hence none of the line; those who do not know why yet."""
        told = tuple(reason.filter for reason in reasons)
        news: Iterable[Instance] = (instance for *_, instance in self.heap)
        if told == self._told:
            news = self._untold
        self.parked, self._told, self._untold = reasons, told, []
        return [instance for instance in news if instance.waiting]

    def may_be_helped(self, archs: set[str], owners: set[str]) -> bool:
        """Whether more room on these architectures, or for these owners, can change its reasons."""
        if self.parked is None:
            return False
        if any(reason.filter == QUOTA for reason in self.parked):
            return self.owner in owners
        return not self.request.arch or self.request.arch in archs


class _Owner:
    """The ready lines of one owner; ``announced``: its place among the owners."""

    def __init__(self) -> None:
        self.ready: list[tuple[Order, int, Line]] = []
        self.announced: Rank | None = None


class Waiting:
    """All lines. A refused line blocks no other; a decision costs the logarithm of the lines.

    ``held``: how many instances an owner holds.
    """

    def __init__(self, held: Callable[[str], int]) -> None:
        self._held = held
        self._lines: dict[tuple[str, Request], Line] = {}
        self._owners: dict[str, _Owner] = {}
        self._ready: list[tuple[Rank, int, str]] = []
        self._count = 0

    def add(self, instance: Instance, request: Request) -> Line:
        """Queue up; returns the line, which may be parked."""
        owner = owner_of(instance.spec)
        line = self._lines.get((owner, request))
        if line is None:
            line = self._lines[owner, request] = Line(owner, request)
        line.push(instance, self._number())
        self._offer(line)
        return line

    def age(self, before: datetime) -> None:
        """Who was asked for before this moment goes before all others from now on.

        A member of a pool never does: nobody has asked for it. Looks at all who wait.
        """
        for line in list(self._lines.values()):
            for *_, instance in list(line.heap):
                if instance.created <= before and instance.waiting and instance.may_age:
                    instance.aged = True
                    line.push(instance, self._number())
            self._offer(line)

    def next(self) -> Line | None:
        """The line whose head is to be placed now: take it or park it."""
        while self._ready:
            rank, _, name = heapq.heappop(self._ready)
            owner = self._owners.get(name)
            if owner is None or owner.announced != rank:
                continue
            owner.announced = None
            line = self._first(owner)
            if line is None:
                self._owners.pop(name, None)
            elif self._rank(line) == rank:
                return line
            else:
                self._offer(line)
        return None

    def taken(self, line: Line) -> None:
        """The head of the line got a node."""
        heapq.heappop(line.heap)
        self._offer(line)

    def park(self, line: Line, reasons: tuple[Reason, ...]) -> list[Instance]:
        """No node takes the head, hence none of the line; those who do not know why yet."""
        self._announce(line.owner)
        return line.park(reasons)

    def wake(self, archs: set[str], owners: set[str]) -> None:
        """Nodes of these architectures can take more, these owners hold less: try again."""
        self._wake(lambda line: line.may_be_helped(archs, owners))

    def wake_for_address(self) -> None:
        """MAC addresses are free again: try the lines that need one."""
        self._wake(lambda line: line.parked is not None and line.request.mac_address is not None)

    def wake_all(self) -> None:
        """Groups changed: try every line again."""
        self._wake(lambda line: line.parked is not None)

    def _wake(self, wanted: Callable[[Line], bool]) -> None:
        for line in list(self._lines.values()):
            if wanted(line):
                line.parked = None
                self._offer(line)

    def _first(self, owner: _Owner) -> Line | None:
        """Take the owner's best line out of those ready."""
        while owner.ready:
            order, _, line = heapq.heappop(owner.ready)
            if line.announced != order:
                continue
            line.announced = None
            head = line.head()
            if head is not None and head.order == order and line.parked is None:
                return line
            self._offer(line)
        return None

    def _offer(self, line: Line) -> None:
        """Have the line's head among those ready, once; a line without one goes."""
        head = line.head()
        if head is None:
            self._lines.pop((line.owner, line.request), None)
        elif line.parked is None and (line.announced is None or head.order < line.announced):
            line.announced = head.order
            owner = self._owners.setdefault(line.owner, _Owner())
            heapq.heappush(owner.ready, (head.order, self._number(), line))
        self._announce(line.owner)

    def _announce(self, name: str) -> None:
        """Have the owner among those with a line ready, once."""
        owner = self._owners.get(name)
        if owner is None:
            return
        if not owner.ready:
            if owner.announced is None:
                del self._owners[name]
            return
        rank = self._rank(owner.ready[0][2])
        if owner.announced is None or rank < owner.announced:
            owner.announced = rank
            heapq.heappush(self._ready, (rank, self._number(), name))

    def _rank(self, line: Line) -> Rank:
        head = line.head()
        priority, created, identity = head.order if head else _NOBODY
        return priority, self._held(line.owner) if priority else 0, created, identity

    def _number(self) -> int:
        self._count += 1
        return self._count
