"""The spans of a start that the scheduler knows of: each wait for a node, each attempt."""

from collections.abc import Iterable

from chassis import tracing
from scheduler.domain.instance import Instance


def trace(instances: Iterable[Instance]) -> None:
    """Record the steps that are over, once they are committed."""
    for instance in instances:
        for step in instance.steps:
            tracing.record(
                f"scheduler.{step.name}",
                instance.spec.trace,
                (step.begun, step.ended),
                step.failure,
                instance=instance.id,
                node=step.node_id,
                attempt=step.attempt,
            )
        instance.steps = ()
