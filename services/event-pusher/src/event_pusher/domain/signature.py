"""Standard Webhooks: the headers that tell a receiver who sent a request, and which event it is.

https://www.standardwebhooks.com; the signature is an HMAC with SHA-256 over id, time and body.
"""

import base64
import binascii
import hmac
from collections.abc import Sequence
from functools import lru_cache

import msgspec

from contracts.webhooks import KEY_PREFIX, SignedHeaders


class BadSecret(ValueError):
    """A secret is whsec_ and the base64 of at least one byte"""


@lru_cache(maxsize=1024)
def key_of(secret: str) -> bytes:
    """The key in a secret. BadSecret."""
    try:
        key = base64.b64decode(secret.removeprefix(KEY_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise BadSecret(BadSecret.__doc__)
    return key


def headers(keys: Sequence[bytes], identity: str, moment: int, body: bytes) -> dict[str, str]:
    """The SignedHeaders of one request; ``moment`` in epoch seconds. No signature without a key."""
    signed = f"{identity}.{moment}.".encode() + body
    signatures = " ".join([_signature(key, signed) for key in keys])
    found: dict[str, str] = msgspec.to_builtins(
        SignedHeaders(
            webhook_id=identity,
            webhook_timestamp=str(moment),
            webhook_signature=signatures or msgspec.UNSET,
        )
    )
    return found


def _signature(key: bytes, signed: bytes) -> str:
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
