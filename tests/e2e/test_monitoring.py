"""A real Prometheus scrapes a cloud of separate services, and its alerts tell what is broken.

The rules are those of deploy/, made to wait for seconds instead of minutes.
"""

import base64
from collections.abc import AsyncIterator, Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from chassis.bus.amqp import AmqpBus
from chassis.clock import SystemClock
from contracts.documents import Said
from tests.e2e.conftest import Clouds
from tests.processes import Cloud
from tests.prometheus import Prometheus, expressions, metrics_in
from tests.proxy import Proxy
from tests.receiver import Receiver
from tests.waiting import until

CAPACITY = 4
NO_FAULT = {"CorralRegistryDiskLow"}
"""A machine that runs tests may be short of disk."""


class Watched(NamedTuple):
    """A cloud, its Prometheus, and the cable between its gateway and the message bus."""

    cloud: Cloud
    prometheus: Prometheus
    cable: Proxy

    async def fires(self, *alerts: str, limit: float = 25.0) -> None:
        """Wait until all of these fire, whatever else does."""

        async def do() -> bool:
            return set(alerts) <= (await self.prometheus.firing()).keys()

        await until(do, limit, every=0.2)

    async def shows(self, expression: str, value: float) -> None:
        """Wait until the expression has this value."""

        async def do() -> bool:
            return await self.prometheus.value(expression) == value

        await until(do, 20, every=0.2)

    async def fill(self) -> None:
        """Have a VM on every place, and one more that waits."""
        api = self.cloud.api
        await api.reaches(await api.start(count=CAPACITY, **script("exit 0")), "Started")
        await api.start()

    async def empty(self) -> None:
        """Terminate everything and wait until it is gone."""
        api = self.cloud.api
        ids = await api.states()
        for identity in ids:
            await api.terminate(identity)
        await api.reaches(ids, "")


@pytest.fixture(scope="module")
async def running(
    clouds: Clouds, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Watched]:
    folder = tmp_path_factory.mktemp("watched")
    receiver = Receiver()
    await receiver.start()
    async with clouds(folder / "cloud") as cloud:
        broker = urlsplit(cloud.broker)
        cable = Proxy(broker.port or 5672)
        await cable.heal()
        cloud.registry()
        behind = broker._replace(netloc=broker.netloc.replace(str(broker.port), str(cable.port)))
        cloud.gateway("gateway", rabbitmq_url=behind.geturl())
        brisk = {"heartbeat_seconds": 0.5, "node_active_timeout": 2.0, "instance_time_out": 0.5}
        cloud.scheduler("scheduler", **brisk)
        cloud.pusher("pusher", event_log_url=receiver.url)
        delays = {"sim_pull": 0.1, "sim_clone": 0.1, "sim_start": 0.1, "sim_script": 0.1}
        cloud.agent("n", nodes=2, max_vm_count=2, heartbeat=0.5, **delays)
        await cloud.up()
        await cloud.push_template()
        await cloud.api.ready(2)
        await make_groups(cloud)
        prometheus = Prometheus(folder / "prometheus", cloud.targets())
        try:
            await prometheus.start()
            watched = Watched(cloud, prometheus, cable)
            await watched.shows("sum(up)", len(cloud.names))
            yield watched
        finally:
            await prometheus.stop()
            await cable.cut()
    await receiver.stop()


@pytest.fixture
async def watched(running: Watched) -> AsyncIterator[Watched]:
    """All of it running and empty, whatever an earlier test did."""
    yield running
    await running.cable.heal()
    running.cloud.start()
    await running.cloud.up()
    await running.empty()
    await running.cloud.api.ready(2)


async def make_groups(cloud: Cloud) -> None:
    """One with all nodes, one with none."""
    for name in ("builders", "nobody's"):
        await cloud.api.ok("POST", "group", {"name": name})
    wish = {
        "group_ids": [await group_of(cloud, "builders")],
        "node_ids": [*await cloud.api.nodes()],
    }
    await cloud.api.ok("POST", "node/group", wish)


def script(text: str) -> dict[str, object]:
    encoded = base64.b64encode(text.encode()).decode()
    return {"startup_script": encoded, "script_monitoring": True}


async def group_of(cloud: Cloud, name: str) -> str:
    groups = await cloud.api.ok("GET", "group")
    [found] = [group["id"] for group in groups if group["name"] == name]
    return str(found)


async def test_all_that_dashboards_and_rules_ask_for_is_there_while_nothing_is_wrong(
    watched: Watched,
):
    cloud, prometheus, _ = watched
    await cloud.push_template("fresh")  # so that it must be pulled
    await cloud.api.ready(2)
    await watched.fill()
    wanted = {name for expression in expressions() for name in metrics_in(expression)}

    async def missing() -> set[str]:
        return wanted - await prometheus.names()

    async def all_there() -> bool:
        return not await missing()

    try:
        await until(all_there, 20, every=0.2)
    except AssertionError:
        assert await missing() == set()
    await watched.shows('sum(anka_instance_state_count{state="Started"})', CAPACITY)
    await watched.shows('sum(up{job=~"corral.*"})', len(cloud.names))
    parts = 'count(corral_scheduler_start_seconds_count{phase=~"pulling|boot|script"} > 0)'
    await watched.shows(parts, 3)


async def test_a_full_cloud_has_no_capacity_until_somebody_leaves(watched: Watched):
    before = (await watched.prometheus.firing()).keys() - {"CorralNoFreeCapacity"}
    await watched.fill()
    await watched.fires("CorralNoFreeCapacity")
    await watched.empty()

    async def nothing() -> bool:
        return not (await watched.prometheus.firing()).keys() - before - NO_FAULT

    await until(nothing, 20, every=0.2)


async def test_what_waits_beside_free_nodes_is_told(watched: Watched):
    group = await group_of(watched.cloud, "nobody's")
    await watched.cloud.api.start(group_id=group)
    await watched.fires("CorralNothingPlaced")


async def test_starts_that_fail_are_told(watched: Watched):
    api = watched.cloud.api

    async def all_failed(ids: Iterable[str]) -> None:
        await api.reaches(ids, "Error")

    await all_failed(await api.start(count=CAPACITY, **script("exit 1")))
    await watched.empty()
    await all_failed(await api.start(count=CAPACITY, **script("exit 1")))
    await watched.fires("CorralStartsFail")


async def test_a_message_that_nobody_understands_is_told(watched: Watched):
    bus = AmqpBus(watched.cloud.broker, SystemClock())
    await bus.start()
    await until(lambda: bus.connected)
    await bus.publish([Said(id="", key="vm.start.v1", body=b'{"type":"vm.start.v1"}')])
    await bus.stop()

    async def told() -> bool:
        alerts = (await watched.prometheus.firing()).get("CorralDeadLetters", [])
        return any(alert["queue"] == "scheduler.commands" for alert in alerts)

    await until(told, 25, every=0.2)  # the gateway that reads along buries it as well


async def test_a_gateway_without_its_bus_is_told_and_what_it_could_not_say(watched: Watched):
    await watched.cable.cut()
    await watched.cloud.api.ok("POST", "group", {"name": "of the outage"})
    await watched.fires("CorralBusDisconnected", "CorralProjectionStale", "CorralOutboxNotDraining")
    [alert] = (await watched.prometheus.firing())["CorralBusDisconnected"]
    assert alert["job"] == "corral-gateway"
    await watched.cable.heal()

    async def healed() -> bool:
        return "CorralOutboxNotDraining" not in await watched.prometheus.firing()

    await until(healed, 20, every=0.2)


async def test_services_that_are_killed_are_told_and_what_is_missing_without_them(
    watched: Watched,
):
    watched.cloud.kill("n")
    await watched.fires("CorralServiceDown", "CorralNodeOffline")
    watched.cloud.kill("registry", "pusher", "scheduler")
    await watched.fires("CorralNoLeader", "CorralNoEventPusher", "CorralRegistryUnreachable")

    async def all_down() -> bool:
        down = (await watched.prometheus.firing())["CorralServiceDown"]
        return {alert["job"] for alert in down} == {
            "corral-agent",
            "corral-registry",
            "corral-event-pusher",
            "corral-scheduler",
        }

    await until(all_down, 10, every=0.2)
