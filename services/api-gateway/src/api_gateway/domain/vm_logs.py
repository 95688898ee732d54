"""What names a VM, and a file about it, in the registry's logs."""

import re

from api_gateway.domain.fields import BadField

NAME = "[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
"""A pattern of the whole text."""

_NAME = re.compile(NAME)


def check_name(field: str, name: str) -> None:
    """Raise BadField unless it is one."""
    if not _NAME.fullmatch(name):
        raise BadField(field, "letters, digits, '.', '_' and '-'")
