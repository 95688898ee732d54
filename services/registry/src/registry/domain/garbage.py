"""Which manifests of a repository are still wanted. Pure.

What a tag reaches is: the manifest, the manifests of an index, and whatever refers to one of
these as its subject. A referrer goes with its subject and does not keep it.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

import msgspec


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A manifest as a collector sees it. ``orphaned``: since when nothing reaches it."""

    id: str = msgspec.field(name="_id")
    digest: str
    blobs: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    subject: str = ""
    revision: int = 0
    orphaned: datetime | None = None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of the manifests: marked now, no longer marked, or dropped."""

    orphaned: Sequence[Node]
    wanted_again: Sequence[Node]
    dropped: Sequence[Node]


def judge(nodes: Collection[Node], tagged: Iterable[str], before: datetime) -> Verdict:
    """Drop what is orphaned since ``before`` or longer.

    What another manifest lists as its child stays until that one is gone, so that no index ever
    stands without its manifests.
    """
    wanted = reached(nodes, tagged)
    held = {child for node in nodes for child in node.children}
    orphans = [node for node in nodes if node.digest not in wanted]
    return Verdict(
        orphaned=[node for node in orphans if node.orphaned is None],
        wanted_again=[n for n in nodes if n.orphaned is not None and n.digest in wanted],
        dropped=[
            node
            for node in orphans
            if node.orphaned is not None and node.orphaned <= before and node.digest not in held
        ],
    )


def reached(nodes: Collection[Node], tagged: Iterable[str]) -> set[str]:
    """The digests that a tag reaches."""
    by_digest = {node.digest: node for node in nodes}
    referrers: dict[str, list[str]] = {}
    for node in nodes:
        if node.subject:
            referrers.setdefault(node.subject, []).append(node.digest)
    found: set[str] = set()
    waiting = [digest for digest in tagged if digest in by_digest]
    while waiting:
        digest = waiting.pop()
        if digest in found or digest not in by_digest:
            continue
        found.add(digest)
        waiting += by_digest[digest].children
        waiting += referrers.get(digest, [])
    return found
