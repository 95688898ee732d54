"""The node groups as this gateway knows them."""

from collections.abc import Iterable, Mapping

from contracts.groups import GroupDocument


class Groups:
    """All node groups; ``revision`` moves with every change."""

    def __init__(self) -> None:
        self.by_id: Mapping[str, GroupDocument] = {}
        self.revision = 0

    def replace(self, documents: Iterable[GroupDocument]) -> None:
        """What the database holds now; there are few, so they are read as a whole."""
        fresh = {document.id: document for document in documents}
        if fresh != self.by_id:
            self.by_id = fresh
            self.revision += 1
