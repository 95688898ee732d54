from api_gateway.domain.remedies import REMEDIES
from scheduler.domain.filters import FILTERS
from scheduler.domain.macs import MAC
from scheduler.domain.placement import NO_NODES
from scheduler.domain.shares import QUOTA


def test_every_reason_to_wait_has_a_remedy_and_no_remedy_is_for_nothing():
    reasons = {name for name, _, _ in FILTERS} | {NO_NODES.filter, MAC, QUOTA}
    assert REMEDIES.keys() == reasons
