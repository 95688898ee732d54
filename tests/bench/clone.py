"""What a start of a cached tag costs beyond QEMU's own boot, from RunVm to VmStarted.

QEMU's own boot is from the process to the guest's first answer. Before it an agent journals the
order, clones and writes its records; after it come the guest's address and the report.
"""

import argparse
import asyncio
import shutil
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import msgspec

from chassis.bus.memory import MemoryBus
from chassis.bus.port import Delivery, Queue
from chassis.clock import SystemClock
from contracts.documents import say
from contracts.messages import tag_of
from contracts.vms import RunVm, StopVm, VmGone, VmStarted
from node_agent.app import build
from node_agent.config import AgentSettings
from node_agent.drivers.qemu import guest_agent, process
from node_agent.drivers.qemu.channel import Channel
from tests.bench.facts import machine_facts
from tests.drivers import DriverUnderTest, qemu

NODE = "node-1"


class Stopwatch:
    """Notes when a QEMU process is begun and when its guest first answers."""

    def __init__(self) -> None:
        self.begun = self.answered = 0.0
        spawn, synchronise = process.spawn, guest_agent._synchronise

        def spawned(*given: object) -> int:
            self.begun, self.answered = time.perf_counter(), 0.0
            return spawn(*given)  # type: ignore[arg-type]

        async def synchronised(channel: Channel) -> None:
            await synchronise(channel)
            self.answered = self.answered or time.perf_counter()

        process.spawn = spawned  # type: ignore[assignment]
        guest_agent._synchronise = synchronised


async def measure(case: DriverUnderTest, folder: Path, starts: int) -> list[dict[str, float]]:
    """Milliseconds of each start: in all, QEMU's own, and the rest."""
    watch, clock, heard = Stopwatch(), SystemClock(), asyncio.Event()
    bus = MemoryBus(clock)
    await bus.start()

    def hear(delivery: Delivery) -> None:
        heard.set()
        acks.append(asyncio.ensure_future(delivery.ack()))

    acks: list[asyncio.Future[None]] = []
    keys = (tag_of(VmStarted), tag_of(VmGone))
    await bus.consume(Queue(name="heard", keys=keys), hear)
    driver = await case.ready()
    settings = AgentSettings(
        node_id=NODE, host="127.0.0.1", metrics_port=0, data=str(folder / "agent")
    )
    agent = build(settings, bus, driver_factory=lambda _: driver)
    await agent.start()
    rows = []
    for number in range(starts):
        end = clock.now() + timedelta(seconds=120)
        begun = time.perf_counter()
        order = {"node_id": NODE, "instance_id": f"i-{number}", "attempt": 1, "deadline": end}
        run = {"valid_until": end, "validity": 120.0, "cloud_id": "c", "registry": "http://[::1]:9"}
        for message in (RunVm(template=case.template, **run, **order), StopVm(**order)):  # type: ignore[arg-type]
            heard.clear()
            await bus.publish([say(message)])
            await heard.wait()
            if isinstance(message, RunVm):
                total, boot = time.perf_counter() - begun, watch.answered - watch.begun
        rows.append({"total": total, "boot": boot, "overhead": total - boot})
    await agent.stop()
    await bus.stop()
    return [{name: round(value * 1000, 1) for name, value in row.items()} for row in rows]


def main() -> None:
    """Start, look, stop, again and again; the last line is the result."""
    parser = argparse.ArgumentParser(prog="make bench-clone")
    parser.add_argument("--starts", type=int, default=5)
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-clone-"))
    try:
        rows = asyncio.run(measure(qemu(folder / "qemu"), folder, chosen.starts))
    finally:
        shutil.rmtree(folder)
    result = {"bench": "clone", "milliseconds": rows, "machine": machine_facts()}
    print(msgspec.json.encode(result).decode())


if __name__ == "__main__":
    main()
