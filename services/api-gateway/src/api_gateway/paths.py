"""Finding a path in the table of routes; a part in braces stands for any text."""

from collections.abc import Collection, Mapping

from aiohttp import web

_NONE: Mapping[str, str] = {}


class Paths:
    """Knows the table's paths. The exact one goes before one with braces."""

    def __init__(self, paths: Collection[str]) -> None:
        self._exact = frozenset(path for path in paths if "{" not in path)
        self._patterns = [(path, ("/", *path.split("/")[1:])) for path in paths if "{" in path]

    def find(self, request: web.Request) -> tuple[str, Mapping[str, str]]:
        """The table's path, or the request's own, and what stands for its names."""
        if request.path not in self._exact:
            parts = request.rel_url.parts
            for path, pattern in self._patterns:
                found = _match(pattern, parts)
                if found is not None:
                    return path, found
        return request.path, _NONE


def _match(pattern: tuple[str, ...], parts: tuple[str, ...]) -> dict[str, str] | None:
    if len(pattern) != len(parts):
        return None
    found: dict[str, str] = {}
    for wanted, given in zip(pattern, parts, strict=True):
        if wanted.startswith("{") and given:
            found[wanted[1:-1]] = given
        elif wanted != given:
            return None
    return found


def names_in(path: str) -> list[str]:
    """The names that stand in braces, in their order."""
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]
