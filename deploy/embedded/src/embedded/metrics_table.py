"""The table of docs/metrics.md, read from the code: every metric that some service of ours tells.

``python -m embedded.metrics_table FILE`` writes it anew.
"""

import sys
from pathlib import Path

from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

import embedded.app as _every_service

BEGIN = "<!-- metrics: written by `make metrics` -->"
END = "<!-- end of metrics -->"

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


def renewed(page: str) -> str:
    """The page with the table as it is now; ValueError when it has no place for it."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no place for the table, between {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(renewed(page.read_text()))
