"""The documented life of instances as a model, and what of it can be asked of a cloud."""

from dataclasses import dataclass, field
from typing import Any

GONE = ""
RANK = {
    "Scheduling": 0,
    "Pulling": 0,
    "Started": 1,
    "Stopping": 1,
    "Stopped": 1,
    "Error": 1,
    "Terminating": 2,
    "Terminated": 3,
    GONE: 4,
}
"""How far each state is. Some are too short to be seen, but a lower rank never follows a higher."""

ENDED = frozenset({"Terminating", "Terminated", GONE})


@dataclass
class Instance:
    """What was asked of one. ``ending``: by a call; ``mortal``: it has a time to live."""

    labels: dict[str, Any]
    mortal: bool = False
    ending: bool = False
    seen: str = "Scheduling"

    def relabel(self, labels: dict[str, Any]) -> None:
        """Labels were changed: others stay, and so do other keys of the metadata."""
        metadata = self.labels.get("metadata", {}) | labels.get("metadata", {})
        self.labels |= labels | ({"metadata": metadata} if metadata else {})

    def see(self, state: str) -> None:
        """It is in this state now; AssertionError when that cannot be."""
        assert RANK.get(state, -1) >= RANK[self.seen], f"{self.seen} became {state}"
        if self.ending:
            assert state in ENDED, f"{state} after it was terminated"
        elif not self.mortal:
            assert state not in ENDED, f"{state}, and nobody has ended it"
        self.seen = state


@dataclass
class Model:
    """Everything that was asked of a cloud and accepted."""

    instances: dict[str, Instance] = field(default_factory=dict)
    keys: dict[str, tuple[dict[str, Any], list[str]]] = field(default_factory=dict)
    groups: dict[str, set[str]] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    drained: set[str] = field(default_factory=set)

    def started(self, ids: list[str], wish: dict[str, Any]) -> None:
        """A start was accepted."""
        labels = {name: wish[name] for name in ("name", "external_id", "metadata") if name in wish}
        for identity in ids:
            assert identity not in self.instances, "an id was given twice"
            self.instances[identity] = Instance(dict(labels), mortal="ttl" in wish)

    def lasting(self) -> dict[str, Instance]:
        """Those that must be there."""
        return {i: one for i, one in self.instances.items() if not (one.ending or one.mortal)}
