"""What must hold whatever was killed: the hypervisors' own records decide."""

from collections import defaultdict

from node_agent.drivers.simulated_host import HistoryLine
from tests.cloud import Cloud


def doubles(history: list[HistoryLine]) -> list[str]:
    """Instances that had two running VMs at one time."""
    running: defaultdict[str, set[str]] = defaultdict(set)
    found: list[str] = []
    for line in history:
        vms = running[line.instance_id]
        if line.verb == "start":
            vms.add(line.name)
        elif line.verb in {"delete", "lose", "stop"}:
            vms.discard(line.name)
        if len(vms) > 1:
            found.append(line.instance_id)
    return found


def scripts_begun_twice(history: list[HistoryLine]) -> list[str]:
    """Instances whose startup script was begun more than once."""
    seen: set[str] = set()
    found: list[str] = []
    for line in history:
        if line.verb == "script":
            if line.instance_id in seen:
                found.append(line.instance_id)
            seen.add(line.instance_id)
    return found


async def assert_sound(cloud: Cloud, started: set[str]) -> None:
    """Exactly these instances have a VM, one each, and nothing else has or had two at once."""
    history = cloud.history()
    assert doubles(history) == []
    assert scripts_begun_twice(history) == []
    live = cloud.live_vms()
    assert set(live) == started
    assert all(len(vms) == 1 for vms in live.values())
    documents = await cloud.documents()
    assert {i for i, d in documents.items() if d.status.live} == started
