"""The instance state machine, as one table.

A row is a state, a column a cause. ``-`` is stale: a late or repeated cause that changes nothing.
"""

from enum import StrEnum

from contracts.instances import InstanceState


class Cause(StrEnum):
    """What can move an instance."""

    PULLING = "pulling"
    """Its node downloads the tag."""
    PREPARING = "preparing"
    """Its node has the tag and makes the VM."""
    STARTED = "started"
    """Its node reported the VM up and its script done."""
    RETRY = "retry"
    """The attempt failed; another node may do."""
    FAILED = "failed"
    """The attempt failed for good."""
    STOPPED = "stopped"
    """The VM was found not running."""
    RUNNING = "running"
    """The VM was found running."""
    LOST = "lost"
    """Its node is silent."""
    VANISHED = "vanished"
    """Its node no longer has the VM."""
    TERMINATE = "terminate"
    """Somebody asked for its end."""
    GONE = "gone"
    """Its node confirmed that no VM is left."""
    SAVING = "saving"
    """A save was ordered from its node, or is still carried out there."""
    SAVED = "saved"
    """Its node pushed it; the VM has served."""
    SAVE_FAILED = "save_failed"
    """The save failed, or was given up; the VM stays."""


_TABLE = """
.            pulling  preparing   started  retry       failed  stopped  running  lost   vanished  terminate    gone        saving   saved        save_failed
Scheduling   Pulling  Scheduling  Started  Scheduling  Error   -        -        -      -         Terminating  -           -        -            -
Pulling      Pulling  Scheduling  Started  Scheduling  Error   -        -        -      -         Terminating  -           -        -            -
Started      -        -           Started  -           Error   Stopped  Started  Error  Error     Terminating  -           Pushing  -            -
Stopping     -        -           Started  -           Error   Stopped  -        Error  Error     Terminating  -           -        -            -
Stopped      -        -           Started  -           Error   Stopped  Started  Error  Error     Terminating  -           -        -            -
Pushing      -        -           -        -           Error   -        -        Error  Error     Terminating  -           Pushing  Terminating  Started
Error        -        -           Started  -           -       Stopped  Started  -      Error     Terminating  -           Pushing  -            -
Terminating  -        -           -        -           -       -        -        -      -         -            Terminated  -        -            -
Terminated   -        -           -        -           -       -        -        -      -         -            -           -        -            -
"""  # noqa: E501 -- a table is read along its rows


def _parsed() -> dict[tuple[InstanceState, Cause], InstanceState | None]:
    head, *rows = [line.split() for line in _TABLE.strip().splitlines()]
    causes = [Cause(word) for word in head[1:]]
    return {
        (InstanceState(row[0]), cause): None if word == "-" else InstanceState(word)
        for row in rows
        for cause, word in zip(causes, row[1:], strict=True)
    }


TRANSITIONS = _parsed()
"""(state, cause) to the next state; None where the cause is stale."""
