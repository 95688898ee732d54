"""How the system tells of a full disk."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@contextmanager
def full_disk_as(meaning: type[Exception]) -> Iterator[None]:
    """A disk or quota that is full raises ``meaning`` instead of OSError."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise meaning from error
        raise
