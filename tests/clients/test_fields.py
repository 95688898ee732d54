"""The table of fields, line by line, on everything that the gateway shows."""

import pytest

from tests.clients.fields import TABLE
from tests.clients.samples import Samples, collected
from tests.clients.stage import Stage
from tests.json_paths import values_at


@pytest.fixture(scope="module")
async def samples(stage: Stage) -> Samples:
    """Made once."""
    return await collected(stage)


@pytest.mark.parametrize("field", TABLE, ids=str)
async def test_a_field_has_the_form_that_its_clients_read(samples, field):
    seen = 0
    for sample in samples[field.of]:
        found = list(values_at(sample, field.path))
        assert found or not field.always, f"missing, and then {field.breaks}: {sample}"
        assert all(map(field.form, found)), f"{found}, and then {field.breaks}"
        seen += len(found)
    assert seen, "no sample has it"


async def test_no_more_of_a_disk_is_free_than_there_is(samples):
    assert all(disk["free"] <= disk["total"] for disk in samples["disk"])


async def test_tags_stand_in_the_order_of_their_age(samples):
    for template in samples["versions"]:
        numbers = [version["number"] for version in template["versions"]]
        assert numbers == sorted(numbers)
