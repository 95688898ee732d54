"""Each driver in turn, on a host of its own."""

import pytest

from tests.drivers import DRIVERS, DriverUnderTest


@pytest.fixture(scope="module", params=sorted(DRIVERS))
def driver_under_test(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> DriverUnderTest:
    return DRIVERS[request.param](tmp_path_factory.mktemp(request.param))
