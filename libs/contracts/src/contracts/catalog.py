"""Every message type, found once: for decoders, golden samples and the message table."""

from contracts import (
    configuration,
    distributions,
    events,
    groups,
    identity,
    images,
    instances,
    macs,
    nodes,
    pools,
    scripts,
    templates,
    vms,
    webhooks,
)
from contracts.messages import Message, tag_of

_MODULES = (
    configuration,
    instances,
    vms,
    scripts,
    nodes,
    groups,
    pools,
    templates,
    distributions,
    images,
    identity,
    events,
    webhooks,
    macs,
)


def message_types() -> dict[str, type[Message]]:
    """Tag to type, for every message that can travel."""
    found: dict[str, type[Message]] = {}
    for module in _MODULES:
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Message) and _travels(value):
                found[tag_of(value)] = value
    return dict(sorted(found.items()))


def _travels(kind: type[Message]) -> bool:
    return isinstance(kind.__struct_config__.tag, str) and "." in tag_of(kind)
