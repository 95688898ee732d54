"""Where an answer may differ from the API page, and why: ``deviations.toml``."""

from typing import Literal

import msgspec

from tests.golden.examples import FOLDER, Example
from tests.golden.shapes import Difference


class Deviation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``whose``: the page is wrong or unclear, or it is we who answer otherwise.

    It concerns the ``examples`` named, at ``path``, for one ``kind`` of difference.
    """

    path: str
    kind: str
    whose: Literal["page", "ours"]
    why: str
    examples: tuple[str, ...]


class Misprint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A call that the page names wrongly; ``means`` is the call that works."""

    call: str
    means: str
    why: str


class Known(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    deviation: tuple[Deviation, ...] = ()
    misprint: tuple[Misprint, ...] = ()


def known() -> Known:
    """Every deviation and misprint."""
    return msgspec.toml.decode((FOLDER / "deviations.toml").read_bytes(), type=Known)


class Excuses:
    """The deviations, and which examples have needed them."""

    def __init__(self) -> None:
        self._deviations = known().deviation
        self._needed: set[tuple[str, str, str]] = set()

    def unexcused(self, example: Example, found: list[Difference]) -> list[Difference]:
        """What no deviation allows."""
        left = []
        for difference in found:
            key = (example.name, difference.path, difference.kind)
            if self._allows(key):
                self._needed.add(key)
            else:
                left.append(difference)
        return left

    def unneeded(self, replayed: set[str]) -> list[str]:
        """Deviations that were not needed by an example that was replayed, or that names none."""
        return [
            f"{name}: {deviation.path}: {deviation.kind}"
            for deviation in self._deviations
            for name in deviation.examples
            if name in replayed and (name, deviation.path, deviation.kind) not in self._needed
        ]

    def _allows(self, key: tuple[str, str, str]) -> bool:
        name, path, kind = key
        return any(
            (name in deviation.examples and (deviation.path, deviation.kind) == (path, kind))
            for deviation in self._deviations
        )
