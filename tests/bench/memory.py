"""Memory of the all-in-one, idle, without mongod: ``make bench-memory ARGS="--idle 30"``."""

import argparse
import asyncio
import tempfile
from pathlib import Path

import msgspec
import psutil

from tests.all_in_one import all_in_one
from tests.bench.facts import machine_facts

_MIB = 1 << 20


async def measure(idle: float, driver: str) -> dict[str, object]:
    """Start it on an empty folder, leave it alone for ``idle`` seconds, look."""
    with tempfile.TemporaryDirectory() as folder:
        async with all_in_one(Path(folder) / "data", driver=driver) as cloud:
            await cloud.start(120)
            process = psutil.Process(cloud.pid)
            mongod = next(c for c in process.children(recursive=True) if c.name() == "mongod")
            process.cpu_percent()
            await asyncio.sleep(idle)
            return {
                "bench": "memory",
                "driver": driver,
                "idle_seconds": idle,
                "rss_mib": round(process.memory_info().rss / _MIB, 1),
                "pss_mib": round(process.memory_full_info().pss / _MIB, 1),
                "cpu_percent": process.cpu_percent(),
                "threads": process.num_threads(),
                "mongod_rss_mib": round(mongod.memory_info().rss / _MIB, 1),
                "machine": machine_facts(),
            }


def main() -> None:
    """Print the figures, then one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--idle", type=float, default=20.0)
    parser.add_argument("--driver", choices=["qemu", "simulated"], default="qemu")
    chosen = parser.parse_args()
    figures = asyncio.run(measure(chosen.idle, chosen.driver))
    print(f"{figures['rss_mib']} MiB idle, {figures['cpu_percent']} % of a core")
    print(msgspec.json.encode(figures).decode())


if __name__ == "__main__":
    main()
