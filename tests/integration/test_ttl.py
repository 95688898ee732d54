"""A time to live through the whole cloud, on both buses."""

from pathlib import Path

from chassis.bus.port import Bus
from chassis.store.mongo import MongoStore
from tests.cloud import Cloud, running
from tests.waiting import until


async def test_an_instance_ends_by_itself_also_under_another_scheduler(
    any_bus: Bus, own_store: MongoStore, tmp_path: Path
):
    async with running(any_bus, own_store, tmp_path) as cloud:
        await cloud.add_template()
        leader = await cloud.scheduler()
        await cloud.pusher()
        await cloud.gateway()
        await cloud.agent("n1")
        await cloud.ready(1)
        (short,), (long,) = await cloud.start(ttl=2), await cloud.start()
        await cloud.reaches([short, long], "Started")
        assert {"ttl", "expires_at"} <= (await cloud.show(short)).keys()
        assert not {"ttl", "expires_at"} & (await cloud.show(long)).keys()
        await leader.kill()
        await cloud.scheduler()
        await until(lambda: _is_expired(cloud, short), 30)
        await until(lambda: short not in cloud.live_vms())
        await cloud.reaches([short], "")
        assert await cloud.state(long) == "Started"
        assert (await cloud.call("PUT", f"vm?id={long}", {"ttl": 1}))["status"] == "OK"
        await until(lambda: _is_expired(cloud, long), 30)
        await until(lambda: not cloud.live_vms())


async def _is_expired(cloud: Cloud, identity: str) -> bool:
    events = await cloud.events("VMExpired")
    return identity in {entry.event.subject for entry in events}
