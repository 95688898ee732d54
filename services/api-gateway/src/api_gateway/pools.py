"""The pools as this gateway knows them: enough to see at once that a start has none."""

from collections.abc import Iterable

from contracts.pools import PoolDocument


class Pools:
    """Read as a whole every few seconds and moved by messages; there are few.

    ``templates``: ids of those that have a pool.
    """

    def __init__(self) -> None:
        self._by_id: dict[str, PoolDocument] = {}
        self.loaded = False
        self.templates: frozenset[str] = frozenset()

    def replace(self, documents: Iterable[PoolDocument]) -> None:
        """What the database holds now."""
        self._by_id = {document.id: document for document in documents}
        self.loaded = True
        self._index()

    def merge(self, document: PoolDocument) -> None:
        """Take what is newer."""
        known = self._by_id.get(document.id)
        if known is None or known.generation < document.generation:
            self._by_id[document.id] = document
            self._index()

    def remove(self, identity: str) -> None:
        """The pool is gone."""
        self._by_id.pop(identity, None)
        self._index()

    def _index(self) -> None:
        self.templates = frozenset(pool.template_id for pool in self._by_id.values())
