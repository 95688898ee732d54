"""What one service presents to another."""

import aiohttp

ROOT = "root"
"""The user name of whoever has the root token; nobody else is called so."""


def credentials(root_token: str) -> dict[str, str]:
    """The header that opens another service; none without a token."""
    if not root_token:
        return {}
    return {"Authorization": aiohttp.encode_basic_auth(ROOT, root_token, "utf-8")}
