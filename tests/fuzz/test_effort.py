"""What is tried, and for how long."""

import pytest

from tests.fuzz.effort import rounds, wanted


def test_a_test_has_the_time_for_new_tries_and_for_the_last_round():
    assert wanted({"CORRAL_FUZZ_SECONDS": "7200"}).limit > 7200 + 600
    assert not wanted({}).long


@pytest.mark.parametrize("seconds", [{}, {"CORRAL_FUZZ_SECONDS": "0"}])
def test_a_seed_alone_makes_its_round_again_and_no_other(seconds):
    effort = wanted({"CORRAL_FUZZ_SEED": "77"} | seconds)
    assert effort.long
    assert list(rounds(0.5, effort)) == [77]


def test_with_a_time_rounds_follow_each_other_from_the_seed():
    effort = wanted({"CORRAL_FUZZ_SEED": "77", "CORRAL_FUZZ_SECONDS": "600"})
    found = rounds(0.5, effort)
    assert [next(found) for _ in range(3)] == [77, 78, 79]
