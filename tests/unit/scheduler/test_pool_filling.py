"""How a pool is brought to its size, and what becomes of its members."""

from datetime import UTC, datetime

import pytest

from contracts.instances import InstanceState
from contracts.pools import Shift
from contracts.vms import Overrides, RunVm
from scheduler.domain.pools import wished_size
from tests.unit.scheduler.builders import Cloud, a_template
from tests.unit.scheduler.pools import a_pool, all_started, claim, fill, kept

MONDAY = datetime(2031, 5, 5, tzinfo=UTC)
NIGHT = Shift(days=("mon",), begin=22 * 60, end=6 * 60, size=9)
DAY = Shift(days=("mon", "tue"), begin=8 * 60, end=18 * 60, size=5)


@pytest.fixture
def cloud():
    cloud = Cloud()
    cloud.join(capacity=4)
    cloud.join("n2", capacity=4)
    return cloud


@pytest.mark.parametrize(
    ("hours", "size"),
    [(7, 1), (8, 5), (17.99, 5), (18, 1), (22, 9), (24 + 5.99, 9), (24 + 6, 1), (24 + 8, 5)],
)
def test_the_first_shift_that_covers_the_hour_gives_the_size(hours, size):
    now = datetime.fromtimestamp(MONDAY.timestamp() + hours * 3600, UTC)
    assert wished_size(a_pool(size=1, schedule=(DAY, NIGHT)), now) == size


def test_a_schedule_follows_the_clocks_of_its_zone_through_summer_time():
    pool = a_pool(size=0, schedule=(DAY,), time_zone="Europe/Berlin")
    winter, summer = datetime(2031, 1, 6, 7, tzinfo=UTC), datetime(2031, 7, 7, 6, tzinfo=UTC)
    assert [wished_size(pool, moment) for moment in (winter, summer)] == [5, 5]
    early = [moment.replace(minute=59, hour=moment.hour - 1) for moment in (winter, summer)]
    assert [wished_size(pool, moment) for moment in early] == [0, 0]


def test_a_pool_is_filled_once(cloud):
    assert fill(cloud, a_pool()) == []
    members = kept(cloud)
    assert [member.spec.priority for member in members] == [10000, 10000]
    assert len(cloud.sent(RunVm)) == 2
    assert fill(cloud, a_pool()) == []
    assert kept(cloud) == members


def test_a_claim_leaves_a_place_that_is_filled(cloud):
    fill(cloud, a_pool())
    all_started(cloud)
    first = kept(cloud)[0]
    claim(cloud, first, name="mine")
    assert (first.status.claimed, first.status.state) == (True, InstanceState.STARTED)
    assert first not in kept(cloud)
    fill(cloud, a_pool())
    assert len(kept(cloud)) == 2


def test_a_claim_is_told_like_a_start_and_a_member_not_at_all(cloud):
    said = []
    fill(cloud, a_pool(size=1))
    [member] = kept(cloud)
    member.happened = lambda kind, *_, **__: said.append(str(kind))
    all_started(cloud)
    assert said == []
    claim(cloud, member)
    claim(cloud, member)
    assert said == ["StartVM", "VMStarted"]


def test_a_member_that_failed_is_replaced_after_a_while(cloud):
    fill(cloud, a_pool(size=1))
    [member] = kept(cloud)
    cloud.failed(member, final=True)
    assert fill(cloud, a_pool(size=1)) == []
    cloud.later(59)
    assert fill(cloud, a_pool(size=1)) == []
    cloud.later(1)
    assert fill(cloud, a_pool(size=1)) == [member.id]
    assert [other.id != member.id for other in kept(cloud)] == [True]


def test_how_long_ended_records_are_shown_says_nothing_about_failed_members():
    cloud = Cloud(keep=1.0)
    cloud.join()
    fill(cloud, a_pool(size=1))
    cloud.failed(kept(cloud)[0], final=True)
    cloud.later(59)
    assert fill(cloud, a_pool(size=1)) == []


def test_a_member_whose_end_is_wished_waits_for_no_node_any_more():
    cloud = Cloud()
    fill(cloud, a_pool())
    members = kept(cloud)
    assert [member.waiting for member in members] == [True, True]
    assert len(fill(cloud)) == 2
    assert [member.waiting for member in members] == [False, False]
    cloud.join()
    assert cloud.sent(RunVm) == []


def test_nobody_hears_of_a_member_whose_vm_stays(cloud):
    fill(cloud, a_pool(size=1))
    [member] = kept(cloud)
    said = []
    member.happened = lambda kind, *_, **__: said.append(str(kind))
    cloud.failed(member, final=True)
    for _ in range(cloud.limits.unknown_reports):
        cloud.heartbeat(member.status.node_id, cloud.line(member))
    assert (member.strays, said) == (cloud.limits.unknown_reports, [])


def test_a_member_that_is_gone_is_replaced_at_once(cloud):
    fill(cloud, a_pool(size=1))
    [member] = kept(cloud)
    cloud.terminate(member)
    cloud.gone(member)
    fill(cloud, a_pool(size=1))
    assert len(kept(cloud)) == 1


def test_a_smaller_pool_ends_those_that_are_not_ready_first(cloud):
    fill(cloud, a_pool(size=3))
    ready = kept(cloud)[1]
    cloud.started(ready)
    assert len(fill(cloud, a_pool(size=1))) == 2
    assert kept(cloud) == [ready]
    assert fill(cloud, a_pool(size=1)) == []


def test_members_of_a_pool_that_is_gone_end(cloud):
    fill(cloud, a_pool())
    assert len(fill(cloud)) == 2
    assert kept(cloud) == []


@pytest.mark.parametrize(
    "change", [{"tag": "v2"}, {"group_id": "g1"}, {"overrides": Overrides(vcpu=4)}]
)
def test_members_that_no_longer_fit_are_replaced(cloud, change):
    cloud.templates["tpl"] = a_template(tags=("v2", "v1"))
    fill(cloud, a_pool())
    old = {member.id for member in kept(cloud)}
    assert set(fill(cloud, a_pool(**change))) == old
    assert len(kept(cloud)) == 2


def test_a_pool_of_the_latest_follows_a_new_tag(cloud):
    fill(cloud, a_pool())
    cloud.templates["tpl"] = a_template(tags=("v1", "v2"))
    assert len(fill(cloud, a_pool())) == 2
    assert {member.spec.template.tag for member in kept(cloud)} == {"v2"}


def test_a_pool_without_its_tag_keeps_nothing(cloud):
    fill(cloud, a_pool())
    cloud.templates.clear()
    assert len(fill(cloud, a_pool())) == 2
    assert kept(cloud) == []


def test_a_pool_grows_and_shrinks_by_the_clock(cloud):
    eleven = Shift(days=("sun",), begin=11 * 60, end=12 * 60, size=3)
    pool = a_pool(size=1, schedule=(eleven,))
    sizes = []
    for _ in range(3):
        fill(cloud, pool)
        sizes.append(len(kept(cloud)))
        all_started(cloud)
        cloud.later(3600)
    assert sizes == [1, 3, 1]
