"""What the agent must remember of an order to save a VM as an image."""

from typing import Any

import msgspec

from contracts.images import ImagePushed, PushImage
from contracts.vms import ScriptResult

MOST = 8
"""Saves of one instance that are remembered: a late repeat of an ended one is not begun again."""

OUTPUT_LIMIT = 1024 * 1024
"""Bytes of each output stream that are reported, the last ones. Source: the documented API."""


class Push(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One PushImage that was taken on, and how far it is.

    ``script_begun`` is written before the script is begun, ``begun`` before the VM is suspended
    or stopped. ``error``: it has failed, and the VM is to run again. ``outcome``: how it ended.
    """

    order: PushImage
    script_begun: bool = False
    script_result: ScriptResult | None = None
    begun: bool = False
    error: str = ""
    outcome: ImagePushed | None = None
    confirmed: bool = False

    @property
    def request_id(self) -> str:
        """Whose order it is."""
        return self.order.request_id

    def with_(self, **changes: Any) -> "Push":
        """A copy with some fields changed."""
        return msgspec.structs.replace(self, **changes)


def remembered(pushes: tuple[Push, ...], push: Push) -> tuple[Push, ...]:
    """``pushes`` with this one, new or changed, at the end."""
    others = tuple(other for other in pushes if other.request_id != push.request_id)
    return (*others, push)[-MOST:]


def succeeded(result: ScriptResult) -> bool:
    """Whether a script did what it should."""
    return result.return_code == 0 and not result.did_timeout


def trimmed(result: ScriptResult) -> ScriptResult:
    """The result with the end of what the script wrote."""
    return msgspec.structs.replace(result, stdout=_end(result.stdout), stderr=_end(result.stderr))


def _end(text: str) -> str:
    if len(text) <= OUTPUT_LIMIT // 4:
        return text
    return text.encode()[-OUTPUT_LIMIT:].decode(errors="ignore")
