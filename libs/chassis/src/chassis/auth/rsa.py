"""Keys and sealed secrets as clients know them. Source: the public clients of the API."""

import base64
import binascii
from functools import lru_cache

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
)

_BITS = 2048
_MAX_BITS = 16384
_OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)


class BadKey(ValueError):
    """Not base64 of an RSA public key of 2048 bits or more in PKIX DER."""


def generate() -> tuple[bytes, str]:
    """The public half as PKIX DER, the private one as a line of base64 of PKCS#1 DER.

    Takes a good part of a second, without holding the interpreter: call it in a thread.
    """
    key = rsa.generate_private_key(public_exponent=65537, key_size=_BITS)
    private = key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return _public(key.public_key()), base64.b64encode(private).decode()


def read_public(text: str) -> bytes:
    """The PKIX DER in base64; line breaks are skipped. BadKey."""
    try:
        der = base64.b64decode("".join(text.split()), validate=True)
        key = load_der_public_key(der)
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        raise BadKey from None
    if not isinstance(key, rsa.RSAPublicKey) or not _BITS <= key.key_size <= _MAX_BITS:
        raise BadKey
    return _public(key)


def seal(public: bytes, secret: str) -> str:
    """The secret for the holder of the private key alone, in standard base64 without a newline.

    OAEP with SHA-256 for digest and mask; clients fail on the URL-safe alphabet.
    """
    return base64.b64encode(_loaded(public).encrypt(secret.encode(), _OAEP)).decode()


@lru_cache(maxsize=1024)
def _loaded(public: bytes) -> rsa.RSAPublicKey:
    key = load_der_public_key(public)
    assert isinstance(key, rsa.RSAPublicKey)
    return key


def _public(key: rsa.RSAPublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
