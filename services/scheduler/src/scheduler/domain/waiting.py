"""Who waits for a node: equal requests in one line, lines tried in the order of their heads."""

import heapq
from collections.abc import Callable, Iterator
from datetime import datetime

from contracts.instances import Reason
from scheduler.domain.instance import Instance
from scheduler.domain.request import Request

Order = tuple[int, datetime, str]


class Line:
    """Instances with one request, best first.

    ``parked``: the reasons why its head waits. ``announced``: the head that is among those ready.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        self.heap: list[tuple[Order, int, Instance]] = []
        self.parked: tuple[Reason, ...] | None = None
        self.announced: Order | None = None

    def head(self) -> Instance | None:
        """The next to be placed; those that no longer wait are dropped."""
        while self.heap and not self.heap[0][2].waiting:
            heapq.heappop(self.heap)
        return self.heap[0][2] if self.heap else None

    def instances(self) -> Iterator[Instance]:
        """All that still wait in it, in no order."""
        return (instance for *_, instance in self.heap if instance.waiting)


class Waiting:
    """Priority across lines, first come first served within; a refused line blocks no other."""

    def __init__(self) -> None:
        self._lines: dict[Request, Line] = {}
        self._ready: list[tuple[Order, int, Line]] = []
        self._count = 0

    def add(self, instance: Instance, request: Request) -> Line:
        """Queue up; returns the line, which may be parked."""
        line = self._lines.get(request)
        if line is None:
            line = self._lines[request] = Line(request)
        self._count += 1
        heapq.heappush(line.heap, (instance.order, self._count, instance))
        self._announce(line)
        return line

    def next(self) -> Line | None:
        """The line whose head is to be placed now: take it or park it."""
        while self._ready:
            order, _, line = heapq.heappop(self._ready)
            if line.announced != order:
                continue
            line.announced = None
            head = line.head()
            if head is None:
                del self._lines[line.request]
            elif head.order == order and line.parked is None:
                return line
            else:
                self._announce(line)
        return None

    def taken(self, line: Line) -> None:
        """The head of the line got a node."""
        heapq.heappop(line.heap)
        if line.head() is None:
            del self._lines[line.request]
        else:
            self._announce(line)

    def park(self, line: Line, reasons: tuple[Reason, ...]) -> None:
        """No node takes the head, hence none of the line."""
        line.parked = reasons

    def wake(self, archs: set[str]) -> None:
        """Nodes of these architectures can take more: try the lines they may serve again."""
        self._wake(lambda request: not request.arch or request.arch in archs)

    def wake_for_address(self) -> None:
        """MAC addresses are free again: try the lines that need one."""
        self._wake(lambda request: request.mac_address is not None)

    def wake_all(self) -> None:
        """Groups changed: try every line again."""
        self._wake(lambda _: True)

    def _wake(self, may_help: Callable[[Request], bool]) -> None:
        for line in list(self._lines.values()):
            if line.parked is None or not may_help(line.request):
                continue
            line.parked = None
            if line.head() is None:
                del self._lines[line.request]
            else:
                self._announce(line)

    def _announce(self, line: Line) -> None:
        """Have the line's head among those ready, once."""
        head = line.head()
        if head is None or line.parked is not None:
            return
        if line.announced is None or head.order < line.announced:
            line.announced = head.order
            self._count += 1
            heapq.heappush(self._ready, (head.order, self._count, line))
