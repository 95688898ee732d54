"""The ``corral-agent`` command: join, disjoin, status."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, TextIO

import cyclopts
import msgspec
import uvloop
from cyclopts import Parameter

from chassis import telemetry, tracing
from chassis.bus.amqp import AmqpBus
from chassis.bus.port import Bus
from chassis.clock import SystemClock
from chassis.config import BadSettings, load, printable
from chassis.service import allow_connections, calm_the_collector, until_signal
from node_agent.app import NAME, build
from node_agent.config import AgentSettings
from node_agent.control import NotRunning, ask
from node_agent.drivers.port import DriverError
from node_agent.flags import ForeignFlags, JoinFlags
from node_agent.journal import BadJournal
from node_agent.node import VERSION

DEFAULT_DATA = "~/.local/share/corral/agent"
_CONNECT_SECONDS = 15.0
_POLL_SECONDS = 0.1
_NO_FLAGS = JoinFlags()
_NO_FOREIGN = ForeignFlags()

app = cyclopts.App(
    name="corral-agent",
    version=VERSION,
    help="Runs VMs on this host for a Corral cloud.",
    result_action="return_value",
)


@app.command
def join(
    controller: str = "",
    *,
    print_config: Annotated[
        bool, Parameter(help="Print the settings that result, and do not join", negative=())
    ] = False,
    flags: JoinFlags = _NO_FLAGS,
    foreign: ForeignFlags = _NO_FOREIGN,
) -> int:
    """Join this host to the cloud and serve it until a signal or ``disjoin``.

    CONTROLLER is the cloud's message broker, amqp://user:password@host:port/ (else the
    environment's CORRAL_RABBITMQ_URL).
    """
    try:
        settings = load(
            AgentSettings, os.environ, **flags.settings(), rabbitmq_url=controller or None
        )
    except (BadSettings, OSError) as error:
        return _fail(str(error))
    settings = msgspec.structs.replace(settings, data=settings.data or DEFAULT_DATA)
    for name in foreign.given():
        _say(f"--{name.replace('_', '-')} has no effect here\n", sys.stderr)
    if print_config:
        _say(printable(settings) + "\n")
        return 0
    telemetry.configure(NAME, settings.log_level)
    calm_the_collector()
    allow_connections()
    try:
        with tracing.exporting(NAME, settings.otlp_endpoint):
            return uvloop.run(serve(settings))
    except BadSettings as error:
        return _fail(str(error))


@app.command
def disjoin(*, data: str = DEFAULT_DATA) -> int:
    """Leave the cloud for good; VMs go on running."""
    try:
        answer = asyncio.run(ask(_socket(data), "POST", "disjoin"))
    except NotRunning as error:
        return _fail(str(error))
    if "error" in answer:
        return _fail(answer["error"])
    _say("Disjoined from the Corral cloud\n")
    return 0


@app.command
def status(
    *,
    machine_readable: Annotated[bool, Parameter(name=("--machine-readable", "-m"))] = False,
    data: str = DEFAULT_DATA,
) -> int:
    """Tell whether the agent runs, and how it was joined."""
    try:
        answer = asyncio.run(ask(_socket(data), "GET", "status"))
    except NotRunning as error:
        if machine_readable:
            _say(_json({"status": "FAIL", "message": str(error)}))
            return 1
        return _fail(str(error))
    if machine_readable:
        _say(_json(answer))
    else:
        nodes = ", ".join(node["name"] for node in answer["nodes"][:10])
        _say(f"status: {answer['status']}\nnodes: {len(answer['nodes'])} ({nodes})\n")
    return 0


async def serve(settings: AgentSettings) -> int:
    """Run the agent until SIGTERM, SIGINT or ``disjoin``; the exit code."""
    clock = SystemClock()
    bus = AmqpBus(settings.rabbitmq_url, clock)
    disjoined = asyncio.Event()
    try:
        service = build(settings, bus, clock=clock, ended=disjoined.set)
    except BadSettings as error:
        return _fail(str(error))
    await bus.start()
    try:
        _say("Testing connection to the controller...: ")
        _say("Ok\n" if await _connects(bus) else "no answer yet, trying on\n")
        try:
            await service.start()
        except (DriverError, BadJournal, OSError) as error:
            return _fail(str(error))
        _say("Success!\nCorral cloud join success\n")
        await _first(until_signal(), _ended(disjoined))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(service.stop(), settings.drain_seconds)
    finally:
        await bus.stop()
    return 0


async def _connects(bus: Bus) -> bool:
    for _ in range(int(_CONNECT_SECONDS / _POLL_SECONDS)):
        if bus.connected:
            return True
        await asyncio.sleep(_POLL_SECONDS)
    return False


async def _ended(event: asyncio.Event) -> None:
    await event.wait()


async def _first(*waits: Coroutine[None, None, None]) -> None:
    tasks = [asyncio.create_task(wait) for wait in waits]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


def _socket(data: str) -> Path:
    for name in ("CORRAL_AGENT_SOCKET", "ANKA_AGENT_SOCKET"):
        if os.environ.get(name):
            return Path(os.environ[name])
    return Path(os.environ.get("CORRAL_DATA", data)).expanduser() / "agent.sock"


def _fail(message: str) -> int:
    _say(f"corral-agent: {message}\n", sys.stderr)
    return 1


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode() + "\n"


def _say(text: str, stream: TextIO | None = None) -> None:
    print(text, end="", file=stream or sys.stdout, flush=True)
