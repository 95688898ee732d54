"""Who gets the events."""

import msgspec

EVENT_LOG = "event-log"
"""The id of the one receiver that the settings name."""


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A receiver; ``id`` names it in state, metrics and logs, because a URL may hold a secret."""

    id: str
    url: str
