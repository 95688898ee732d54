"""``GET /api/v1/events``: whoever follows the log gets every event once, in order."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import aiohttp
import pytest
from prometheus_client import REGISTRY

from api_gateway import event_feed
from api_gateway.event_feed import EventFeed
from api_gateway.event_reader import EventReader, Selection
from contracts.events import EventDocument, EventHappened, EventKind, EventType
from tests.integration.gateway.cloud import EPOCH, Api, Cloud
from tests.waiting import until


class Follower:
    """One event stream, as a browser reads it."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.last_id = ""

    async def event(self) -> dict[str, Any]:
        """The next event; an id without data only moves ``last_id``."""
        while True:
            block = (await asyncio.wait_for(self._response.content.readuntil(b"\n\n"), 10)).decode()
            fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
            self.last_id = fields.get("id", self.last_id)
            if "data" in fields:
                return json.loads(fields["data"])

    async def sequences(self, count: int) -> list[int]:
        return [(await self.event())["sequence"] for _ in range(count)]


@asynccontextmanager
async def _following(api: Api, query: str = "", **headers: str) -> AsyncIterator[Follower]:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"{api.gateway.address}/api/v1/events?{query}"
    async with api.session.get(url, headers=names) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/event-stream"
        yield Follower(response)


class Log:
    """The event-pusher's part, played."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.newest = 0

    async def write(self, count: int = 1, **event: Any) -> list[int]:
        """Add events; their sequences."""
        first = self.newest + 1
        self.newest += count
        numbers = list(range(first, self.newest + 1))
        given = {
            "kind": EventKind.VM_STARTED,
            "event_type": EventType.SYSTEM,
            "sub_type": "vmAction",
            "subject": "i",
            "at": EPOCH,
        } | event
        await self._cloud.store.insert(
            "events",
            [
                EventDocument(id=f"e{n}", sequence=n, event=EventHappened(id=f"e{n}", **given))
                for n in numbers
            ],
        )
        return numbers


@pytest.fixture
def log(cloud: Cloud) -> Log:
    """An empty event log."""
    return Log(cloud)


async def test_a_follower_gets_what_happens_from_now_on(api: Api, log: Log):
    await log.write(3)
    async with _following(api) as follower:
        await until(_somebody_follows)
        sequences = await log.write(2)
        event = await follower.event()
        assert (event["sequence"], event["name"]) == (sequences[0], "VMStarted")
        assert follower.last_id == str(sequences[0])
        assert await follower.sequences(1) == [sequences[1]]


async def test_last_event_id_continues_without_a_gap_or_a_repeat(api: Api, log: Log):
    written = await log.write(5)
    async with _following(api, Last_Event_ID="2") as follower:
        assert await follower.sequences(3) == written[2:]
        more = await log.write(2)
        assert await follower.sequences(2) == more
        last = follower.last_id
    missed = await log.write(4)
    async with _following(api, Last_Event_ID=last) as follower:
        assert await follower.sequences(4) == missed


async def test_a_follower_cut_off_before_its_first_event_misses_none(api: Api, log: Log):
    await log.write(2)
    async with _following(api) as follower:
        await follower._response.content.readuntil(b"id: 2\n\n")
    missed = await log.write(1)
    async with _following(api, Last_Event_ID="2") as follower:
        assert await follower.sequences(1) == missed


async def test_filters_show_what_is_asked_for_only(api: Api, log: Log):
    async with _following(api, "kind=VMLost,VMFailedToStart&subject=a&after=0") as follower:
        (first,) = await log.write(kind=EventKind.VM_LOST, subject="a")
        await log.write(3, subject="a")
        await log.write(3, kind=EventKind.VM_LOST, subject="b")
        assert await follower.sequences(1) == [first]
        await until(_somebody_follows)
        (second,) = await log.write(kind=EventKind.VM_FAILED_TO_START, subject="a")
        assert await follower.sequences(1) == [second]


async def test_the_id_moves_over_what_a_filter_hides(cloud: Cloud, log: Log):
    feed = EventFeed(EventReader(cloud.store), keep_alive=0.05)
    async with aclosing(feed.follow(0, Selection(subject="a"))) as pieces:
        assert await anext(pieces) == b"retry: 1000\nid: 0\n\n"
        assert await anext(pieces) == b": \n\n"
        await log.write(3, subject="b")
        await feed.poll()
        assert await anext(pieces) == b"id: 3\n\n"
        await log.write(1, subject="a")
        await feed.poll()
        assert (await anext(pieces)).startswith(b"id: 4\ndata: {")
        assert await anext(pieces) == b": \n\n"


async def test_many_followers_at_different_places_get_every_event_once(
    api: Api, log: Log, monkeypatch
):
    monkeypatch.setattr(event_feed, "_KEPT", 50)
    monkeypatch.setattr(event_feed, "_PAGE", 20)
    await log.write(200)
    starts = [0, 1, 77, 150, 199, 200]
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        many = Api(api.gateway, session)

        async def follow(start: int) -> list[int]:
            async with _following(many, f"after={start}") as follower:
                return await follower.sequences(500 - start)

        followers = [asyncio.create_task(follow(start)) for start in starts * 10]
        for _ in range(10):
            await log.write(30)
        for start, got in zip(starts * 10, await asyncio.gather(*followers), strict=True):
            assert got == list(range(start + 1, 501))


async def test_followers_that_leave_cost_nothing_more(api: Api, log: Log):
    async with _following(api):
        await until(_somebody_follows)
    await log.write(1)
    await until(lambda: not _somebody_follows())


async def test_an_event_stream_ends_with_the_gateway(api: Api, log: Log):
    async with _following(api) as follower:
        await until(_somebody_follows)
        await asyncio.wait_for(api.gateway.stop(), 5)
        with pytest.raises((aiohttp.ClientError, asyncio.IncompleteReadError)):
            await follower.event()


async def test_an_id_from_the_future_means_now(api: Api, log: Log):
    await log.write(2)
    async with _following(api, Last_Event_ID="99") as follower:
        await until(_somebody_follows)
        written = await log.write(1)
        assert await follower.sequences(1) == written


@pytest.mark.parametrize(
    ("query", "headers", "field"),
    [
        ("kind=Nothing", {}, "name"),
        ("type=x", {}, "type"),
        ("after=x", {}, "after"),
        (f"after={'9' * 5000}", {}, "after"),
        ("since=2026-01-01T00:00:00Z", {}, "since"),
        ("until=2026-01-01T00:00:00Z", {}, "until"),
        ("before=7", {}, "before"),
        ("", {"Last-Event-ID": "x"}, "Last-Event-ID"),
    ],
)
async def test_what_cannot_be_followed_is_named(api: Api, query, headers, field):
    answer = await api("GET", f"/api/v1/events?{query}", headers=headers)
    assert (answer.code, answer.json["message"].partition(":")[0]) == (400, field)


def _somebody_follows() -> bool:
    return REGISTRY.get_sample_value("corral_event_followers") != 0
