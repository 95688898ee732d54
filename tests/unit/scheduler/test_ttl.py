"""An instance with a time to live ends by itself, counted from Started."""

import msgspec
import pytest

from contracts.instances import InstanceDocument, InstanceState, UpdateVM
from contracts.vms import StopVm
from tests.unit.scheduler.builders import (
    START,
    Cloud,
    a_cloud_that_saves,
    an_image_request,
    an_instance,
)


@pytest.fixture
def cloud():
    cloud = Cloud(offline=1000)
    cloud.join()
    return cloud


def update(cloud, instance, ttl):
    spec = msgspec.structs.replace(instance.spec, ttl=ttl)
    generation = instance.generation + 1
    cloud.say(UpdateVM(instance_id=instance.id, generation=generation, spec=spec))


def test_it_ends_so_long_after_it_was_started_and_says_why(cloud):
    [instance] = cloud.start(an_instance(ttl=60))
    cloud.later(100)
    cloud.started(instance)
    cloud.later(59)
    assert (instance.status.state, cloud.sent(StopVm)) == (InstanceState.STARTED, [])
    cloud.later(1)
    assert instance.status.state == InstanceState.TERMINATING
    assert instance.status.message == "its time to live is over"
    [order] = cloud.sent(StopVm)
    assert (order.instance_id, order.attempt) == (instance.id, 1)
    cloud.gone(instance)
    assert instance.status.state == InstanceState.TERMINATED
    cloud.later(60)
    assert instance.id not in cloud.world.instances
    assert not cloud.world.mortal


def test_without_one_it_stays(cloud):
    instance = cloud.running()
    cloud.later(10_000_000)
    assert not instance.ending


def test_a_restart_or_a_return_does_not_begin_it_anew(cloud):
    instance = cloud.running(ttl=60)
    cloud.later(30)
    cloud.started(instance)
    cloud.later(30)
    assert instance.status.expired


def test_it_can_be_set_moved_and_taken_away_while_the_vm_runs(cloud):
    one, other = cloud.running(), cloud.running(ttl=60)
    update(cloud, one, 10)
    update(cloud, other, 0)
    cloud.later(30)
    assert (one.status.expired, other.status.expired) == (True, False)
    update(cloud, other, 20)
    cloud.later(0)
    assert other.status.expired


def test_one_that_is_lost_ends_as_well_and_its_vm_when_its_node_returns():
    cloud = Cloud(offline=10)
    cloud.join()
    instance = cloud.running(ttl=60)
    cloud.later(30)
    assert instance.status.state == InstanceState.ERROR
    cloud.later(30)
    assert (instance.status.state, instance.status.expired) == (InstanceState.TERMINATING, True)
    sent = len(cloud.sent(StopVm))
    cloud.started(instance)
    assert len(cloud.sent(StopVm)) == sent + 1
    cloud.later(30)
    assert instance.status.state == InstanceState.TERMINATED


def test_a_save_that_is_under_way_is_let_finish():
    cloud = a_cloud_that_saves(offline=1000)
    instance = cloud.running(ttl=60)
    [request] = cloud.save(an_image_request(instance.id))
    cloud.later(100)
    assert instance.status.state == InstanceState.PUSHING
    cloud.pushed(request, error="disk full")
    assert instance.status.state == InstanceState.STARTED
    cloud.later(1)
    assert instance.status.expired


def test_a_wish_to_end_it_after_its_time_is_no_second_end(cloud):
    instance = cloud.running(ttl=60)
    cloud.later(60)
    cloud.terminate(instance)
    assert instance.status.state == InstanceState.TERMINATING
    cloud.gone(instance)
    assert instance.status.state == InstanceState.TERMINATED


def test_a_successor_counts_on_from_the_document(cloud):
    instance = cloud.running(ttl=60)
    document = InstanceDocument(
        id=instance.id,
        status_revision=instance.revision,
        created=START,
        spec=instance.spec,
        status=instance.status,
    )
    successor = Cloud()
    successor.join()
    known = successor.world.load_instance(document)
    successor.later(59)
    assert not known.status.expired
    successor.later(1)
    assert known.status.expired
