"""``corral-embedded``: run everything in one process; ``corral-embedded stop`` ends it."""

import argparse
import asyncio
import contextlib
import os
import signal
import sys

import uvloop

from chassis import telemetry, tracing
from chassis.config import load, printable
from chassis.errors import CorralError
from chassis.service import allow_connections, calm_the_collector
from embedded.app import NAME, build
from embedded.config import EmbeddedSettings
from embedded.ending import end
from embedded.greeting import lines


def main() -> None:
    """Console script: settings from the environment, ``--data`` before CORRAL_DATA."""
    parser = argparse.ArgumentParser(prog="corral-embedded", description=__doc__)
    parser.add_argument("command", nargs="?", choices=["run", "stop"], default="run")
    parser.add_argument("--data", help="data folder (default: ~/.local/share/corral)")
    parser.add_argument("--print-config", action="store_true", help="show the settings and end")
    given = parser.parse_args()
    try:
        settings = load(EmbeddedSettings, os.environ, data=given.data)
        if given.print_config:
            _say(printable(settings))
            return
        telemetry.configure(NAME, settings.log_level)
        calm_the_collector()
        allow_connections()
        if given.command == "stop":
            uvloop.run(end(settings, _say))
        else:
            with tracing.exporting(NAME, settings.otlp_endpoint):
                uvloop.run(_run(settings.settled()))
    except (CorralError, OSError) as error:
        sys.exit(f"corral-embedded: {error}")


async def _run(settings: EmbeddedSettings) -> None:
    """Start, greet, wait for a signal, which may come at any time, and stop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    cloud = build(settings)
    _say(f"Starting ({cloud.choice.remark}) …")
    starting = asyncio.create_task(cloud.start())
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await starting
        return
    await starting
    _say("\n".join(lines(cloud)))  # at once: whoever waits for the first line reads on
    await stopped
    _say("Stopping the services; VMs stay …")
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(cloud.stop(), settings.drain_seconds)


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 -- for the person at the terminal


if __name__ == "__main__":
    main()
