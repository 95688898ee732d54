"""Instances as they are stored."""

from chassis.store.port import Store
from contracts.instances import InstanceDocument


async def documents(store: Store) -> dict[str, InstanceDocument]:
    """All of them, by id."""
    found = await store.find("instances", InstanceDocument, {})
    return {document.id: document for document in found}
