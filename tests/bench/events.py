"""From an event to signed webhooks: `make bench-events ARGS="…"`.

Private mongod and RabbitMQ, one event-pusher and one receiver as processes of their own. Events
are said as their owners say them, so a delivery counts from the state change: bus, event log,
signature, POST. Three runs: as fast as it goes; at a steady rate; the same while some endpoints
never answer. A sample of the requests is verified with `standardwebhooks`. Nothing is asserted
on time.
"""

import argparse
import asyncio
import base64
import shutil
import sys
import tempfile
import time
import uuid
from pathlib import Path

import msgspec
import pymongo
import uvloop
from standardwebhooks import Webhook

from chassis.bus.amqp import AmqpBus
from chassis.clock import SystemClock
from chassis.store.mongo import MongoStore
from contracts.webhooks import EndpointDocument, EndpointSpec, EndpointStatus, Mode, Secret
from tests.bench.facts import machine_facts
from tests.bench.fleet import BIN, Fleet
from tests.bench.hook_sink import Notes
from tests.bench.http_load import percentiles
from tests.ports import free_port
from tests.pushing import an_event, publish, said
from tests.waiting import until

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
DATABASE = "corral"
_BATCH = 64
_LIMIT = 300.0


class Run(msgspec.Struct):
    """One run: when each event was said, by its id, and how much processor time it took."""

    said: dict[str, float] = {}
    cpu: dict[str, float] = {}


class Bench:
    """One event-pusher with its endpoints, and the runs."""

    def __init__(self, chosen: argparse.Namespace, folder: Path, *, hanging: int) -> None:
        self.chosen = chosen
        self.fleet = Fleet(folder)
        self.port = free_port()
        self.notes = folder / "notes.json"
        self.hanging = hanging

    async def start(self) -> None:
        """Servers, receiver, endpoints, event-pusher."""
        await self.fleet.start_servers()
        self.sink = self.fleet.add_tool(
            "sink",
            [sys.executable, "-m", "tests.bench.hook_sink", str(self.port), str(self.notes)],
        )
        store = MongoStore(self.fleet.mongod.url, DATABASE)
        await store.insert("endpoints", [self._endpoint(n) for n in range(self.chosen.endpoints)])
        await store.stop()
        await self.fleet.add(
            "event-pusher", [BIN / "corral-event-pusher"], webhook_networks="loopback"
        )
        self.bus = AmqpBus(self.fleet.rabbitmq.url, SystemClock())
        await self.bus.start()
        await publish(self.bus, [an_event(0)], 30)
        await until(lambda: self._is_delivered(self.chosen.endpoints - self.hanging), 30)

    def _endpoint(self, number: int) -> EndpointDocument:
        word = "hang" if number < self.hanging else "ok"
        mode = Mode.CLOUDEVENTS if self.chosen.cloudevents else Mode.PLAIN
        url = f"http://127.0.0.1:{self.port}/{word}/{number}"
        return EndpointDocument(
            id=str(uuid.uuid4()),
            created=SystemClock().now(),
            spec=EndpointSpec(url=url, mode=mode, secrets=(Secret(value=SECRET),)),
            status=EndpointStatus(cursor=0),
        )

    async def run(self, count: int, rate: float) -> Run:
        """Say ``count`` events, ``rate`` a second (0: as fast as it goes); all are delivered."""
        run, before, began = Run(), self.fleet.cpu_seconds(), time.perf_counter()
        prefix, size = uuid.uuid4().hex, _BATCH if not rate else max(1, int(rate / 50))
        done = await self._delivered()
        for first in range(0, count, size):
            events = [
                an_event(n, f"i{n % 500}").__replace__(id=f"{prefix}-{n}")
                for n in range(first, min(first + size, count))
            ]
            if rate:
                await asyncio.sleep(max(0.0, began + first / rate - time.perf_counter()))
            run.said |= dict.fromkeys([event.id for event in events], time.time())
            await self.bus.publish(said(events))
        healthy = self.chosen.endpoints - self.hanging
        await until(lambda: self._is_delivered(done + count * healthy), _LIMIT, every=0.1)
        after = self.fleet.cpu_seconds()
        run.cpu = {name: after[name] - before[name] for name in after}
        return run

    async def _delivered(self) -> float:
        counters = (await self.fleet.counters())["event-pusher"]
        return counters.get("corral_event_deliveries_total", 0.0)

    async def _is_delivered(self, count: float) -> bool:
        return await self._delivered() >= count

    async def stop(self) -> Notes:
        """End everything; what the receiver noted, a sample verified."""
        await self.bus.stop()
        await self.sink.stop()
        notes = msgspec.json.decode(self.notes.read_bytes(), type=Notes)
        for sample in notes.samples:
            lines = sample.head.split("\r\n")[1:-2]
            Webhook(SECRET).verify(sample.body, dict(line.split(": ", 1) for line in lines))
        self._assert_log_is_whole()
        await self.fleet.stop()
        return notes

    def _assert_log_is_whole(self) -> None:
        with pymongo.MongoClient(self.fleet.mongod.url) as client:
            events = client[DATABASE]["events"]
            last = events.find_one(sort=[("sequence", -1)])
            assert last is not None
            assert events.count_documents({}) == last["sequence"], "the event log has holes"


def figures(run: Run, notes: Notes, endpoints: int) -> dict[str, object]:
    """Each event once at every endpoint that answers; rate, waits, processor time."""
    arrivals = [arrival for arrival in notes.arrivals if arrival.id in run.said]
    assert len({(arrival.path, arrival.id) for arrival in arrivals}) == len(run.said) * endpoints
    seconds = max(arrival.at for arrival in arrivals) - min(run.said.values())
    count = len(run.said) * endpoints
    return {
        "deliveries": count,
        "repeats": len(arrivals) - count,
        "per_second": round(count / seconds, 1),
        "change_to_delivery_ms": percentiles([a.at - run.said[a.id] for a in arrivals]),
        "cpu_us_per_delivery": {name: round(s * 1e6 / count, 1) for name, s in run.cpu.items()},
    }


async def measure(chosen: argparse.Namespace, folder: Path) -> dict[str, object]:
    """All runs."""
    hanging = max(1, round(chosen.endpoints * chosen.hanging)) if chosen.endpoints > 1 else 0
    found = {}
    for name, hang in {"healthy": 0, **({"hanging": hanging} if hanging else {})}.items():
        bench = Bench(chosen, folder / name, hanging=hang)
        try:
            await bench.start()
            fast = None if hang else await bench.run(chosen.events, 0.0)
            steady = await bench.run(int(chosen.rate * chosen.seconds), chosen.rate)
            notes = await bench.stop()
        except BaseException:
            await bench.fleet.stop()
            raise
        healthy = chosen.endpoints - hang
        found[f"steady_{name}"] = figures(steady, notes, healthy)
        if fast is not None:
            found["fast"] = figures(fast, notes, healthy)
        print(f"{name}: done")
    fast_figures, steady_figures = found["fast"], found["steady_healthy"]
    waits = steady_figures["change_to_delivery_ms"]
    beside = found["steady_hanging"]["change_to_delivery_ms"]["p99"] if hanging else None
    return {
        "bench": "events",
        "endpoints": chosen.endpoints,
        "events": chosen.events,
        "mode": "cloudevents" if chosen.cloudevents else "plain",
        "signed": True,
        "deliveries_per_second": fast_figures["per_second"],
        "change_to_delivery_ms": {name: waits[name] for name in ("p50", "p99")},
        "rate": chosen.rate,
        "hanging_endpoints": hanging,
        "healthy_p99_ms_while_some_hang": beside,
        "runs": found,
        "machine": machine_facts(),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoints", type=int, default=20)
    parser.add_argument("--events", type=int, default=2000, help="of the run as fast as it goes")
    parser.add_argument("--rate", type=float, default=20.0, help="events a second, steady runs")
    parser.add_argument("--seconds", type=float, default=15.0, help="length of the steady runs")
    parser.add_argument("--hanging", type=float, default=0.05, help="share that never answers")
    parser.add_argument("--cloudevents", action="store_true")
    parser.add_argument("--keep", action="store_true", help="keep logs and data")
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="corral-bench-"))
    try:
        print(msgspec.json.encode(uvloop.run(measure(chosen, folder))).decode())
    finally:
        if chosen.keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
