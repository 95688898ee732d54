"""Which program this is."""

import hashlib
from importlib.metadata import version
from pathlib import Path

import contracts

_DIGITS = 8


def running_version(distribution: str, module: str) -> str:
    """``x.y.z-hash``: the version of a distribution, and the hash of its code and the libraries'.

    ``module`` is the file of a module at the top of its package. Scripts in the field compare what
    stands before the dash and show the rest.
    """
    digest = hashlib.sha256()
    for top in (Path(module), Path(__file__), Path(contracts.__file__)):
        for file in sorted(top.parent.rglob("*.py")):
            digest.update(file.read_bytes())
    return f"{version(distribution)}-{digest.hexdigest()[:_DIGITS]}"
