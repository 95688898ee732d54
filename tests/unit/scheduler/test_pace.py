"""The figures of the last minute."""

import pytest

from tests.unit.scheduler.builders import START, Cloud, an_instance


@pytest.fixture
def cloud():
    cloud = Cloud(offline=10_000.0)
    cloud.join("n", capacity=2)
    return cloud


def stats(cloud):
    return cloud.world.pace.stats(cloud.world.instances.values(), 1, cloud.moment)


def start(cloud):
    [instance] = cloud.start(an_instance(created=cloud.now))
    return instance


def test_queue_time_is_the_mean_of_those_served_and_those_that_wait(cloud):
    first, _ = start(cloud), start(cloud)
    waiter = start(cloud)
    assert stats(cloud).average_queue_time == 0
    cloud.later(30)
    found = stats(cloud)
    assert found.average_queue_time == pytest.approx(10)
    assert (found.waiting, found.longest_wait) == (1, 30)
    cloud.terminate(first)
    cloud.gone(first)
    assert waiter.status.live
    served = stats(cloud)
    assert served.average_queue_time == pytest.approx(10)
    assert (served.waiting, served.longest_wait) == (0, 0)
    assert served.starts_per_second == pytest.approx(3 / 30)


def test_what_is_older_than_a_minute_does_not_count(cloud):
    start(cloud)
    cloud.later(61)
    found = stats(cloud)
    assert (found.average_queue_time, found.starts_per_second) == (0, 0)


def test_tasks_are_counted_per_second(cloud):
    for _ in range(40):
        cloud.later(1)
        cloud.world.pace.handled(3, cloud.moment)
    assert stats(cloud).tasks_per_second == pytest.approx(3)


def test_a_clock_that_is_behind_makes_no_negative_wait(cloud):
    cloud.start(an_instance(created=START.replace(hour=11)))
    assert stats(cloud).average_queue_time == 0
