"""A cache of templates and where it pulls from."""

from pathlib import Path

import pytest

from node_agent.drivers.qemu.cache import TemplateCache
from tests.images import MemorySource


@pytest.fixture
def source() -> MemorySource:
    return MemorySource()


@pytest.fixture
def cache(tmp_path: Path) -> TemplateCache:
    return TemplateCache(tmp_path / "cache")
