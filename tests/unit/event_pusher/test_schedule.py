"""When a failed delivery is tried again."""

from datetime import UTC, datetime, timedelta

import pytest

from event_pusher.domain.schedule import LONGEST_WISH, RETRY_SECONDS, next_try, wish_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_the_schedule_is_quick_at_first_slows_down_and_lasts_days():
    assert RETRY_SECONDS[0] <= 5
    assert list(RETRY_SECONDS) == sorted(RETRY_SECONDS)
    assert sum(RETRY_SECONDS) > 2 * 86_400


def test_each_failure_waits_for_its_own_pause():
    pauses = [next_try(NOW, attempts) - NOW for attempts in range(1, len(RETRY_SECONDS) + 1)]
    assert pauses == [timedelta(seconds=seconds) for seconds in RETRY_SECONDS]


def test_after_the_last_pause_nothing_follows():
    assert next_try(NOW, len(RETRY_SECONDS) + 1) is None


def test_the_receivers_wish_delays_but_never_hastens():
    assert next_try(NOW, 1, 90.0) == NOW + timedelta(seconds=90)
    assert next_try(NOW, 5, 90.0) == NOW + timedelta(seconds=RETRY_SECONDS[4])


def test_an_endless_wish_is_cut():
    assert next_try(NOW, 1, 1e12) == NOW + timedelta(seconds=LONGEST_WISH)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("0", 0.0),
        (" 120 ", 120.0),
        ("Thu, 01 Jan 2026 00:01:30 GMT", 90.0),
        ("Thu, 01 Jan 2026 00:01:30 -0000", 90.0),
        ("Wed, 31 Dec 2025 00:00:00 GMT", 0.0),
    ],
)
def test_retry_after_is_a_number_or_a_date(header, seconds):
    assert wish_of(header, NOW) == seconds
