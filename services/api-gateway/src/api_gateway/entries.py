"""One document in the projection: its wish and its world, moved separately, encoded once."""

import hashlib
from datetime import datetime
from typing import Generic, TypeVar

from contracts.instances import InstanceSpec, InstanceStatus
from contracts.nodes import NodeSpec, NodeStatus

SpecT = TypeVar("SpecT", InstanceSpec, NodeSpec)
StatusT = TypeVar("StatusT", InstanceStatus, NodeStatus)

_DIGEST_BYTES = 12


def digest_of(*pieces: bytes) -> bytes:
    """Names a content; equal in every gateway that answers with the same bytes."""
    return hashlib.blake2b(b"".join(pieces), digest_size=_DIGEST_BYTES).digest()


class Entry(Generic[SpecT, StatusT]):
    """A document's wish and world with their counters, and their cached encodings.

    ``digest`` names the content of ``flat`` and is set with it.
    """

    __slots__ = (
        "created",
        "digest",
        "flat",
        "generation",
        "id",
        "spec",
        "status",
        "status_revision",
        "wrapped",
    )

    def __init__(
        self,
        identity: str,
        created: datetime,
        spec: tuple[int, SpecT],
        status: tuple[int, StatusT],
    ) -> None:
        self.id = identity
        self.created = created
        self.generation = spec[0]
        self.spec: SpecT = spec[1]
        self.status_revision = status[0]
        self.status: StatusT = status[1]
        self.flat: bytes | None = None
        self.wrapped: bytes | None = None
        self.digest = b""

    def merge_spec(self, generation: int, spec: SpecT) -> bool:
        """Take a newer wish; whether it was one."""
        if generation <= self.generation:
            return False
        self.generation, self.spec = generation, spec
        self.forget()
        return True

    def merge_status(self, revision: int, status: StatusT) -> bool:
        """Take a newer state of the world; whether it was one."""
        if revision <= self.status_revision:
            return False
        self.status_revision, self.status = revision, status
        self.forget()
        return True

    def encoded(self, flat: bytes) -> bytes:
        """Keep this encoding until something moves."""
        self.flat, self.digest = flat, digest_of(flat)
        return flat

    def forget(self) -> None:
        """Encode anew at the next read."""
        self.flat = self.wrapped = None


InstanceEntry = Entry[InstanceSpec, InstanceStatus]
NodeEntry = Entry[NodeSpec, NodeStatus]
