"""The guest agent of QEMU: is the guest up, what is its address, run this in it.

Source: QEMU Guest Agent protocol reference. A connection begins with a sync that carries a fresh
random number, because late answers to given-up questions arrive before the one to ours.
"""

import asyncio
import base64
import ipaddress
import math
import secrets
import signal
from pathlib import Path
from typing import Any

from chassis.clock import Clock
from contracts.vms import ScriptResult
from node_agent.drivers.port import HostFault
from node_agent.drivers.qemu.channel import Channel, NoAnswer, connected

SOCKET = "agent.sock"
OUTPUT_LIMIT = 1024 * 1024
"""Bytes kept of each output stream of a script: the last ones, which tell how it ended."""

# Of all guests restored from one state each needs random numbers, a clock and a name of its own.
_WAKE_UP = 'cat >/dev/urandom; date -u -s "@$1" >/dev/null && hostname "$2"'
_SYNC = "sync"
_ENTROPY = 64
_SYNC_SECONDS = 60.0
_CALL_TIMEOUT = 30.0
_GREETING_TIMEOUT = 0.5
_OVERTIME = 60.0
_SLOWEST_POLL = 0.5

# The script is fed from a file and writes to files: a pipe would stay open for as long as any
# process it leaves behind. It leads a session of its own and carries a mark in its environment,
# so that at the limit everything it began is found, also what left the session. That the limit
# was reached is told by dying of a signal, so that every exit code stays the script's own.
_WRAPPER = """\
d=$(mktemp -d) || exit 125
cat >$d/s
CORRAL_SCRIPT=$d setsid sh <$d/s >$d/o 2>$d/e &
p=$!
{at_limit}
wait $p 2>/dev/null
rc=$?
late=
if [ -e $d/t ]; then late=1; wait $k; else kill $k 2>/dev/null; fi
tail -c {output} $d/o
tail -c {output} $d/e >&2
rm -rf $d
[ -n "$late" ] && kill -USR1 $$
exit $rc
"""
_KILL_AT_LIMIT = """(
    trap 'kill $s; exit' TERM
    sleep {limit} &
    s=$!
    wait $s
    : >$d/t
    kill -KILL -$p
    for again in 1 2; do
        for f in $(grep -ls "CORRAL_SCRIPT=$d" /proc/[0-9]*/environ); do
            f=${{f%/environ}}; kill -KILL ${{f#/proc/}}
        done
    done
) >/dev/null 2>&1 </dev/null &
k=$!
"""


class GuestAgent:
    """Talks to the agent in one guest; one conversation at a time."""

    def __init__(self, folder: Path) -> None:
        self._socket = folder / SOCKET
        self._turn = asyncio.Lock()

    async def greeted(self) -> str | None:
        """The address as below; None while the guest does not answer.

        That it is there is told by the sync alone, since questions are slow in emulated guests.
        """
        try:
            async with self._turn, connected(self._socket, _CALL_TIMEOUT) as channel:
                async with asyncio.timeout(_GREETING_TIMEOUT):
                    await _synchronise(channel)
                return _address(await _asked(channel, "guest-network-get-interfaces"))
        except NoAnswer:
            return None

    async def address(self) -> str:
        """The guest's first IPv4 address that others could use; empty while it has none."""
        return _address(await self._call("guest-network-get-interfaces", timeout=2.0))

    async def run_script(self, script: bytes, timeout: float, *, kill: bool) -> ScriptResult:
        """Pipe ``script`` to ``sh``; at the limit it and all it began are killed, or run on."""
        at_limit = _KILL_AT_LIMIT.format(limit=max(1, math.ceil(timeout))) if kill else ""
        wrapper = _WRAPPER.format(at_limit=at_limit, output=OUTPUT_LIMIT)
        try:
            async with asyncio.timeout(timeout + _OVERTIME if kill else timeout):
                return _result(await self._shell(wrapper, given=script))
        except TimeoutError:
            if not kill:
                return ScriptResult(return_code=-1, did_timeout=True)
            raise HostFault("the guest does not say how the script ended") from None

    async def wake_up(self, clock: Clock, hostname: str) -> None:
        """Set the clock, which has stood still, and the name."""
        now = str(round(clock.now().timestamp()))
        given = secrets.token_bytes(_ENTROPY)
        status = await self._shell(_WAKE_UP, now, hostname, given=given)
        if status.get("exitcode"):
            said = _text(status.get("err-data", "")).strip()
            raise HostFault(f"the guest cannot set its clock and name: {said}")

    async def sync(self) -> None:
        """Have everything written to the guest's disk, in case that is all that will be left."""
        async with asyncio.timeout(_SYNC_SECONDS):
            await self._shell(_SYNC)

    async def _shell(self, command: str, *arguments: str, given: bytes = b"") -> dict[str, Any]:
        begun = await self._call(
            "guest-exec",
            {
                "path": "/bin/sh",
                "arg": ["-c", command, "sh", *arguments],
                "input-data": base64.b64encode(given).decode(),
                "capture-output": True,
            },
        )
        return await self._ended(begun["pid"])

    async def _ended(self, pid: int) -> dict[str, Any]:
        pause = 0.05
        while True:
            status: dict[str, Any] = await self._call("guest-exec-status", {"pid": pid}, 60.0)
            if status["exited"]:
                return status
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _SLOWEST_POLL)

    async def _call(
        self, name: str, arguments: dict[str, Any] | None = None, timeout: float = _CALL_TIMEOUT
    ) -> Any:
        async with self._turn, connected(self._socket, timeout) as channel:
            await _synchronise(channel)
            return await _asked(channel, name, arguments)


async def _asked(channel: Channel, name: str, arguments: dict[str, Any] | None = None) -> Any:
    message = {"execute": name}
    await channel.send(message | {"arguments": arguments} if arguments else message)
    answer = await channel.receive()
    if "error" in answer:
        raise HostFault(f"the guest refused {name}: {answer['error'].get('desc', '')}")
    return answer["return"]


async def _synchronise(channel: Channel) -> None:
    number = secrets.randbits(31)
    await channel.send(
        {"execute": "guest-sync-delimited", "arguments": {"id": number}}, prefix=b"\xff"
    )
    while (await channel.receive()).get("return") != number:
        pass


def _address(interfaces: list[dict[str, Any]]) -> str:
    for interface in interfaces:
        for found in interface.get("ip-addresses", ()):
            if found.get("ip-address-type") == "ipv4" and _usable(found["ip-address"]):
                return str(found["ip-address"])
    return ""


def _usable(address: str) -> bool:
    found = ipaddress.ip_address(address)
    return not (found.is_loopback or found.is_link_local)


def _result(status: dict[str, Any]) -> ScriptResult:
    died_of = int(status.get("signal", 0))
    late = died_of == signal.SIGUSR1
    return ScriptResult(
        return_code=-1 if late else int(status.get("exitcode", 128 + died_of)),
        did_timeout=late,
        stdout=_text(status.get("out-data", "")),
        stderr=_text(status.get("err-data", "")),
    )


def _text(encoded: str) -> str:
    return base64.b64decode(encoded).decode(errors="replace")
