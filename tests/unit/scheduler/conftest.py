"""A cloud with one node, and one instance on it."""

import pytest

from tests.unit.scheduler.builders import Cloud, an_instance


@pytest.fixture
def cloud():
    cloud = Cloud()
    cloud.join()
    return cloud


@pytest.fixture
def instance(cloud):
    [instance] = cloud.start(an_instance())
    return instance
