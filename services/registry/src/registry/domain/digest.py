"""Digests: ``algorithm:encoded``, as the OCI image specification writes them.

Any registered algorithm may stand in a question; content is kept under sha256 only.
"""

import re

from contracts.artifacts import DIGEST_PATTERN

_GRAMMAR = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[A-Za-z0-9=_-]{1,512}")
_HEX = {"sha256": re.compile(r"[a-f0-9]{64}"), "sha512": re.compile(r"[a-f0-9]{128}")}


def is_digest(text: str) -> bool:
    """Whether it is well-formed, of whatever algorithm."""
    if not _GRAMMAR.fullmatch(text):
        return False
    algorithm, _, encoded = text.partition(":")
    known = _HEX.get(algorithm)
    return known is None or known.fullmatch(encoded) is not None


def is_supported(text: str) -> bool:
    """Whether content can be kept under it."""
    return DIGEST_PATTERN.fullmatch(text) is not None
