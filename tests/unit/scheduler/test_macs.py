"""MAC addresses: unique among all that may have a VM, and given back."""

import msgspec
import pytest

from chassis.config import BadSettings
from contracts.instances import InstanceDocument
from contracts.macs import FillMacPool, MacPoolSpec, PurgeMacPool, mac_number, mac_text
from contracts.nodes import DeleteNode, NodeSpec
from contracts.vms import Overrides, RunVm
from scheduler.config import SchedulerSettings, parse_range
from scheduler.domain.macs import MacRange
from tests.unit.scheduler.builders import (
    TEMPLATE,
    Cloud,
    an_instance,
    some_info,
)

FIRST = "02:00:00:00:00:10"
POOL = MacRange(mac_number(FIRST), mac_number("02:00:00:00:00:12"))
OUTSIDE = "0A:00:00:00:00:01"


@pytest.fixture
def cloud():
    return a_cloud(POOL)


def a_cloud(pool, **limits):
    cloud = Cloud(pool, **limits)
    cloud.join("n", capacity=9, capabilities=("mac_address",))
    return cloud


def start(cloud, count=1, **wish):
    return cloud.start(*(an_instance(**wish) for _ in range(count)))


def addresses(instances):
    return [instance.status.mac_address for instance in instances]


def reasons(instance):
    return [reason.filter for reason in instance.status.reasons]


def purge(cloud, generation=2):
    cloud.say(PurgeMacPool(generation=generation, spec=MacPoolSpec(purged=True)))


def fill(cloud, generation=3):
    cloud.say(FillMacPool(generation=generation, spec=MacPoolSpec()))


def test_each_start_gets_an_address_of_its_own_and_its_node_is_told(cloud):
    instances = start(cloud, 3)
    assert sorted(addresses(instances)) == [
        "02:00:00:00:00:10",
        "02:00:00:00:00:11",
        "02:00:00:00:00:12",
    ]
    ordered = {order.instance_id: order.overrides.mac_address for order in cloud.sent(RunVm)}
    assert ordered == {i.id: i.status.mac_address for i in instances}


def test_an_empty_pool_is_waited_for_with_its_reason(cloud):
    [first, *_] = start(cloud, 3)
    [late] = start(cloud)
    assert reasons(late) == ["mac"]
    cloud.terminate(first)
    assert not late.status.live
    cloud.gone(first)
    assert late.status.mac_address == first.status.mac_address


def test_an_address_given_back_rests_as_long_as_others_are_free(cloud):
    [first] = start(cloud)
    cloud.terminate(first)
    cloud.gone(first)
    assert first.status.mac_address not in addresses(start(cloud, 2))


def test_an_address_that_is_asked_for_may_be_of_the_range_or_not(cloud):
    asked = [
        *start(cloud, overrides=Overrides(mac_address=FIRST)),
        *start(cloud, overrides=Overrides(mac_address=OUTSIDE)),
    ]
    assert addresses(asked) == [FIRST, OUTSIDE]
    assert FIRST not in addresses(start(cloud, 2))


def test_an_address_in_use_is_waited_for_and_holds_up_nobody_else(cloud):
    [holder] = start(cloud, overrides=Overrides(mac_address=OUTSIDE))
    [waiter] = start(cloud, overrides=Overrides(mac_address=OUTSIDE))
    assert [r.message for r in waiter.status.reasons] == ["the MAC address asked for is in use"]
    assert start(cloud)[0].status.live
    cloud.terminate(holder)
    cloud.gone(holder)
    assert waiter.status.mac_address == OUTSIDE


def test_a_failed_attempt_gives_its_address_back(cloud):
    [first, *_] = start(cloud, 3)
    cloud.failed(first, final=True)
    assert start(cloud)[0].status.mac_address == first.status.mac_address


def test_a_vm_that_was_left_keeps_its_address(cloud):
    [first, *_] = start(cloud, 3)
    cloud.failed(first, final=True, vm_left=True)
    assert reasons(start(cloud)[0]) == ["mac"]


def test_an_address_that_a_vm_is_seen_with_is_not_given_to_another(cloud):
    [suspended] = start(cloud, template=_suspended())
    assert suspended.status.mac_address == ""
    cloud.started(suspended, info=some_info(mac_address=FIRST.lower()))
    assert FIRST not in addresses(start(cloud, 2))
    assert reasons(start(cloud)[0]) == ["mac"]


def test_what_is_no_address_at_all_does_no_harm(cloud):
    [suspended] = start(cloud, template=_suspended())
    cloud.started(suspended, info=some_info(mac_address="unknown"))
    assert len(set(addresses(start(cloud, 3)))) == 3


def test_a_node_whose_driver_takes_no_address_is_passed_over():
    cloud = Cloud(POOL)
    cloud.join("n")
    assert reasons(start(cloud)[0]) == ["capability"]


def test_without_management_hypervisors_choose():
    cloud = a_cloud(None)
    [instance] = start(cloud)
    assert (instance.status.live, instance.status.mac_address) == (True, "")
    assert cloud.sent(RunVm)[0].overrides.mac_address is None


def test_a_purged_pool_has_nothing_until_it_is_filled(cloud):
    [before] = start(cloud)
    purge(cloud)
    [waiter] = start(cloud)
    assert reasons(waiter) == ["mac"]
    cloud.terminate(before)
    cloud.gone(before)
    assert not waiter.status.live
    fill(cloud)
    assert waiter.status.live


def test_a_wish_that_comes_late_or_twice_changes_nothing(cloud):
    purge(cloud)
    fill(cloud)
    purge(cloud)
    assert start(cloud)[0].status.live
    assert cloud.world.macs.status.observed_generation == 3


def test_after_a_take_over_every_address_is_still_held(cloud):
    held = start(cloud, 2)
    successor = a_cloud(POOL)
    for instance in held:
        successor.world.load_instance(
            InstanceDocument(
                id=instance.id,
                created=instance.created,
                status_revision=instance.revision,
                spec=instance.spec,
                status=instance.status,
            )
        )
    [new] = start(successor)
    assert new.status.mac_address not in addresses(held)
    assert reasons(start(successor)[0]) == ["mac"]


def test_a_large_pool_is_used_up_to_its_last_address():
    last = POOL.first + 999
    cloud = Cloud(MacRange(POOL.first, last))
    cloud.join("n", capacity=2000, capabilities=("mac_address",))
    instances = start(cloud, 1000)
    assert len(set(addresses(instances))) == 1000
    assert mac_text(last) in addresses(instances)
    cloud.terminate(instances[500])
    cloud.gone(instances[500])
    assert addresses(start(cloud)) == [instances[500].status.mac_address]


def test_a_silent_node_s_vms_keep_their_addresses():
    cloud = a_cloud(POOL, offline=30)
    instances = start(cloud, 3)
    for instance in instances:
        cloud.started(instance)
    cloud.later(60)
    assert all(instance.status.lost for instance in instances)
    cloud.join("other", capacity=9, capabilities=("mac_address",))
    assert reasons(start(cloud)[0]) == ["mac"]


@pytest.fixture
def forsaken():
    """A cloud with one address; its holder was ended while its node was silent, and is gone."""
    cloud = a_cloud(MacRange(POOL.first, POOL.first), offline=30, keep=10)
    [instance] = start(cloud)
    cloud.started(instance)
    cloud.later(60)
    cloud.terminate(instance)
    cloud.later(40)
    assert instance.status.ended
    cloud.join("other", capacity=9, capabilities=("mac_address",))
    cloud.later(11)
    assert instance.id not in cloud.world.instances
    return cloud, instance


def test_a_vm_that_may_be_left_on_a_silent_node_keeps_its_address(forsaken):
    cloud, instance = forsaken
    [waiter] = start(cloud)
    assert reasons(waiter) == ["mac"]
    cloud.heartbeat("n", cloud.line(instance))
    assert not waiter.status.live
    cloud.heartbeat("n")
    assert waiter.status.mac_address == FIRST


def test_a_node_that_is_removed_gives_all_its_addresses_back(forsaken):
    cloud, _ = forsaken
    [waiter] = start(cloud)
    cloud.say(DeleteNode(node_id="n", generation=2, spec=NodeSpec(remove=True)))
    assert waiter.status.mac_address == FIRST


def test_a_node_that_returns_in_time_gives_the_address_back_at_once():
    cloud = a_cloud(MacRange(POOL.first, POOL.first), offline=30, keep=1000)
    [instance] = start(cloud)
    cloud.started(instance)
    cloud.later(60)
    cloud.terminate(instance)
    cloud.later(40)
    [waiter] = start(cloud)
    assert reasons(waiter) == ["mac"]
    cloud.gone(instance)
    cloud.heartbeat("n")
    assert waiter.status.mac_address == FIRST


@pytest.mark.parametrize(
    "text",
    [
        "",
        "02:00:00:00:00:00",
        "02:00:00:00:00:02-02:00:00:00:00:01",
        "03:00:00:00:00:00-03:00:00:00:00:FF",
        "00:00:00:00:00:00-02:00:00:00:00:00",
        "02:00:00:00:00-02:00:00:00:00:FF",
    ],
)
def test_a_range_must_be_of_network_cards(text):
    with pytest.raises(BadSettings):
        parse_range(text)


def test_addresses_are_managed_only_when_wished():
    assert SchedulerSettings().macs() is None
    managed = SchedulerSettings(manage_mac_addresses=True, mac_addr_range=f"{FIRST}-{FIRST}")
    assert managed.macs() == MacRange(POOL.first, POOL.first)


def _suspended():
    return msgspec.structs.replace(TEMPLATE, suspended=True)
