"""How long the gateway is held up by a scrape of the public exporter's metrics.

``make bench-scrape ARGS="--nodes 1000 --instances 10000"``; the last line is JSON.
"""

import argparse
import statistics
import time
from datetime import UTC, datetime

import msgspec

from api_gateway.exporter.exporter import Exporter
from api_gateway.projection import Projection
from api_gateway.registry_client import Registry, RegistryDisk
from chassis.clock import SystemClock
from contracts.groups import GroupDocument
from contracts.instances import InstanceState
from tests.bench.facts import machine_facts
from tests.cloud import a_template
from tests.unit.api_gateway.documents import instance_spec, instance_status, node_spec, node_status

_GROUPS = 10
_ROUNDS = 20


def filled(nodes: int, instances: int) -> Projection:
    """A cloud in memory: every instance runs on some node, every node is in some group."""
    projection, now = Projection(SystemClock()), datetime.now(UTC)
    projection.groups.replace(GroupDocument(id=f"g{n}", name=f"group {n}") for n in range(_GROUPS))
    projection.templates.stored(a_template())
    for number in range(nodes):
        wish = node_spec(groups=(f"g{number % _GROUPS}",))
        world = node_status(facts={"name": f"mini-{number}", "capacity": 10})
        projection.nodes.merge(f"node-{number:032}", now, (1, wish), (1, world))
    for number in range(instances):
        status = instance_status(
            state=InstanceState.STARTED,
            live=True,
            was_started=True,
            node_id=f"node-{number % nodes:032}",
        )
        spec = instance_spec(group_id=f"g{number % _GROUPS}")
        projection.instances.merge(f"vm-{number:034}", now, (1, spec), (1, status))
    return projection


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--instances", type=int, default=10_000)
    chosen = parser.parse_args()
    registry = Registry("http://127.0.0.1:9", 1)
    registry.disk = RegistryDisk(free=1, total=2)
    projection = filled(chosen.nodes, chosen.instances)
    seconds, page = [], b""
    for _ in range(_ROUNDS):
        exporter = Exporter(projection, registry, SystemClock())
        began = time.perf_counter()
        page = exporter()
        seconds.append(time.perf_counter() - began)
    figures = {
        "bench": "scrape",
        "nodes": chosen.nodes,
        "instances": chosen.instances,
        "series": sum(not line.startswith(b"#") for line in page.splitlines()),
        "bytes": len(page),
        "median_ms": round(1000 * statistics.median(seconds), 1),
        "slowest_ms": round(1000 * max(seconds), 1),
    }
    print(msgspec.json.encode(figures | {"machine": machine_facts()}).decode())


if __name__ == "__main__":
    main()
