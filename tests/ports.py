"""Ports of servers of tests: each is given once, and no two workers of pytest-xdist share any.

They lie below those that services choose for themselves (``chassis.servers``), so that nobody
takes one while its server is down.
"""

import os
import random

from chassis.servers.process import is_free

_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_FORWARDED = 100

FORWARDED = range(11_000 + _WORKER * _FORWARDED, 11_000 + (_WORKER + 1) * _FORWARDED)
"""Where drivers of this worker forward ports to guests; agents that are processes begin below."""

_left = list(range(14_000 + _WORKER, 20_000, _WORKERS))
random.shuffle(_left)


def free_port() -> int:
    """A loopback port on which nobody listens, and that nobody else is given."""
    while _left:
        port = _left.pop()
        if is_free(port):
            return port
    raise AssertionError("no port is left between 14000 and 20000")
