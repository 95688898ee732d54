from itertools import product

import pytest

from contracts.instances import InstanceState
from scheduler.domain.transitions import TRANSITIONS, Cause


def test_every_state_and_cause_is_decided():
    assert set(TRANSITIONS) == set(product(InstanceState, Cause))


def test_nothing_leaves_terminated():
    assert all(TRANSITIONS[InstanceState.TERMINATED, cause] is None for cause in Cause)


def test_terminating_ends_only_when_the_node_confirms():
    leaving = {c for c in Cause if TRANSITIONS[InstanceState.TERMINATING, c] is not None}
    assert leaving == {Cause.GONE}


@pytest.mark.parametrize(
    "state", [s for s in InstanceState if s not in {"Terminating", "Terminated"}]
)
def test_termination_is_accepted_in_every_living_state(state):
    assert TRANSITIONS[state, Cause.TERMINATE] is InstanceState.TERMINATING


def test_a_save_is_left_by_its_outcome_or_the_end_of_the_vm_only():
    moves = {c: TRANSITIONS[InstanceState.PUSHING, c] for c in Cause}
    assert {c: s for c, s in moves.items() if s not in {None, InstanceState.PUSHING}} == {
        Cause.SAVED: InstanceState.TERMINATING,
        Cause.TERMINATE: InstanceState.TERMINATING,
        Cause.SAVE_FAILED: InstanceState.STARTED,
        Cause.FAILED: InstanceState.ERROR,
        Cause.LOST: InstanceState.ERROR,
        Cause.VANISHED: InstanceState.ERROR,
    }
