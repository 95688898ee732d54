"""The whole page, made anew at most once a second."""

from api_gateway.exporter.instances import write_instances
from api_gateway.exporter.nodes import write_nodes
from api_gateway.exporter.registry import write_registry
from api_gateway.exporter.text import Text
from api_gateway.projection import Projection
from api_gateway.registry_client import Registry
from chassis.clock import Clock

_FRESH_SECONDS = 1.0


class Exporter:
    """Call it for the metrics as text; nothing is counted in between."""

    def __init__(self, projection: Projection, registry: Registry, clock: Clock) -> None:
        self._projection = projection
        self._registry = registry
        self._clock = clock
        self._made = float("-inf")
        self._page = b""

    def __call__(self) -> bytes:
        """The metrics now, or as they were a moment ago."""
        now = self._clock.monotonic()
        if now - self._made >= _FRESH_SECONDS:
            self._page, self._made = self._write(), now
        return self._page

    def _write(self) -> bytes:
        text = Text()
        write_instances(text, self._projection, self._clock.now())
        write_nodes(text, self._projection)
        write_registry(text, self._projection.templates, self._registry)
        return text.encoded()
