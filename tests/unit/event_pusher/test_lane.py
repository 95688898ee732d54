"""What of the log goes to an endpoint, and where a replay begins and ends."""

from datetime import timedelta

from contracts.webhooks import OpenDelivery, Replay, ReplayProgress
from event_pusher.domain.delivery import Window
from event_pusher.domain.lane import Lane, ReplayLane, first_progress
from tests.pushing import AT, a_parcel

LOG = [a_parcel(n, f"i{n}") for n in range(1, 21)]


def numbers(parcels):
    return [parcel.sequence for parcel in parcels]


def a_lane(wanted=lambda _: True, limit=100, cursor=0):
    return Lane(Window(cursor, limit), lambda: 20, wanted)


def a_replay(first, last, limit=100, progress=None, **given):
    replay = Replay(number=1, first=first, last=last, **given)
    return ReplayLane(replay, progress or first_progress(replay, ()), limit, lambda _: True)


def test_what_is_not_wanted_is_passed_over():
    lane = a_lane(lambda parcel: parcel.sequence % 5 == 0)
    assert numbers(lane.take(LOG)) == [5, 10, 15, 20]
    assert (lane.window.cursor, len(lane.window), lane.behind) == (20, 4, False)


def test_only_what_is_wanted_takes_room():
    lane = a_lane(lambda parcel: parcel.sequence > 10, limit=3)
    assert numbers(lane.take(LOG)) == [11, 12, 13]
    assert lane.window.cursor == 13
    lane.window.done(12)
    assert numbers(lane.take(LOG)) == [14]


def test_what_was_taken_meanwhile_is_not_taken_again():
    lane = a_lane(cursor=15)
    assert numbers(lane.take(LOG)) == [16, 17, 18, 19, 20]


def test_a_replay_ends_where_it_should_and_is_done_when_all_arrived():
    lane = a_replay(3, 5)
    assert numbers(lane.take(LOG[2:])) == [3, 4, 5]
    assert (lane.behind, lane.done) == (False, False)
    for sequence in (3, 4, 5):
        lane.window.done(sequence)
    assert lane.done


def test_a_replay_of_what_is_not_in_the_log_any_more_is_done():
    lane = a_replay(3, 5)
    lane.take(LOG[9:])
    assert lane.done
    lane = a_replay(3, 5)
    lane.end()
    assert lane.done


def test_a_replay_is_narrowed_by_time():
    lane = a_replay(1, 20, since=AT + timedelta(seconds=1))
    assert lane.take(LOG) == []
    assert lane.done
    lane = a_replay(1, 20, until=AT)
    assert lane.take(LOG) == []
    assert numbers(a_replay(1, 2, since=AT).take(LOG)) == [1, 2]


def test_only_what_was_given_up_within_the_range_comes_again():
    replay = Replay(number=3, first=5, last=9, failed=True)
    assert first_progress(replay, (9, 2, 7, 12)) == ReplayProgress(
        number=3, cursor=9, open=(OpenDelivery(sequence=7), OpenDelivery(sequence=9))
    )


def test_progress_tells_how_far_a_replay_is():
    lane = a_replay(3, 9, limit=2)
    lane.take(LOG[2:])
    lane.window.done(3)
    assert lane.progress() == ReplayProgress(number=1, cursor=4, open=(OpenDelivery(sequence=4),))
