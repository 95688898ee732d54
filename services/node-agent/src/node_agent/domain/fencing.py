"""Which orders are still meant: (attempt, epoch) compared per instance."""

from datetime import datetime
from enum import Enum, auto

from contracts.vms import RunVm
from node_agent.domain.record import Record


class Answer(Enum):
    """What becomes of a RunVm.

    ACCEPT: begin it (and end what an older attempt left). REPEAT: say again what is known.
    GONE: a StopVm said that this attempt must not be. REFUSE: a newer decision is known.
    TOO_LATE: its deadline has passed, another node may try.
    """

    ACCEPT = auto()
    REPEAT = auto()
    GONE = auto()
    REFUSE = auto()
    TOO_LATE = auto()


def answer_run(known: Record | None, run: RunVm, now: datetime) -> Answer:
    """Decide on a RunVm from what is known of its instance."""
    fresh = Answer.TOO_LATE if now > run.deadline else Answer.ACCEPT
    if known is None:
        return fresh
    if run.attempt <= known.stopped:
        return Answer.GONE
    if run.attempt < known.attempt or run.epoch < known.epoch:
        return Answer.REFUSE
    if run.attempt == known.attempt:
        return Answer.REPEAT
    return fresh
