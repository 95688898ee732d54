"""Every race that must be right, provoked; the hypervisors' own records decide."""

import pytest

from contracts.documents import say
from contracts.instances import StartVM
from contracts.vms import VmInfo
from node_agent.drivers.simulated import NO_DELAYS
from node_agent.drivers.simulated_host import Delays, SimulatedVm
from tests.chaos.oracle import assert_sound
from tests.cloud import Cloud
from tests.fates import Fate
from tests.waiting import until


async def small(cloud: Cloud, *nodes: str, delays: Delays = NO_DELAYS) -> dict[str, Fate]:
    """A scheduler, a gateway and these nodes."""
    await cloud.scheduler()
    await cloud.gateway()
    fates = {name: await cloud.agent(name, delays=delays) for name in nodes}
    await cloud.ready(len(nodes))
    return fates


async def on_node(cloud: Cloud, vm: str) -> str:
    return str((await cloud.show(vm)).get("node_id", ""))


def has_verb(cloud: Cloud, verb: str) -> bool:
    return any(line.verb == verb for line in cloud.history())


@pytest.mark.parametrize(
    ("delays", "verb"),
    [
        (Delays(pull=0.5), ""),
        (Delays(clone=0.5), ""),
        (Delays(start=0.5), "clone"),
        (Delays(network=0.5), "start"),
        (Delays(stop=0.3), "start"),
    ],
    ids=["pulling", "cloning", "starting", "waiting-for-network", "started"],
)
async def test_an_end_during_the_start_leaves_nothing(bare_cloud, delays, verb):
    cloud = bare_cloud
    await small(cloud, "n1", delays=delays)
    [vm] = await cloud.start()
    await until(lambda: on_node(cloud, vm))
    if verb:
        await until(lambda: has_verb(cloud, verb))
    await cloud.call("DELETE", "vm", {"id": vm})
    await cloud.reaches([vm], "", 20)
    await assert_sound(cloud, set())


async def test_an_end_before_any_node_is_there_never_shows_terminated(bare_cloud):
    cloud = bare_cloud
    await cloud.scheduler()
    await cloud.gateway()
    await until(lambda: templates_listed(cloud))
    [vm] = await cloud.start()
    await cloud.call("DELETE", "vm", {"id": vm})
    seen = set()

    async def gone():
        seen.add(await cloud.state(vm))
        return "" in seen

    await until(gone)
    assert seen == {"Terminating", ""}


async def templates_listed(cloud: Cloud) -> bool:
    return bool((await cloud.call("GET", "registry/vm"))["body"])


async def test_a_node_that_dies_before_started_is_replaced_and_cleans_up_when_it_returns(
    bare_cloud,
):
    cloud = bare_cloud
    fates = await small(cloud, "n1", delays=Delays(start=30))
    [vm] = await cloud.start()
    await until(lambda: has_verb(cloud, "clone"))
    await fates["n1"].kill()
    await cloud.agent("n2")
    await cloud.reaches([vm], "Started", 30)
    assert await on_node(cloud, vm) == "n2"
    await cloud.agent("n1")
    await until(lambda: set(cloud.live_vms()) == {vm} and len(cloud.live_vms()[vm]) == 1, 20)
    await assert_sound(cloud, {vm})


async def test_a_node_that_is_cut_off_deletes_what_it_could_not_report(bare_cloud):
    cloud = bare_cloud
    fates = await small(cloud, "n1", delays=Delays(start=0.5))
    [vm] = await cloud.start()
    await until(lambda: has_verb(cloud, "clone"))
    await fates["n1"].cut()
    await cloud.agent("n2")
    await cloud.reaches([vm], "Started", 30)
    assert await on_node(cloud, vm) == "n2"
    await fates["n1"].heal()
    await cloud.ready(2)
    await assert_sound(cloud, {vm})


async def test_a_running_vm_survives_the_silence_of_its_node(bare_cloud):
    cloud = bare_cloud
    fates = await small(cloud, "n1")
    [vm] = await cloud.start()
    await cloud.reaches([vm], "Started")
    await fates["n1"].cut()
    await cloud.agent("n2")
    await cloud.reaches([vm], "Error", 20)
    await fates["n1"].heal()
    await cloud.reaches([vm], "Started")
    await assert_sound(cloud, {vm})
    assert len([line for line in cloud.history() if line.verb == "start"]) == 1


async def test_a_command_that_is_repeated_or_replayed_after_the_end_starts_nothing(bare_cloud):
    cloud = bare_cloud
    await small(cloud, "n1")
    [vm] = await cloud.start()
    document = (await cloud.documents())[vm]
    again = [say(StartVM(instance=document))] * 3
    await cloud.bus.publish(again)
    await cloud.reaches([vm], "Started")
    await cloud.call("DELETE", "vm", {"id": vm})
    await cloud.reaches([vm], "")
    await cloud.bus.publish(again)
    [other] = await cloud.start()
    await cloud.reaches([other], "Started")
    await assert_sound(cloud, {other})
    starts = [line.instance_id for line in cloud.history() if line.verb == "start"]
    assert starts == [vm, other]


async def test_a_frozen_leader_that_wakes_up_can_write_nothing(bare_cloud):
    cloud = bare_cloud
    old = await cloud.scheduler()
    await until(cloud.leader_is_there)
    await cloud.gateway()
    await cloud.agent("n1")
    await cloud.ready(1)
    old.freeze()
    await cloud.scheduler()
    ids = await cloud.start(count=2)
    await cloud.reaches(ids, "Started", 20)
    old.thaw()
    more = await cloud.start(count=1)
    await cloud.call("DELETE", "vm", {"id": ids[0]})
    await cloud.reaches([ids[0]], "", 20)
    await cloud.reaches(more, "Started", 20)
    await assert_sound(cloud, {ids[1], *more})


async def test_a_guest_that_shuts_itself_down_is_stopped(bare_cloud):
    cloud = bare_cloud
    await small(cloud, "n1")
    [vm] = await cloud.start()
    await cloud.reaches([vm], "Started")
    [name] = cloud.live_vms()[vm]
    cloud.drivers["n1"].power_off(name)
    await cloud.reaches([vm], "Stopped")
    await cloud.call("DELETE", "vm", {"id": vm})
    await cloud.reaches([vm], "")
    await assert_sound(cloud, set())


async def test_a_vm_deleted_behind_our_back_is_an_error_and_frees_its_room(bare_cloud):
    cloud = bare_cloud
    await small(cloud, "n1")
    [vm] = await cloud.start()
    await cloud.reaches([vm], "Started")
    [name] = cloud.live_vms()[vm]
    cloud.drivers["n1"].lose(name)
    await cloud.reaches([vm], "Error")
    ids = await cloud.start(count=2)
    await cloud.reaches(ids, "Started")
    await assert_sound(cloud, set(ids))


async def test_another_clouds_vm_is_shown_counted_and_left_alone(bare_cloud):
    cloud = bare_cloud
    await small(cloud, "n1")
    hypervisor = cloud.drivers["n1"].hypervisor
    foreign = SimulatedVm(
        info=VmInfo(uuid="f", name="mgmtManaged-foreign", status="running", cpu_cores=1),
        cloud_id="another",
        instance_id="i-of-another",
        attempt=1,
    )
    hypervisor.save(foreign, "start", cloud.drivers["n1"]._clock.now())

    from contracts.nodes import NodeDocument

    async def seen():
        [node] = await cloud.store.find("nodes", NodeDocument, {})
        return [vm.name for vm in node.status.unmanaged] == ["mgmtManaged-foreign"]

    await until(seen)
    ids = await cloud.start(count=2)

    async def one_started():
        return sorted([await cloud.state(vm) for vm in ids]) == ["Scheduling", "Started"]

    await until(one_started)
    assert "mgmtManaged-foreign" in hypervisor.vms
