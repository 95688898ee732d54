"""Addresses of HTTP servers as requests name them."""

import re
from urllib.parse import SplitResult, urlsplit

HTTP_URL = "[Hh][Tt]{2}[Pp][Ss]?://[^\\u0000-\\u0020\\u007f]+"
"""A pattern of the whole text; host and port are looked at besides."""

_HTTP_URL = re.compile(HTTP_URL)


def split_http_url(text: str) -> SplitResult | None:
    """The parts of a URL that can be connected to; None of any other text."""
    if not _HTTP_URL.fullmatch(text):
        return None
    try:
        parts = urlsplit(text)
        usable = parts.hostname and parts.port != 0
    except ValueError:
        return None
    return parts if usable else None
