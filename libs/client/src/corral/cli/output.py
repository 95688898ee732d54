"""What the commands print: tables for people, JSON for programs, progress on standard error."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table

from corral.registry import Chunk

Json = Annotated[bool, Parameter(name="--json", help="Print JSON.")]


def show(value: Any) -> None:
    """One value as indented JSON."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value)).decode() + "\n")


def table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> None:
    """Rows under headings; ``columns`` maps a key of the rows to its heading."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for heading in columns.values():
        shown.add_column(heading, overflow="fold")
    for row in rows:
        shown.add_row(*(_cell(row.get(key)) for key in columns))
    Console().print(shown)


def as_list(body: Any) -> list[Any]:
    """The answer for one id as a list too."""
    return body if isinstance(body, list) else [body]


def complain(message: str) -> None:
    """A failure, on standard error."""
    Console(stderr=True, highlight=False).print("corral:", message, markup=False)


@contextmanager
def progress(title: str, total: int | None) -> Iterator[Chunk]:
    """Show bytes moved while the block runs; ``total`` None when it is not known."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(title, total=total)

        def moved(count: int) -> None:
            shown.advance(task, count)

        yield moved


def _cell(value: Any) -> str:
    return "" if value is None else str(value)
