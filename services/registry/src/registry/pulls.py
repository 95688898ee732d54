"""When tags were last pulled, written in batches."""

from collections import defaultdict
from datetime import datetime

from chassis.clock import Clock
from contracts.artifacts import template_id_of
from registry.metrics import PULLS
from registry.templates import Templates


class Pulls:
    """Remembers pulls until the next flush; a crash loses seconds of dates, nothing else."""

    def __init__(self, templates: Templates, clock: Clock) -> None:
        self._templates = templates
        self._clock = clock
        self._waiting: dict[str, dict[str, datetime]] = defaultdict(dict)

    def note(self, repository: str, digest: str) -> None:
        """Somebody fetched this manifest in order to have its content."""
        PULLS.inc()
        self._waiting[template_id_of(repository)][digest] = self._clock.now()

    async def flush(self) -> None:
        """Write what was noted; what could not be written is kept for the next time."""
        for template_id in list(self._waiting):
            noted = self._waiting.pop(template_id)
            try:
                await self._templates.pulled(template_id, noted)
            except Exception:
                self._waiting[template_id] = noted | self._waiting[template_id]
                raise

    async def start(self) -> None:
        """Nothing to begin."""

    async def stop(self) -> None:
        """Write the rest."""
        await self.flush()
