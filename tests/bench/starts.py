"""From POST to Started, everything real but the hypervisor: `make bench-starts ARGS="…"`.

Private mongod and RabbitMQ, the five services and an agent with simulated nodes as processes of
their own, event log and one webhook on, journals fsynced. One POST per instance from a load
generator in its own process; every Started is checked at the simulated hypervisors. The last
line is one JSON object; nothing is asserted on time.
"""

import argparse
import pstats
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pymongo
import uvloop

from chassis.store.mongo import MongoStore
from contracts.artifacts import TemplateConfig
from contracts.events import EventDocument, EventKind
from contracts.instances import InstanceDocument, InstanceState
from corral.registry import RegistryClient, repository_of_name
from node_agent.drivers.simulated_host import SimulatedVm
from tests.bench.facts import machine_facts
from tests.bench.fleet import BIN, Fleet, Member
from tests.bench.http_load import percentiles
from tests.ports import free_port
from tests.registries import push, qcow2
from tests.waiting import until

TAG = "v1"
DATABASE = "corral"
_POLL = 1.0
_LIMIT = 900.0


class Bench:
    """One run."""

    def __init__(self, chosen: argparse.Namespace, folder: Path) -> None:
        self.chosen = chosen
        self.fleet = Fleet(folder, chosen.profile)
        self.began = time.perf_counter()
        self.phases: dict[str, float] = {}
        self.gateways = [f"http://127.0.0.1:{free_port()}" for _ in range(chosen.gateways)]
        self.registry = f"http://127.0.0.1:{free_port()}"
        self.repository = repository_of_name("bench")

    async def run(self) -> dict[str, object]:
        """All phases; the report."""
        await self._phase("servers", self.fleet.start_servers)
        await self._phase("services", self._services)
        await self._phase("template", self._template)
        await self._phase("nodes", self._nodes)
        before = self._meters()
        counters = await self.fleet.counters()
        load = await self._phase("posts", self._load)
        await self._phase("started", self._all_started)
        after = self._meters()
        await self._phase("webhooks", self._all_pushed)
        meters = (before, after), (counters, await self.fleet.counters())
        return await self._report(load, *meters)

    async def _phase(self, name: str, work: Callable[[], Awaitable[msgspec.Struct | dict | None]]):
        began = time.perf_counter()
        result = await work()
        self.phases[name] = round(time.perf_counter() - began, 2)
        print(f"{time.perf_counter() - self.began:8.2f} s  {name}: {self.phases[name]} s")
        return result

    async def _services(self) -> None:
        sink_port = free_port()
        self.fleet.add_tool("sink", [sys.executable, "-m", "tests.bench.sink", str(sink_port)])
        log = self.fleet.folder / "event.log"
        await self.fleet.add(
            "event-pusher",
            [BIN / "corral-event-pusher"],
            event_log_url=f"http://127.0.0.1:{sink_port}/events",
            event_log_path=log,
        )
        await self.fleet.add(
            "registry",
            [BIN / "corral-registry"],
            listen_port=self.registry.rpartition(":")[2],
            base_path=self.fleet.folder / "registry" / "data",
            public_address=self.registry,
        )
        await self.fleet.add("scheduler", [BIN / "corral-scheduler"])
        for number, address in enumerate(self.gateways):
            await self.fleet.add(
                f"gateway-{number}" if number else "gateway",
                [BIN / "corral-gateway"],
                listen_port=address.rpartition(":")[2],
                registry_address=self.registry,
            )

    async def _template(self) -> None:
        async with RegistryClient(self.registry) as client:
            config = TemplateConfig(name="bench")
            await push(client, self.repository, TAG, [qcow2()], config)
        for gateway in self.gateways:
            await until(
                lambda url=f"{gateway}/api/v1/registry/vm": self._count(url, self.repository), 30
            )

    async def _nodes(self) -> None:
        chosen = self.chosen
        capacity = -(-chosen.instances // chosen.nodes) + 2
        flags = ["--shared-queue"] if chosen.shared_queues else []
        for number in range(chosen.agents):
            await self.fleet.add(
                f"agent-{number}" if number else "agent",
                [
                    *(BIN / "corral-agent", "join", self.fleet.rabbitmq.url),
                    *("--driver", "simulated", "--nodes", str(chosen.nodes // chosen.agents)),
                    *("--data", self.fleet.folder / "agents" / str(number)),
                    *("--name", f"agent{number}", "--max-vm-count", str(capacity), *flags),
                ],
                wait=False,
            )
        nodes = chosen.nodes // chosen.agents * chosen.agents
        for gateway in self.gateways:
            await until(lambda url=gateway: self._active(url, nodes), 300, every=_POLL)

    async def _active(self, gateway: str, nodes: int) -> bool:
        self._all_alive()
        return await self._count(f"{gateway}/api/v1/node", '"state":"Active"') >= nodes

    async def _load(self) -> dict[str, object]:
        chosen = self.chosen
        body = msgspec.json.encode({"vmid": self.repository, "tag": TAG}).decode()
        argv = [sys.executable, "-m", "tests.bench.http_load", "--body", body]
        for gateway in self.gateways:
            argv += ["--url", f"{gateway}/api/v1/vm"]
        argv += ["--count", str(chosen.instances), "--connections", str(chosen.connections)]
        argv += ["--rate", str(chosen.rate)] if chosen.rate else []
        member = Member("load", self.fleet.folder / "load")
        member.start([*argv], {})
        try:
            await until(member.report, _LIMIT, every=0.1)
        finally:
            member.kill()
        report: dict[str, object] = member.report()
        assert not report["not_ok"], report
        return report

    async def _all_started(self) -> None:
        url = f"{self.gateways[0]}/api/v1/vm"
        needle = f'"instance_state":"{InstanceState.STARTED}"'

        async def all_there() -> bool:
            self._all_alive()
            found = await self._count(url, needle)
            print(f"{time.perf_counter() - self.began:8.2f} s    Started: {found}")
            return found >= self.chosen.instances

        await until(all_there, _LIMIT, every=_POLL)

    async def _all_pushed(self) -> None:
        async def pushed() -> bool:
            counters = (await self.fleet.counters())["event-pusher"]
            logged = counters.get("corral_events_logged_total", 0)
            sent = counters.get("corral_event_deliveries_total", 0)
            return logged >= 2 * self.chosen.instances and sent >= logged

        await until(pushed, 120, every=0.2)

    async def _count(self, url: str, needle: str) -> int:
        async with self.fleet.http.get(url) as answer:
            return (await answer.read()).count(needle.encode())

    def _all_alive(self) -> None:
        for member in self.fleet.members:
            assert member.pid

    def _meters(self) -> dict[str, object]:
        return {"cpu": self.fleet.cpu_seconds(), "mongo": _mongo_writes(self.fleet.mongod.url)}

    async def _report(self, load, meters, counters) -> dict[str, object]:
        instances = self.chosen.instances
        store = MongoStore(self.fleet.mongod.url, DATABASE)
        documents = await store.find("instances", InstanceDocument, {})
        events = await store.find(
            "events", EventDocument, {"event.kind": EventKind.VM_STARTED}, sort=[("sequence", 1)]
        )
        last = await store.find("events", EventDocument, {}, sort=[("sequence", -1)], limit=1)
        assert await store.count("events", {}) == last[0].sequence, "the event log has holes"
        await store.stop()
        started = {document.event.subject: document.event.at for document in events}
        created = {document.id: document.created for document in documents}
        assert started.keys() == created.keys(), "not one VMStarted per instance"
        self._check_driver(set(created))
        waits = [(started[key] - created[key]).total_seconds() for key in created]
        seconds = max(started.values()).timestamp() - load["began"]
        before, after = meters
        return {
            "bench": "starts",
            "nodes": self.chosen.nodes,
            "instances": instances,
            "shared_queues": self.chosen.shared_queues,
            "gateways": self.chosen.gateways,
            "agents": self.chosen.agents,
            "rate": self.chosen.rate or None,
            "starts_per_second": round(instances / seconds, 1),
            "accept_to_started_ms": percentiles(waits),
            "post_ms": load["latency_ms"],
            "phases_s": self.phases,
            "cpu_us_per_start": _per(instances, before["cpu"], after["cpu"], 1e6),
            "mongo_per_start": _per(instances, before["mongo"], after["mongo"]),
            "counters_per_start": {
                name: _per(instances, counters[0].get(name, {}), found)
                for name, found in counters[1].items()
            },
            "rss_mib": self.fleet.rss_mib(),
            "machine": machine_facts(),
        }

    def _check_driver(self, ids: set[str]) -> None:
        """Each instance has one running VM at the simulated hypervisors, and nobody else has."""
        found: list[str] = []
        for path in (self.fleet.folder / "agents").rglob("*.json"):
            vm = msgspec.json.decode(path.read_bytes(), type=SimulatedVm)
            assert vm.info.status == "running", f"{path}: {vm.info.status}"
            found.append(vm.instance_id)
        assert len(found) == len(set(found)), "an instance has two VMs"
        assert set(found) == ids, f"{len(found)} VMs for {len(ids)} instances"


def _mongo_writes(url: str) -> dict[str, float]:
    with pymongo.MongoClient(url) as client:
        status = client.admin.command("serverStatus")
    documents = status["metrics"]["document"]
    return {
        "transactions": status["transactions"]["totalCommitted"],
        "documents_inserted": documents["inserted"],
        "documents_updated": documents["updated"],
        "documents_deleted": documents["deleted"],
        "commands": status["opcounters"]["command"],
        "queries": status["opcounters"]["query"],
        "journal_syncs": status["wiredTiger"]["log"]["log sync operations"],
    }


def _per(
    count: int, before: dict[str, float], after: dict[str, float], scale: float = 1.0
) -> dict[str, float]:
    moved = {name: (value - before.get(name, 0)) * scale / count for name, value in after.items()}
    return {name: round(value, 3 if scale == 1 else 1) for name, value in moved.items() if value}


async def measure(chosen: argparse.Namespace) -> dict[str, object]:
    """One run in a folder of its own, which goes unless ``--keep``."""
    folder = Path(tempfile.mkdtemp(prefix="corral-bench-"))
    bench = Bench(chosen, folder)
    try:
        return await bench.run()
    finally:
        await bench.fleet.stop()
        if chosen.profile:
            pstats.Stats(str(bench.fleet.profile)).sort_stats("tottime").print_stats(40)
        if chosen.keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--instances", type=int, default=5000)
    parser.add_argument("--shared-queues", action="store_true")
    parser.add_argument("--rate", type=float, default=0.0, help="POSTs per second, 0: as fast")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--gateways", type=int, default=1)
    parser.add_argument("--agents", type=int, default=1)
    parser.add_argument("--profile", default="", help="scheduler, gateway, … under cProfile")
    parser.add_argument("--keep", action="store_true", help="keep logs and data")
    print(msgspec.json.encode(uvloop.run(measure(parser.parse_args()))).decode())


if __name__ == "__main__":
    main()
