"""Who the nodes of this process are: ids made once, names and addresses from the machine."""

import socket
import uuid
from pathlib import Path

import msgspec

_FILE = "node-id"


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """One node's id and name."""

    node_id: str
    name: str


def process_id(given: str, folder: Path | None) -> str:
    """The stable id of this agent: as given, as kept in ``folder``, or made and kept now."""
    if given:
        return given
    if folder is None:
        return str(uuid.uuid4())
    kept = folder / _FILE
    if kept.exists():
        return kept.read_text().strip()
    folder.mkdir(parents=True, exist_ok=True)
    made = str(uuid.uuid4())
    kept.write_text(made + "\n")
    return made


def identities(process: str, name: str, nodes: int) -> list[Identity]:
    """The nodes of a process: itself, or numbered from 1 when there are several."""
    name = name or socket.gethostname()
    if nodes == 1:
        return [Identity(node_id=process, name=name)]
    width = len(str(nodes))
    return [
        Identity(node_id=f"{process}-{number:0{width}}", name=f"{name}-{number:0{width}}")
        for number in range(1, nodes + 1)
    ]


def local_address() -> str:
    """The address of the interface that leads out; loopback when none does. Sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        address: str = probe.getsockname()[0]
        return address
