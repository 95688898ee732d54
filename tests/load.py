"""People who ask for VMs and throw them away, through all gateways of a cloud in turn."""

import asyncio
import itertools
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp

from tests.api import Api


class Load:
    """``accepted`` and ``ended``: ids whose POST or DELETE was answered OK; ``refused`` counts.

    ``slowest``: seconds of the slowest answer since it was last set to 0.
    """

    def __init__(self, api: Api, *, every: float, deletes: float, seed: int = 7) -> None:
        self._api = api
        self._every = every
        self._deletes = deletes
        self._random = random.Random(seed)
        self._gateways = itertools.cycle(range(len(api.gateways)))
        self._calls: set[asyncio.Task[None]] = set()
        self._doubtful: set[str] = set()
        self.accepted: list[str] = []
        self.ended: list[str] = []
        self.refused = 0
        self.slowest = 0.0

    @property
    def staying(self) -> list[str]:
        """Accepted, and nobody asked for their end."""
        ended = set(self.ended) | self._doubtful
        return [vm for vm in self.accepted if vm not in ended]

    @property
    def doubtful(self) -> set[str]:
        """Their DELETE was not answered OK: it may have been carried out or not."""
        return self._doubtful - set(self.ended)

    async def run(self) -> None:
        """Ask until cancelled, never waiting for an answer before the next question."""
        while True:
            self._call(self._post())
            if self.staying and self._random.random() < self._deletes:
                self._call(self._delete(self._random.choice(self.staying)))
            await asyncio.sleep(self._every)

    async def finish(self) -> None:
        """Wait for the answers that are still to come."""
        await asyncio.gather(*self._calls)

    def _call(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _post(self) -> None:
        answer = await self._timed("POST", {"vmid": self._api.template})
        if answer is not None:
            self.accepted += answer["body"]

    async def _delete(self, vm: str) -> None:
        self._doubtful.add(vm)
        if await self._timed("DELETE", {"id": vm}) is not None:
            self.ended.append(vm)

    async def _timed(self, method: str, body: dict[str, Any]) -> dict[str, Any] | None:
        began = time.monotonic()
        try:
            answer = await self._api.call(method, "vm", body, gateway=next(self._gateways))
        except (aiohttp.ClientError, TimeoutError):
            answer = {"status": "no answer"}
        self.slowest = max(self.slowest, time.monotonic() - began)
        if answer["status"] != "OK":
            self.refused += 1
            return None
        found: dict[str, Any] = answer
        return found


@asynccontextmanager
async def load_on(api: Api, *, every: float, deletes: float) -> AsyncIterator[Load]:
    """Load while the block runs; afterwards every answer has come."""
    load = Load(api, every=every, deletes=deletes)
    task = asyncio.create_task(load.run())
    try:
        yield load
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await load.finish()
