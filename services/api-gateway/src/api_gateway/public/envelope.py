"""The envelope of every JSON answer: ``status``, ``message``, and ``body`` on success only."""

import msgspec

OK = b'{"status":"OK","message":""}'
AUTHENTICATION_REQUIRED = b'{"status":"FAIL","message":"Authentication Required"}\n'
"""The one answer with a documented length, newline included; a client compares its message."""
SAVED = b'{"status":"OK","message":"Saved"}'
_OPEN = b'{"status":"OK","message":"","body":'


def ok(body: bytes) -> bytes:
    """Success with an encoded body."""
    return b"".join((_OPEN, body, b"}"))


def ok_list(items: "list[bytes]") -> bytes:
    """Success with an array of encoded items; empty is ``[]``, never null."""
    return b"".join((_OPEN, b"[", b",".join(items), b"]}"))


def fail(message: str) -> bytes:
    """Failure; no body, since typed clients would choke on one of another shape."""
    return msgspec.json.encode({"status": "FAIL", "message": message})
