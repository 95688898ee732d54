"""A taken port is found before anything starts, and named by its setting."""

import socket

from chassis.errors import Refused
from embedded.config import EmbeddedSettings


class FreePorts:
    """Starts only when everything that will listen can."""

    def __init__(self, settings: EmbeddedSettings) -> None:
        self._settings = settings

    async def start(self) -> None:
        """See Part. Refused names the settings."""
        taken = [
            f"{setting}: port {port} of {host} is taken"
            for setting, host, port in self._settings.listens
            if not _is_free(host, port)
        ]
        if taken:
            remedy = "end what listens there, or set another port"
            raise Refused("\n".join([*taken, remedy]))

    async def stop(self) -> None:
        """See Part."""


def _is_free(host: str, port: int) -> bool:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError:
            return False
    return True
