"""Faults on request: what a simulated host gets wrong, and when."""

import asyncio
from collections import Counter
from collections.abc import Sequence

from node_agent.drivers.port import CannotHonour, DriverError, HostFault, NoSpace
from node_agent.drivers.simulated_host import Fault, FaultKind

_RAISES: dict[FaultKind, type[DriverError]] = {
    FaultKind.HOST_FAULT: HostFault,
    FaultKind.CANNOT_HONOUR: CannotHonour,
    FaultKind.NO_SPACE: NoSpace,
}


class Faults:
    """Counts the calls of each verb and strikes those it was asked to."""

    def __init__(self, wished: Sequence[Fault]) -> None:
        self._wished = tuple(wished)
        self.calls: Counter[str] = Counter()

    async def strike(self, verb: str) -> FaultKind | None:
        """Raise or hang when a fault is due, else tell what is due after the verb."""
        if not self._wished:
            return None
        self.calls[verb] += 1
        call = self.calls[verb]
        due = [f.kind for f in self._wished if f.verb == verb and f.strikes(call)]
        kind = due[0] if due else None
        if kind is FaultKind.HANG:
            await asyncio.get_running_loop().create_future()
        if kind in _RAISES:
            raise _RAISES[kind](f"simulated {kind} of {verb} number {call}")
        return kind
