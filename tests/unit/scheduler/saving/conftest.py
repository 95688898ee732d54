"""A cloud with one node that can make images, a running instance, and its save."""

import pytest

from tests.unit.scheduler.builders import a_cloud_that_saves
from tests.unit.scheduler.saving.requests import save


@pytest.fixture
def cloud():
    return a_cloud_that_saves()


@pytest.fixture
def instance(cloud):
    return cloud.running()


@pytest.fixture
def request_(cloud, instance):
    return save(cloud, instance)
