"""Two gateways as separate processes see each other: over the real broker."""

from functools import partial

from chassis.bus.amqp import AmqpBus
from chassis.clock import SystemClock
from contracts.documents import say
from contracts.instances import InstanceState
from tests.integration.gateway.cloud import NODE, Api, Cloud, instance_changed, running
from tests.waiting import until


async def test_replicas_follow_each_other_over_the_broker(cloud: Cloud, rabbitmq_url: str):
    await cloud.add_template()
    await cloud.add_node()
    buses = [AmqpBus(rabbitmq_url, SystemClock()) for _ in range(2)]
    for bus in buses:
        await bus.start()
    one, other = [await cloud.gateway(bus) for bus in buses]
    await until(lambda: _accepts_and_shows(one, other))
    (identity,) = await one.start(name="seven")
    await until(lambda: _shows(other, identity, "Scheduling"))
    moved = await cloud.write_status(
        identity, state=InstanceState.STARTED, node_id=NODE, vminfo=running()
    )
    await buses[0].publish([say(instance_changed(moved))])
    for api in (one, other):
        await until(partial(_shows, api, identity, "Started"))
    await other("DELETE", "/api/v1/vm", {"id": identity})
    await until(lambda: _shows(one, identity, "Terminating"))
    for api, bus in zip((one, other), buses, strict=True):
        await api.gateway.stop()
        await bus.stop()


async def _accepts_and_shows(one: Api, other: Api) -> bool:
    """Whether both are subscribed: a start at one is pushed to the other."""
    (identity,) = await one.start()
    return await _shows(other, identity, "Scheduling")


async def _shows(api: Api, identity: str, state: str) -> bool:
    item = (await api.listed()).get(identity)
    return item is not None and item["vm"]["instance_state"] == state
