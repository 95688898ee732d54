"""The message table of ARCHITECTURE.md, read from the code: who says what, and who hears it.

Hearing is a service's table of handlers. Saying is making one: the service's source calls the
message's type, or hands it to a function that does. Commands are the gateway's alone: an owner
that makes one only catches up on a wish. ``python -m embedded.message_table FILE`` writes anew, and
``PARTIES`` with it.
"""

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

import api_gateway.access
import api_gateway.moves
import event_pusher.handlers
import node_agent.handlers
import registry.handlers
import scheduler.handlers
from api_gateway.asyncapi.parties import FILE, Parties
from chassis.bus.event_queue import EVENTS
from chassis.bus.topology import matches
from contracts.catalog import message_types
from contracts.messages import Command, Message, Order, tag_of
from embedded.page import Place

PLACE = Place("<!-- messages: written by `make messages` -->", "<!-- end of messages -->")

PARTIES = Path(api_gateway.__path__[0]) / "asyncapi" / FILE

_ASKS = "gateway"
_LOOKING = {"isinstance", "issubclass", "tag_of"}
_PACKAGES = {
    "gateway": api_gateway,
    "scheduler": scheduler,
    "registry": registry,
    "event-pusher": event_pusher,
    "node-agent": node_agent,
}


def heard() -> Mapping[str, frozenset[type[Message]]]:
    """Service to the messages it handles."""
    kinds = message_types()
    keys = EVENTS.keys + event_pusher.handlers.ENDPOINTS.keys
    events = [kinds[tag] for tag in kinds if any(matches(key, tag) for key in keys)]
    return {
        "gateway": frozenset({*api_gateway.moves.HEARD, *api_gateway.access.HEARD}),
        "scheduler": frozenset(scheduler.handlers.HANDLERS),
        "registry": frozenset(registry.handlers.HANDLED),
        "event-pusher": frozenset(events),
        "node-agent": frozenset(node_agent.handlers.HANDLERS),
    }


def said() -> Mapping[str, frozenset[type[Message]]]:
    """Service to the messages it makes."""
    by_name = {kind.__name__: kind for kind in message_types().values()}
    made = {
        service: {by_name[name] for name in _made(package.__path__[0]) if name in by_name}
        for service, package in _PACKAGES.items()
    }
    return {
        service: frozenset(k for k in kinds if service == _ASKS or not issubclass(k, Command))
        for service, kinds in made.items()
    }


def table() -> str:
    """In Markdown, in the order of the conversations."""
    says, hears = said(), heard()
    lines = [
        "| message | tag | says | hears | meaning |",
        "|---|---|---|---|---|",
    ]
    for kind in sorted(message_types().values(), key=lambda kind: (kind.__module__, tag_of(kind))):
        meaning = (kind.__doc__ or "").strip().splitlines()[0]
        key = f"`{tag_of(kind)}`" + (" to its node" if issubclass(kind, Order) else "")
        lines.append(
            f"| {kind.__name__} | {key} | {_names(kind, says)} | {_names(kind, hears)}"
            f" | {meaning} |"
        )
    return "\n".join(lines)


def _made(folder: str) -> Iterator[str]:
    """Names that are called, or handed to a call that does not only look at types."""
    for file in Path(folder).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call):
                called = node.func.id if isinstance(node.func, ast.Name) else ""
                yield called
                if called not in _LOOKING:
                    yield from (arg.id for arg in node.args if isinstance(arg, ast.Name))


def _names(kind: type[Message], services: Mapping[str, Iterable[type[Message]]]) -> str:
    return ", ".join(name for name, kinds in services.items() if kind in kinds) or "—"


def known_parties() -> bytes:
    """The same for the gateway's AsyncAPI document, which cannot see the other services."""
    says, hears = said(), heard()
    found = {
        tag: Parties(
            says=tuple(name for name, kinds in says.items() if kind in kinds),
            hears=tuple(name for name, kinds in hears.items() if kind in kinds),
        )
        for tag, kind in message_types().items()
    }
    return msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n"


if __name__ == "__main__":
    PLACE.renew(Path(sys.argv[1]), table())
    PARTIES.write_bytes(known_parties())
