"""Both kinds of blob storage, one after the other."""

from pathlib import Path

import pytest

from registry.blobs import Blobs
from registry.blobs.disk import DiskBlobs
from registry.blobs.s3 import S3Blobs
from tests.s3 import S3Server


@pytest.fixture(params=["disk", "s3"])
async def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    """An empty storage."""
    if request.param == "disk":
        found: Blobs = DiskBlobs(tmp_path / "registry")
    else:
        server: S3Server = request.getfixturevalue("s3")
        found = S3Blobs(server.fresh_bucket())
    await found.start()
    return found
