"""Every example of the API page, replayed at a real cloud."""

import pytest

from tests.golden.examples import examples

pytestmark = pytest.mark.timeout(300)  # the first test waits for the replay of all examples


@pytest.mark.parametrize("name", [example.name for example in examples()])
async def test_an_example_is_answered_as_documented(outcomes, name):
    outcome = outcomes[name]
    assert not outcome.left_out
    assert outcome.faults == ()


async def test_every_deviation_is_needed(replayer, outcomes):
    assert replayer.unneeded(list(outcomes.values())) == []
