"""What simulated hosts really have and had: the oracle of tests that kill agents."""

import functools
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from node_agent.drivers.simulated_host import HistoryLine, SimulatedVm, read_history
from tests.waiting import until

T = TypeVar("T")

_GONE = frozenset({"delete", "lose"})


def hosts(data: Path) -> list[Path]:
    """The folders of the simulated nodes of one agent, given its data directory."""
    root = data / "simulated"
    return [entry for entry in sorted(root.iterdir()) if entry.is_dir()] if root.exists() else []


async def live_vms(*agents: Path) -> Counter[str]:
    """Instance id to how many VMs hosts have of it now, from their files."""
    found: Counter[str] = Counter()
    for data in agents:
        for host in hosts(data):
            for file in host.glob("*.json"):
                if vm := await _whole(functools.partial(_vm_of, file)):
                    found[vm.instance_id] += 1
    return found


def _vm_of(file: Path) -> SimulatedVm | None:
    """The VM; None when it is not made yet, or gone."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return None
    return msgspec.json.decode(content, type=SimulatedVm) if content else None


async def _whole(read: Callable[[], T]) -> T:
    """What is read, again when its agent was writing just then."""

    def attempt() -> tuple[T] | None:
        try:
            return (read(),)
        except msgspec.DecodeError:
            return None

    found = await until(attempt, 1.0)
    assert found
    return found[0]


async def history(*agents: Path) -> list[HistoryLine]:
    """Everything that was done to VMs, on all hosts together, oldest first."""
    lines = [
        line
        for data in agents
        for host in hosts(data)
        for line in await _whole(functools.partial(read_history, host))
    ]
    return sorted(lines, key=lambda line: line.at)


async def doubles(*agents: Path) -> dict[str, set[str]]:
    """Instances of which two VMs existed at one time, with the VMs' names."""
    existing: defaultdict[str, set[str]] = defaultdict(set)
    found: dict[str, set[str]] = {}
    for line in await history(*agents):
        vms = existing[line.instance_id]
        if line.verb in _GONE:
            vms.discard(line.name)
        elif line.verb == "clone":
            vms.add(line.name)
        if len(vms) > 1:
            found.setdefault(line.instance_id, set()).update(vms)
    return found
