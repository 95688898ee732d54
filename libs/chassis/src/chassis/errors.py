"""The errors that cross a border inside a service.

CorralError
├── NotFound         the thing named does not exist
├── Conflict         it exists already, or was changed meanwhile
├── Refused          well-formed, but cannot be done; the text is for the user
├── Unauthenticated  nobody known asks
├── Forbidden        somebody known asks, who may not
├── TooManyTries     too many logins from one address
└── Unavailable      try again later: nothing is known to be wrong with the request
    ├── BusDown      the broker did not confirm in time
    └── StoreDown    the database did not answer in time
"""


class CorralError(Exception):
    """Base of all; without arguments its text is the docstring of its class."""

    def __init__(self, *args: object) -> None:
        super().__init__(*(args or ((self.__doc__ or "").strip(),)))


class NotFound(CorralError):
    """Not found"""


class Conflict(CorralError):
    """Exists already"""


class Refused(CorralError):
    """Refused"""


class Unauthenticated(CorralError):
    """Authentication Required"""


class Forbidden(CorralError):
    """Permission denied"""


class TooManyTries(CorralError):
    """Too many logins, try again later"""


class Unavailable(CorralError):
    """Try again later"""


class BusDown(Unavailable):
    """The message broker did not confirm in time"""


class StoreDown(Unavailable):
    """The database did not answer in time"""
