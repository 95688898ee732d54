"""Who the commands are, where somebody asks."""

import os

import aiohttp

VARIABLE = "CORRAL_ROOT_TOKEN"


def root_token() -> str:
    """The root token of the environment, or nothing."""
    return os.environ.get(VARIABLE, "")


def credentials(token: str) -> dict[str, str]:
    """The header that opens a controller or registry to root; none without a token."""
    return {"Authorization": aiohttp.encode_basic_auth("root", token, "utf-8")} if token else {}
