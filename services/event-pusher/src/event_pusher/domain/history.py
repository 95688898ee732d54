"""The last attempts at an endpoint, for people to look at."""

from collections import deque

from contracts.webhooks import Attempt, HistoryDocument, Outcome

KEPT = 100
"""Attempts that are kept of those that arrived, and of those that did not."""


class History:
    """``moved``: it is newer than what was stored."""

    def __init__(self, known: HistoryDocument) -> None:
        self.moved = False
        self._id = known.id
        self._arrived: deque[Attempt] = deque(maxlen=KEPT)
        self._failed: deque[Attempt] = deque(maxlen=KEPT)
        for attempt in known.attempts:
            self._shelf(attempt).append(attempt)

    def add(self, attempt: Attempt) -> None:
        """One more; the oldest of its sort goes."""
        self._shelf(attempt).append(attempt)
        self.moved = True

    def document(self) -> HistoryDocument:
        """What to store."""
        attempts = sorted([*self._arrived, *self._failed], key=lambda attempt: attempt.at)
        return HistoryDocument(id=self._id, attempts=tuple(attempts))

    def _shelf(self, attempt: Attempt) -> deque[Attempt]:
        return self._arrived if attempt.outcome is Outcome.DELIVERED else self._failed
