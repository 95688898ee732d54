"""The table of docs/metrics.md, read from the code: every metric that some service of ours tells.

``python -m embedded.metrics_table FILE`` writes it anew.
"""

import sys
from pathlib import Path

from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

import embedded.app as _every_service
from embedded.page import Place

PLACE = Place("<!-- metrics: written by `make metrics` -->", "<!-- end of metrics -->")

OURS = "corral_"


def ours() -> list[MetricWrapperBase]:
    """All that are declared once every service is imported, by name."""
    assert _every_service.NAME
    known = list(REGISTRY._collector_to_names)  # noqa: SLF001 -- it has no other list of them
    metrics = [metric for metric in known if isinstance(metric, MetricWrapperBase)]
    return sorted((m for m in metrics if name_of(m).startswith(OURS)), key=name_of)


def name_of(metric: MetricWrapperBase) -> str:
    """As Prometheus shows it; a histogram's series end in _bucket, _sum and _count."""
    end = "_total" if metric._type == "counter" else ""  # noqa: SLF001 -- only it knows its kind
    return f"{metric._name}{end}"  # noqa: SLF001 -- see above


def labels_of(metric: MetricWrapperBase) -> tuple[str, ...]:
    """The names of its labels."""
    return tuple(metric._labelnames)  # noqa: SLF001 -- see above


def table() -> str:
    """In Markdown."""
    lines = ["| metric | kind | labels | meaning |", "|---|---|---|---|"]
    for metric in ours():
        labels = ", ".join(labels_of(metric)) or "—"
        kind, meaning = metric._type, metric._documentation  # noqa: SLF001 -- see above
        lines.append(f"| `{name_of(metric)}` | {kind} | {labels} | {meaning} |")
    return "\n".join(lines)


if __name__ == "__main__":
    PLACE.renew(Path(sys.argv[1]), table())
