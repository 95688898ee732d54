"""Settings of the whole cloud that operators change while it runs: all wish, the gateway's."""

import msgspec

from contracts.messages import Fact

CLOUD = "cloud"
"""The id of the one document."""


class ConfigurationDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """As stored in ``configuration``, once somebody has changed anything.

    ``registry_address``: what agents are given instead of the gateway's setting, "" for that.
    ``central_logging``: agents ship their logs, unless their node says otherwise.
    """

    id: str = msgspec.field(name="_id")
    generation: int = msgspec.field(default_factory=lambda: 0)
    registry_address: str = ""
    central_logging: bool = True


def as_the_services_were_set() -> ConfigurationDocument:
    """What stands for the document before that."""
    return ConfigurationDocument(id=CLOUD)


class ConfigurationChanged(Fact, frozen=True, kw_only=True, tag="configuration.changed.v1"):
    """An operator changed the settings; whoever obeys them reads them anew."""

    configuration: ConfigurationDocument
