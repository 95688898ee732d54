"""A page of which one part is written from the code."""

from pathlib import Path
from typing import NamedTuple


class Place(NamedTuple):
    """Where that part is: between two marks, which stay."""

    begin: str
    end: str

    def renewed(self, page: str, part: str) -> str:
        """The page with the part as it is now; ValueError when it has no place for it."""
        before, begin, rest = page.partition(self.begin)
        _, end, after = rest.partition(self.end)
        if not begin or not end:
            raise ValueError(f"the page has no place between {self.begin} and {self.end}")
        return f"{before}{begin}\n\n{part}\n\n{end}{after}"

    def renew(self, file: Path, part: str) -> None:
        """The same with a file."""
        file.write_text(self.renewed(file.read_text(), part))
