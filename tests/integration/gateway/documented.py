"""Comparing an answer with an example of the API page."""

from typing import Any


def assert_like(documented: Any, got: Any, where: str = "body") -> None:
    """Every documented key is there, and everything has the documented type; more keys may be."""
    assert type(got) is type(documented), f"{where}: {got!r} is not like {documented!r}"
    if isinstance(documented, dict):
        assert documented.keys() <= got.keys(), f"{where}: {sorted(documented.keys() - got.keys())}"
        for key, value in documented.items():
            assert_like(value, got[key], f"{where}.{key}")
    elif isinstance(documented, list):
        assert not documented or got, f"{where} is empty"
        for number, item in enumerate(got if documented else ()):
            assert_like(documented[0], item, f"{where}[{number}]")
