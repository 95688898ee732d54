"""Why another service could not be asked, in words for whoever knows no Python."""

import aiohttp


def reason(error: Exception) -> str:
    """Of an error of aiohttp's client, or a time limit."""
    match error:
        case TimeoutError():
            return "it did not answer in time"
        case aiohttp.ClientConnectorError():
            return "no connection to it"
        case aiohttp.ServerDisconnectedError():
            return "it closed the connection"
        case _:
            return "the connection broke"
