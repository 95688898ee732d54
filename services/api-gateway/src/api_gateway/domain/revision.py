"""How far an instance has moved, as clients are told and repeat it."""

import re
from typing import NamedTuple

from api_gateway.domain.fields import BadField

MAX_WAIT = 60
"""Seconds that a call waits for news."""

REVISION = "([0-9]{1,18})[.]([0-9]{1,18})"
"""A pattern of the whole text."""

_REVISION = re.compile(REVISION)


class Revision(NamedTuple):
    """The counters of wish and world; written ``2.7``, which clients only repeat."""

    generation: int
    status_revision: int

    def __str__(self) -> str:
        return f"{self.generation}.{self.status_revision}"

    def moved_from(self, known: "Revision") -> bool:
        """Whether there is anything that somebody who knows ``known`` has not seen."""
        return self.generation > known.generation or self.status_revision > known.status_revision


def read_revision(text: str) -> Revision:
    """From a query. BadField."""
    found = _REVISION.fullmatch(text)
    if found is None:
        raise BadField("revision", "what X-Corral-Revision said")
    return Revision(int(found[1]), int(found[2]))
