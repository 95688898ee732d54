"""Logging in by key as the real clients do, each with its own way of writing JSON and base64."""

import base64
import json
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
)

ROOT_TOKEN = "p$ss:w\u00f6rd 10%"
_OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)

Data = Mapping[str, Any]
Headers = dict[str, str]


def _header(scheme: str, value: bytes) -> Headers:
    return {"Authorization": f"{scheme} {base64.b64encode(value).decode()}"}


def basic(password: str, user: str = "root") -> Headers:
    """The header of HTTP Basic."""
    return _header("Basic", f"{user}:{password}".encode())


ROOT = basic(ROOT_TOKEN)


def go(data: Data) -> bytes:
    """As encoding/json writes a map: keys sorted, some characters escaped."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode()


def java(data: Data) -> bytes:
    """As org.json writes an object: in the order of its hash table, slashes escaped."""
    backwards = dict(sorted(data.items(), reverse=True))
    return json.dumps(backwards, separators=(",", ":")).replace("/", "\\/").encode()


def jq(data: Data) -> bytes:
    """As jq prints: over several lines, with a newline at the end."""
    return json.dumps(data, indent=2).encode() + b"\n"


def bearer(data: Data, write: Callable[[Data], bytes] = go) -> Headers:
    """The header of a session."""
    return _header("Bearer", write(data))


def public_text(key: rsa.RSAPrivateKey) -> str:
    """What openssl prints of a public key, without its first and last line."""
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


def private_key(text: str) -> rsa.RSAPrivateKey:
    """The bare line that a created key is answered with."""
    key = load_der_private_key(base64.b64decode(text, validate=True), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def opened(answer: bytes, key: rsa.RSAPrivateKey) -> str:
    """The secret in the answer to a hand, for decoders as strict as Java's."""
    assert answer.strip() == answer
    return key.decrypt(base64.b64decode(answer, validate=True), _OAEP).decode()


@cache
def rsa_key(name: str = "", bits: int = 2048) -> rsa.RSAPrivateKey:
    """A key of this test run; making one takes a moment."""
    del name
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


async def add_key(
    api: Any, name: str, *groups: str, ttl: int = 3600, path: str = "/api/v1/apikey"
) -> rsa.RSAPrivateKey:
    """Have a key by this name, in these permission groups."""
    key = rsa_key()
    wish = {"id": name, "ttl": ttl, "groups": groups, "publicKey": public_text(key)}
    assert (await root(api)("POST", path, wish)).body is None
    return key


async def hand(api: Any, name: str, key: rsa.RSAPrivateKey) -> str:
    """A secret for a key; ``api`` is whatever calls."""
    answer = await api("POST", "/tap/v1/hand", {"id": name})
    assert answer.code == 200, answer
    return opened(answer.raw, key)


async def shake(api: Any, name: str, secret: str) -> Any:
    """The answer to a shake, the body pasted together without any escaping."""
    return await api("POST", "/tap/v1/shake", f'{{"id":"{name}","secret":"{secret}"}}'.encode())


async def session(api: Any, name: str, key: rsa.RSAPrivateKey) -> dict[str, Any]:
    """The ``data`` of a new session."""
    answer = await shake(api, name, await hand(api, name, key))
    assert (answer.code, answer.json["id"]) == (200, name), answer
    data: dict[str, Any] = answer.json["data"]
    return data


async def caller(api: Any, name: str, key: rsa.RSAPrivateKey) -> Callable[..., Any]:
    """Calls with a session of a key."""
    return partial(api, headers=bearer(await session(api, name, key)))


def root(api: Any) -> Callable[..., Any]:
    """Calls with the root token."""
    return partial(api, headers=ROOT)
