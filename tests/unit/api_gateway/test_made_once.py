"""A document that costs something is made once, and never on the event loop."""

import asyncio
import threading

import pytest

from api_gateway.routes.description import MadeOnce


class Maker:
    """Remembers the threads that it was called in."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []

    def __call__(self) -> bytes:
        self.threads.append(threading.current_thread())
        return b"{}"


def test_all_who_ask_at_once_get_what_is_made_once_and_beside_the_loop():
    maker = Maker()

    async def asked() -> None:
        made = MadeOnce(maker)
        files = await asyncio.gather(*(made.file() for _ in range(10)))
        assert {file.body for file in files} == {b"{}"}

    asyncio.run(asked())
    (thread,) = maker.threads
    assert thread is not threading.main_thread()


def test_what_was_made_needs_no_thread_any_more():
    async def asked() -> None:
        made = MadeOnce(Maker())
        first = await made.file()
        await asyncio.get_running_loop().shutdown_default_executor()
        assert await made.file() is first
        with pytest.raises(RuntimeError):
            await MadeOnce(Maker()).file()

    asyncio.run(asked())
