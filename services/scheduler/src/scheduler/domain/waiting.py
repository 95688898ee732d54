"""Who waits for a node: equal requests in one line, lines tried in the order of their heads."""

import heapq
from collections.abc import Iterator
from datetime import datetime

from contracts.instances import Reason
from scheduler.domain.instance import Instance
from scheduler.domain.request import Request

Order = tuple[int, datetime, str]


class Line:
    """Instances with one request, best first. ``parked``: the reasons why its head waits."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.heap: list[tuple[Order, int, Instance]] = []
        self.parked: tuple[Reason, ...] | None = None

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
        if line.parked is None:
            self._announce(line)
        return line

    def next(self) -> Line | None:
        """The line whose head is to be placed now."""
        while self._ready:
            order, _, line = self._ready[0]
            head = line.head()
            if head is None or line.parked is not None or head.order != order:
                heapq.heappop(self._ready)
                if head is None and self._lines.get(line.request) is line:
                    del self._lines[line.request]
                elif head is not None and line.parked is None and head.order > order:
                    self._announce(line)
                continue
            return line
        return None

    def taken(self, line: Line) -> None:
        """The head of the line got a node."""
        heapq.heappop(line.heap)

    def park(self, line: Line, reasons: tuple[Reason, ...]) -> None:
        """No node takes the head, hence none of the line."""
        line.parked = reasons

    def wake(self, archs: set[str]) -> None:
        """Nodes of these architectures can take more: try the lines they may serve again."""
        for line in self._lines.values():
            if line.parked is not None and (not line.request.arch or line.request.arch in archs):
                line.parked = None
                self._announce(line)

    def wake_all(self) -> None:
        """Groups changed: try every line again."""
        for line in self._lines.values():
            if line.parked is not None:
                line.parked = None
                self._announce(line)

    def _announce(self, line: Line) -> None:
        if head := line.head():
            self._count += 1
            heapq.heappush(self._ready, (head.order, self._count, line))
