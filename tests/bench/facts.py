"""What machine a figure was measured on."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

LIBRARIES = ("aio-pika", "aiohttp", "motor", "msgspec", "pymongo", "uvloop")


def machine_facts() -> dict[str, object]:
    """Cores, memory in MiB, processor, load before us, system, Python's and libraries' versions."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "cores": os.cpu_count(),
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
        "cpu": models[0] if models else platform.processor(),
        "load_15_min": round(os.getloadavg()[2], 2),
        "system": platform.platform(),
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
    }
