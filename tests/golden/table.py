"""Writes ``docs/calls.md``: every documented call and the examples that prove it.

``python -m tests.golden.table`` writes the page anew.
"""

from collections.abc import Iterator
from pathlib import Path

from tests.golden.page import documented, of_section, sections, working

PAGE = Path(__file__).parents[2] / "docs/calls.md"
_HEAD = """\
# The documented calls and their tests

Every example of the API page, and every parameter and field that it names, is replayed at a cloud
of real processes (`tests/golden/test_golden_answers.py`). The examples stand in
`tests/golden/answers`, and `python -m tests.golden.replay http://127.0.0.1:8090` sends them to any
other cloud, which should be one for tests. Where an answer of ours differs from the page, or the
page from itself, `tests/golden/deviations.toml` says why. What clients rely on beyond the page is
proven in `tests/clients`.

Written from the code by `make calls`: each call under its heading, with the names of its examples.

| heading | call | examples |
|---|---|---|
"""


def renewed() -> str:
    """The page as it must be."""
    return _HEAD + "".join(f"| {' | '.join(row)} |\n" for row in _rows())


def _rows() -> Iterator[tuple[str, str, str]]:
    for section in sections():
        for call in section.calls:
            means = working(call)
            names = [e.name for e in of_section(section) if documented(e.call) == means]
            yield section.heading, f"`{means}`", "; ".join(names)


if __name__ == "__main__":
    PAGE.write_text(renewed())
