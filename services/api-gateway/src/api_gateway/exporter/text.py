"""The Prometheus text format, line by line.

The samples of a client library's collector cost forty times as much, and a scrape of a thousand
nodes has the gateway for as long as it takes.
"""

from collections.abc import Iterable


def pairs(**given: str) -> str:
    """Labels and their values, as they stand between the braces."""
    return ",".join([f'{name}="{_escaped(value)}"' for name, value in given.items()])


class Text:
    """Families of gauges, one after the other."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def gauge(self, name: str, meaning: str, samples: Iterable[tuple[str, float]]) -> None:
        """Add a family: pairs of labels to value."""
        self._begin(name, meaning)
        self._lines += [f"{name}{{{labels}}} {value}\n" for labels, value in samples]

    def total(self, name: str, meaning: str, value: float) -> None:
        """Add a family of one value without labels."""
        self._begin(name, meaning)
        self._lines.append(f"{name} {value}\n")

    def encoded(self) -> bytes:
        """All of it."""
        return "".join(self._lines).encode()

    def _begin(self, name: str, meaning: str) -> None:
        self._lines.append(f"# HELP {name} {meaning}\n# TYPE {name} gauge\n")


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
