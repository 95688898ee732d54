"""How long one placement takes, by number of nodes: `make bench-placement ARGS="--nodes 100,1000"`.

Each decision places one instance of a mixed load (templates, groups, sizes, both capacity modes)
and every second one frees an older VM, so that the shelves move all the time. One process, no I/O,
the garbage collector as every service sets it. ``--waiting``: so many more fit nowhere meanwhile.
"""

import argparse
import random
import time
from datetime import UTC, datetime, timedelta

import msgspec

from chassis.service import calm_the_collector
from contracts.groups import GroupDocument
from contracts.instances import InstanceDocument, InstanceSpec, InstanceStatus, StartVM
from contracts.nodes import CachedTemplate, CapacityMode, NodeFacts, NodeHello, NodeUsage
from contracts.templates import TemplateRef
from contracts.vms import Overrides, VmGone
from scheduler.domain.instance import Instance
from scheduler.domain.limits import Limits, Moment
from scheduler.domain.macs import MacPool, a_new_pool
from scheduler.domain.weighers import Strategy
from scheduler.domain.world import World
from scheduler.handlers import HANDLERS
from tests.bench.facts import machine_facts

START = datetime(2031, 5, 4, 10, tzinfo=UTC)
TEMPLATES = [
    TemplateRef(
        id=f"t{n}", name=f"t{n}", tag="v1", version=0, arch="amd64", repository=f"t{n}",
        digest=f"sha256:{n}", cpu=2, ram_mb=2048,
    )
    for n in range(8)
]  # fmt: skip


class Run:
    """One fleet under one load."""

    def __init__(self, nodes: int, seed: int) -> None:
        self.random = random.Random(seed)
        pool = MacPool(a_new_pool(START), None)
        self.world = World(Limits(), "bench", 1, Strategy.SPREAD, pool)
        self.clock = 0.0
        self.numbers = 0
        self.placed: list[Instance] = []
        self.seconds: list[float] = []
        self.world.cluster.groups["g0"] = GroupDocument(id="g0", name="g0", fallback_group_id="g1")
        self.world.cluster.groups["g1"] = GroupDocument(id="g1", name="g1")
        for number in range(nodes):
            self._join(number)

    def queue(self, count: int) -> None:
        """So many wait for a group that has no node."""
        spec = InstanceSpec(template=TEMPLATES[0], group_id="nowhere")
        for number in range(count):
            status = InstanceStatus(changed=START)
            document = InstanceDocument(id=f"w{number}", created=START, spec=spec, status=status)
            self._say(StartVM(instance=document))

    def decide(self, count: int) -> None:
        """Place ``count`` instances one by one."""
        for number in range(count):
            self.numbers += 1
            document = self._instance(self.numbers)
            began = time.perf_counter()
            self._say(StartVM(instance=document))
            self.seconds.append(time.perf_counter() - began)
            instance = self.world.instances[document.id]
            if instance.status.live:
                self.placed.append(instance)
            if number % 2 and self.placed:
                self._free(self.placed.pop(self.random.randrange(len(self.placed))))

    def _say(self, message: object) -> None:
        self.clock += 0.001
        moment = Moment(START + timedelta(seconds=self.clock), self.clock)
        HANDLERS[type(message)](self.world, message, moment)  # type: ignore[index]
        self.world.place_waiting(moment)
        for taken in (self.world.changed, self.world.changed_nodes, self.world.orders):
            taken.clear()  # type: ignore[attr-defined]

    def _free(self, instance: Instance) -> None:
        instance.spec = msgspec.structs.replace(instance.spec, terminate=True)
        moment = Moment(START + timedelta(seconds=self.clock), self.clock)
        instance.terminate(moment.now)
        self._say(
            VmGone(
                node_id=instance.status.node_id, at=moment.now, instance_id=instance.id,
                attempt=instance.status.attempt,
            )
        )  # fmt: skip

    def _join(self, number: int) -> None:
        cached = self.random.sample(TEMPLATES, 3)
        facts = NodeFacts(
            name=f"n{number}",
            address="10.0.0.1",
            arch="amd64",
            capacity=4,
            capacity_mode=CapacityMode.RESOURCE if number % 2 else CapacityMode.NUMBER,
            vcpu_limit=16,
            ram_limit_gb=32,
            capabilities=("vcpu", "vram"),
            groups=(f"g{number % 2}",) if number % 3 else (),
            templates=tuple(
                CachedTemplate(id=t.id, name=t.name, tag=t.tag, digest=t.digest) for t in cached
            ),
        )
        self._say(NodeHello(node_id=f"n{number}", at=START, facts=facts, usage=NodeUsage()))

    def _instance(self, number: int) -> InstanceDocument:
        spec = InstanceSpec(
            template=self.random.choice(TEMPLATES),
            group_id=self.random.choice([None, None, "g0", "g1"]),
            priority=self.random.choice([0, 0, 10, 2000]),
            overrides=self.random.choice([Overrides(), Overrides(vcpu=4, vram=4096)]),
        )
        created = START + timedelta(milliseconds=number)
        return InstanceDocument(
            id=f"i{number}", created=created, spec=spec, status=InstanceStatus(changed=created)
        )


def main() -> None:
    """Measure each fleet size and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", default="100,1000,5000,20000")
    parser.add_argument("--decisions", type=int, default=5000)
    parser.add_argument("--waiting", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    calm_the_collector()
    rows = []
    for nodes in map(int, chosen.nodes.split(",")):
        run = Run(nodes, chosen.seed)
        run.queue(chosen.waiting)
        run.decide(chosen.decisions // 5)
        run.seconds.clear()
        rows.append(_figures(nodes, run, chosen.decisions))
        print(rows[-1])
    print(
        msgspec.json.encode(
            {"bench": "placement", "by_nodes": rows, "machine": machine_facts()}
        ).decode()
    )


def _figures(nodes: int, run: Run, decisions: int) -> dict[str, float]:
    run.decide(decisions)
    ordered = sorted(run.seconds)
    return {
        "nodes": nodes,
        "decisions_per_second": round(len(ordered) / sum(ordered)),
        "p50_ms": round(ordered[len(ordered) // 2] * 1000, 4),
        "p99_ms": round(ordered[len(ordered) * 99 // 100] * 1000, 4),
        "max_ms": round(ordered[-1] * 1000, 3),
        "placed": len(run.placed),
    }


if __name__ == "__main__":
    main()
