"""Several gateways, one truth: with the bus, without it, and after it came back."""

from chassis.bus.memory import MemoryBus
from contracts.instances import InstanceState, StartVM
from tests.integration.gateway.cloud import NODE, Api, Cloud, instance_changed, running
from tests.waiting import until


async def _state(api: Api, identity: str) -> str:
    return (await api.vm(identity))["instance_state"]


async def _is(api: Api, identity: str, state: str) -> bool:
    item = (await api.listed()).get(identity)
    return item is not None and item["vm"]["instance_state"] == state


async def _is_gone(api: Api, identity: str) -> bool:
    return identity not in await api.listed()


async def _deaf(cloud: Cloud, bus: MemoryBus) -> Api:
    """A gateway with a bus of its own that is cut as soon as it has loaded."""
    api = await cloud.gateway(bus)
    bus.cut()
    return api


async def test_an_id_is_found_by_another_replica_at_once(api: Api, cloud: Cloud):
    other = await cloud.gateway()
    for _ in range(10):
        (identity,) = await api.start()
        assert await _state(other, identity) == "Scheduling"
    await until(lambda: _is(other, identity, "Scheduling"))


async def test_a_wish_made_at_one_replica_shows_at_the_other(api: Api, cloud: Cloud):
    other = await cloud.gateway()
    (identity,) = await api.start()
    await other("DELETE", "/api/v1/vm", {"id": identity})
    await until(lambda: _is(api, identity, "Terminating"))
    await api("PUT", f"/api/v1/vm?id={identity}", {"name": "seven"})
    await until(lambda: _named(other, identity, "seven"))


async def test_a_deaf_replica_lists_what_another_accepted(
    api: Api, cloud: Cloud, system_bus: MemoryBus
):
    deaf = await _deaf(cloud, system_bus)
    for _ in range(5):
        (identity,) = await api.start()
        assert identity in await deaf.listed()
    await api("DELETE", "/api/v1/vm", {"id": identity})
    assert await _is(deaf, identity, "Terminating")
    assert await _state(deaf, identity) == "Terminating"


async def test_a_deaf_replica_accepts_and_the_document_waits(cloud: Cloud, system_bus: MemoryBus):
    await cloud.add_template()
    deaf = await _deaf(cloud, system_bus)
    (identity,) = await deaf.start()
    assert await _is(deaf, identity, "Scheduling")
    assert await cloud.store.count("instances", {"pending": True}) == 1
    assert cloud.said(StartVM) == []


async def test_what_was_said_during_an_outage_is_read_after_it(api: Api, cloud: Cloud):
    (first,), (second,) = await api.start(), await api.start()
    cloud.bus.cut()
    await cloud.write_status(first, state=InstanceState.STARTED, vminfo=running())
    await cloud.write_status(second, state=InstanceState.ERROR, message="no disk")
    cloud.bus.heal()
    await until(lambda: _is(api, first, "Started"))
    await until(lambda: _is(api, second, "Error"))


async def test_the_comparison_repairs_what_no_message_told(cloud: Cloud):
    await cloud.add_template()
    api = await cloud.gateway(compare_seconds=0.1)
    (moved,), (removed,) = await api.start(), await api.start()
    await cloud.configure_behind_its_back(
        moved, spec__name="renamed", generation=2, status__state="Started", status_revision=1
    )
    await until(lambda: _named(api, moved, "renamed"))
    await until(lambda: _is(api, moved, "Started"))
    await cloud.forget(removed)
    await until(lambda: _is_gone(api, removed))


async def test_a_late_message_does_not_revive_a_removed_instance(api: Api, cloud: Cloud):
    (identity,) = await api.start()
    last = await cloud.move(identity, state=InstanceState.TERMINATED)
    await cloud.remove(identity)
    await until(lambda: _is_gone(api, identity))
    await cloud.publish(instance_changed(last), StartVM(instance=last))
    (other,) = await api.start()
    await cloud.move(other, state=InstanceState.STARTED, node_id=NODE, vminfo=running())
    await until(lambda: _is(api, other, "Started"))
    assert await _is_gone(api, identity)
    assert (await api("GET", f"/api/v1/vm?id={identity}")).failure == "Not found"


async def test_a_new_replica_knows_everything(api: Api, cloud: Cloud):
    (identity,) = await api.start(name="seven")
    await cloud.move(identity, state=InstanceState.STARTED, node_id=NODE, vminfo=running())
    other = await cloud.gateway()
    await until(lambda: _same_list(api, other))
    assert await _is(other, identity, "Started")


async def test_scripts_stay_out_of_memory_but_reach_the_scheduler(api: Api, cloud: Cloud):
    (identity,) = await api.start(startup_script="c2VjcmV0", script_monitoring=True)
    await until(lambda: cloud.said(StartVM))
    assert cloud.said(StartVM)[0].instance.spec.script.body == b"secret"
    for path in ("/api/v1/vm", f"/api/v1/vm?id={identity}"):
        assert b"c2VjcmV0" not in (await api("GET", path)).raw


async def _named(api: Api, identity: str, name: str) -> bool:
    return (await api.listed())[identity]["name"] == name


async def _same_list(one: Api, other: Api) -> bool:
    return await one.listed() == await other.listed()
