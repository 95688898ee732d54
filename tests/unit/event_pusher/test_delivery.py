"""Which parcels may go, in which order, and what a restart takes up."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from contracts.webhooks import OpenDelivery
from event_pusher.domain.delivery import Window
from tests.pushing import a_parcel

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(seconds=30)


def numbers(parcels):
    return [parcel.sequence for parcel in parcels]


def test_different_subjects_go_at_once():
    window = Window(0)
    assert numbers(window.add([a_parcel(1, "a"), a_parcel(2, "b")])) == [1, 2]


def test_the_second_of_a_subject_waits_for_the_first():
    window = Window(0)
    assert numbers(window.add([a_parcel(1), a_parcel(2)])) == [1]
    assert numbers(window.done(1)) == [2]


def test_a_failed_one_holds_up_its_own_subject_only():
    window = Window(0)
    window.add([a_parcel(1, "a"), a_parcel(2, "a")])
    window.failed(1, LATER)
    assert numbers(window.add([a_parcel(3, "b"), a_parcel(4, "a")])) == [3]
    assert window.due(NOW) == []
    assert numbers(window.due(LATER)) == [1]
    assert numbers(window.done(1)) == [2]


def test_a_due_one_is_handed_out_once():
    window = Window(0)
    window.add([a_parcel(1)])
    window.failed(1, NOW)
    assert numbers(window.due(NOW)) == [1]
    assert window.due(NOW) == []


def test_the_window_is_bounded():
    window = Window(0, limit=2)
    window.add([a_parcel(1), a_parcel(2, "b")])
    assert window.room == 0
    window.done(2)
    assert window.room == 1


def test_events_are_added_in_log_order_only():
    window = Window(5)
    with pytest.raises(ValueError, match="sequence 5"):
        window.add([a_parcel(5)])


def test_progress_tells_what_is_open_beside_the_cursor():
    window = Window(0)
    window.add([a_parcel(1, "a"), a_parcel(2, "b"), a_parcel(3, "a")])
    window.done(2)
    window.failed(1, LATER)
    progress = window.progress()
    assert progress.cursor == 3
    assert progress.open == (
        OpenDelivery(sequence=1, attempts=1, due=LATER),
        OpenDelivery(sequence=3),
    )


def test_a_restart_keeps_attempts_and_due_times():
    window = Window(3)
    open_ = [OpenDelivery(sequence=1, attempts=4, due=LATER), OpenDelivery(sequence=3)]
    assert window.restore([a_parcel(3), a_parcel(1)], open_) == []
    assert numbers(window.due(LATER)) == [1]
    window.failed(1, LATER)
    assert window.attempts(1) == 5


SUBJECTS = st.sampled_from("abc")


class Deliveries(RuleBasedStateMachine):
    """An endless log, a receiver that answers as it likes, crashes that lose what is unsaved."""

    def __init__(self):
        super().__init__()
        self.log = []
        self.received = []
        self.flying = {}
        self.now = NOW
        self.window = Window(0, limit=6)
        self.saved = self.window.progress()

    @rule(subject=SUBJECTS)
    def happen(self, subject):
        self.log.append(a_parcel(len(self.log) + 1, subject))

    @rule()
    def fill(self):
        self.fly(self.window.add(self.log[self.window.cursor :][: self.window.room]))

    @rule(data=st.data())
    def arrive(self, data):
        if self.flying:
            parcel = self.flying.pop(data.draw(st.sampled_from(sorted(self.flying))))
            self.received.append(parcel)
            self.fly(self.window.done(parcel.sequence))

    @rule(data=st.data(), seconds=st.integers(0, 3))
    def fail(self, data, seconds):
        if self.flying:
            parcel = self.flying.pop(data.draw(st.sampled_from(sorted(self.flying))))
            self.window.failed(parcel.sequence, self.now + timedelta(seconds=seconds))

    @rule()
    def wait(self):
        self.now += timedelta(seconds=1)
        self.fly(self.window.due(self.now))

    @rule()
    def save(self):
        self.saved = self.window.progress()

    @rule()
    def crash(self):
        self.flying = {}
        self.window = Window(self.saved.cursor, limit=6)
        open_ = [self.log[delivery.sequence - 1] for delivery in self.saved.open]
        self.fly(self.window.restore(open_, self.saved.open))

    def fly(self, parcels):
        for parcel in parcels:
            assert parcel.sequence not in self.flying
            self.flying[parcel.sequence] = parcel

    @invariant()
    def one_in_flight_per_subject(self):
        subjects = [parcel.subject for parcel in self.flying.values()]
        assert len(subjects) == len(set(subjects))

    @invariant()
    def bounded(self):
        assert len(self.window) <= 6

    @invariant()
    def first_arrivals_keep_the_order_of_their_subject(self):
        for subject in "abc":
            first = list(dict.fromkeys(p.sequence for p in self.received if p.subject == subject))
            assert first == sorted(first)

    def teardown(self):
        for _ in range(10 * len(self.log) + 10):
            self.fill()
            self.wait()
            for sequence in sorted(self.flying):
                parcel = self.flying.pop(sequence)
                self.received.append(parcel)
                self.fly(self.window.done(sequence))
        assert {p.sequence for p in self.received} == {p.sequence for p in self.log}
        assert self.window.progress().open == ()


TestDeliveries = Deliveries.TestCase
TestDeliveries.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
