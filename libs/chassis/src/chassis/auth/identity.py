"""Who asks."""

import base64
import hashlib
import hmac

import msgspec

from chassis import credentials
from chassis.errors import Unauthenticated


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """A caller. ``name`` is who acted, in wishes and events. ``root`` may do everything."""

    name: str
    root: bool = False
    groups: tuple[str, ...] = ()


ROOT = Identity(name=credentials.ROOT, root=True)


class Session(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a bearer presents: JSON in base64, written anew by each client in its own way."""

    user_name: str
    token: str
    session_id: str


def is_root(parameter: str, root_token: str) -> bool:
    """Whether the parameter of ``Basic`` carries the token; clients give any user name, or none."""
    password = _decode(parameter).partition(b":")[2]
    return hmac.compare_digest(_digest(password), _digest(root_token.encode()))


def read_session(parameter: str) -> Session:
    """The parameter of ``Bearer``; Unauthenticated when it is none."""
    try:
        return msgspec.json.decode(_decode(parameter), type=Session)
    except (msgspec.MsgspecError, UnicodeError):
        raise Unauthenticated from None


def _decode(text: str) -> bytes:
    """Base64 of either alphabet, with or without padding and blanks."""
    plain = "".join(text.split()).translate(str.maketrans("-_", "+/")).rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except ValueError:
        raise Unauthenticated from None


def _digest(value: bytes) -> bytes:
    return hashlib.sha256(value).digest()
