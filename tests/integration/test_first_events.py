"""Nothing that happens before the first event-pusher ever runs is missing from the event log."""

from pathlib import Path

from chassis.bus.port import Bus
from chassis.store.mongo import MongoStore
from tests.cloud import Cloud, running
from tests.waiting import until

KINDS = ("GroupCreated", "StartVM", "VMStarted")


async def test_events_wait_for_the_first_event_pusher(
    any_bus: Bus, own_store: MongoStore, tmp_path: Path
):
    async with running(any_bus, own_store, tmp_path) as cloud:
        await cloud.add_template()
        await cloud.scheduler()
        await cloud.gateway()
        await cloud.agent("n1")
        await cloud.ready(1)
        assert (await cloud.call("POST", "group", {"name": "early"}))["status"] == "OK"
        ids = await cloud.start()
        await cloud.reaches(ids, "Started")
        await cloud.pusher()
        await until(lambda: _are_logged(cloud), 20)


async def _are_logged(cloud: Cloud) -> bool:
    return all([await cloud.events(kind) for kind in KINDS])
