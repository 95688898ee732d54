"""What can go wrong between a client and a registry.

RegistryError      the registry refused; ``status`` and ``code`` say what
├── RegistryDown   it could not be reached, or was unavailable, for all tries
└── Corrupt        the content is not what its digest says
"""

import aiohttp
import msgspec


class RegistryError(Exception):
    """The registry refused; ``code`` is one of the OCI Distribution specification."""

    def __init__(self, message: str, *, status: int = 0, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class RegistryDown(RegistryError):
    """The registry could not be reached, or was unavailable, for all tries."""


class Corrupt(RegistryError):
    """The content is not what its digest says."""


class _Error(msgspec.Struct):
    code: str = ""
    message: str = ""


class _Errors(msgspec.Struct):
    errors: list[_Error] = []


async def refusal(response: aiohttp.ClientResponse) -> RegistryError:
    """The error of a response that is no success; its body may be anything."""
    content = await response.content.read(65_536)
    try:
        found = msgspec.json.decode(content, type=_Errors).errors
    except (msgspec.MsgspecError, UnicodeDecodeError):
        found = []
    first = found[0] if found else _Error()
    message = first.message or f"{response.status} {response.reason}"
    return RegistryError(
        f"{response.method} {response.url.path}: {message}", status=response.status, code=first.code
    )
