"""When an endpoint is spared, left alone, and given up."""

from datetime import UTC, datetime, timedelta

from event_pusher.domain.condition import FIRST_PAUSE, LONGEST_HOLD, Condition, Limits

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LIMITS = Limits(parallel=8, patience=3, longest_pause=4.0, days=5.0)


def failing(times, moment=0.0, now=NOW):
    condition = Condition(LIMITS)
    for _ in range(times):
        condition.failed(moment, now)
    return condition


def test_a_few_failures_change_nothing():
    assert failing(2).allowance(0.0) == 8


def test_after_too_many_in_a_row_a_pause_then_one_at_a_time():
    condition = failing(3)
    assert condition.allowance(0.0) == 0
    assert condition.allowance(FIRST_PAUSE) == 1


def test_requests_that_were_in_flight_together_count_as_one_probe():
    condition = failing(64)
    assert condition.allowance(FIRST_PAUSE) == 1


def test_pauses_double_up_to_the_longest():
    condition, moment, pauses = failing(3), 0.0, []
    for _ in range(6):
        began = moment
        while not condition.allowance(moment):
            moment += 0.5
        pauses.append(moment - began)
        condition.failed(moment, NOW)
    assert pauses == [0.5, 1.0, 2.0, 4.0, 4.0, 4.0]


def test_one_arrival_ends_it():
    condition = failing(30)
    condition.arrived()
    assert (condition.allowance(0.0), condition.failing_since) == (8, None)


def test_a_busy_receiver_is_left_alone_as_long_as_it_wishes_within_reason():
    condition = Condition(LIMITS)
    condition.hold(0.0, 60.0)
    assert (condition.allowance(59.0), condition.allowance(60.0)) == (0, 8)
    condition.hold(60.0, 1e9)
    assert condition.allowance(60.0 + LONGEST_HOLD) == 8


def test_what_was_on_its_way_before_a_hold_does_not_end_it():
    condition = failing(1)
    condition.hold(0.0, 60.0)
    condition.arrived()
    assert (condition.allowance(59.0), condition.allowance(60.0)) == (0, 8)


def test_hopeless_is_who_failed_for_days_and_does_so_now():
    condition = failing(3)
    assert not condition.hopeless(NOW + timedelta(days=4))
    assert condition.hopeless(NOW + timedelta(days=5))
    condition.arrived()
    assert not condition.hopeless(NOW + timedelta(days=5))


def test_the_first_failure_after_a_restart_is_not_yet_hopeless():
    condition = Condition(LIMITS, failing_since=NOW)
    condition.failed(0.0, NOW + timedelta(days=9))
    assert condition.failing_since == NOW
    assert not condition.hopeless(NOW + timedelta(days=9))
