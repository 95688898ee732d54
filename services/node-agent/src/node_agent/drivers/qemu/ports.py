"""Host ports for forwarding: chosen here, but taken by QEMU, whose word is the last."""

import errno
import re
import socket
from collections.abc import Collection, Sequence

from contracts.vms import PortRule
from node_agent.drivers.port import HostFault

_REFUSED = re.compile(r"Could not set up host forwarding rule 'tcp:[^:]*:(?P<port>\d+)-")


def choose(
    rules: Sequence[PortRule],
    before: Sequence[int],
    taken: Collection[int],
    candidates: range,
    bind: str,
) -> tuple[int, ...]:
    """A host port for each rule: the fixed one, the one it had ``before``, or the next free.

    ``taken`` belong to other VMs. HostFault when a fixed one is taken or none is free.
    """
    chosen: list[int] = []
    for position, rule in enumerate(rules):
        used = {*taken, *chosen}
        had = before[position] if position < len(before) else 0
        if rule.host_port:
            if rule.host_port in used:
                raise in_use(rule.host_port)
            chosen.append(rule.host_port)
        elif had and had not in used:
            chosen.append(had)
        else:
            fixed = {other.host_port for other in rules}
            chosen.append(_next_free(used | fixed, candidates, rule.host_ip or bind))
    return tuple(chosen)


def refused(complaint: str) -> int | None:
    """The port that QEMU could not take, if that is what it complained of."""
    found = _REFUSED.search(complaint)
    return int(found["port"]) if found else None


def in_use(port: int) -> HostFault:
    """What a start that insists on a taken port fails with."""
    return HostFault(f"failed to start: port {port} is in use")


def _next_free(used: Collection[int], candidates: range, address: str) -> int:
    for port in candidates:
        if port not in used and _free(address, port):
            return port
    raise HostFault("failed to start: no free port is left for forwarding")


def _free(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise HostFault(f"failed to start: {address} is no address of this host") from None
            return False
    return True
