"""The host ports of a simulated host, and the addresses of its guests."""

from collections.abc import Iterable, Sequence

from contracts.vms import PortForward, PortRule
from node_agent.drivers.port import HostFault

_FIRST = 10000
_SSH = PortRule(name="ssh", guest_port=22)


class HostPorts:
    """Who has which port; a rule without one gets the next free from 10000 on."""

    def __init__(self, taken: Iterable[PortForward]) -> None:
        self._taken = {forward.host_port for forward in taken}

    def forward(self, rules: Sequence[PortRule] | None) -> tuple[PortForward, ...]:
        """Take ports for the rules (None: ``ssh`` alone). HostFault when one is in use."""
        wished: set[int] = set()
        forwards = []
        for rule in (_SSH,) if rules is None else rules:
            port = rule.host_port or self._next(wished)
            if port in self._taken or port in wished:
                raise HostFault(f"host port {port} is in use")
            wished.add(port)
            forwards.append(PortForward(name=rule.name, guest_port=rule.guest_port, host_port=port))
        self._taken |= wished
        return tuple(forwards)

    def free(self, forwards: Iterable[PortForward]) -> None:
        """Give ports back."""
        self._taken.difference_update(forward.host_port for forward in forwards)

    def _next(self, wished: set[int]) -> int:
        port = _FIRST
        while port in self._taken or port in wished:
            port += 1
        return port


class Addresses:
    """Hands out one address after the other, from the beginning again after the last."""

    def __init__(self) -> None:
        self._last = 1

    def next(self) -> str:
        """The address of the next guest that boots."""
        self._last = self._last % 253 + 1
        return f"192.168.64.{self._last + 1}"
