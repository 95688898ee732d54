"""Signatures as Standard Webhooks defines them."""

from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook

from contracts.webhooks import EndpointSpec, Secret
from event_pusher.domain.endpoint import Endpoint
from event_pusher.domain.signature import BadSecret, headers, key_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + "QUFB" * 10


def test_the_signature_is_that_of_the_library():
    found = headers([key_of(SECRET)], "e1", 1_700_000_000, b'{"a":1}')
    moment = datetime.fromtimestamp(1_700_000_000, UTC)
    assert found == {
        "webhook-id": "e1",
        "webhook-timestamp": "1700000000",
        "webhook-signature": Webhook(SECRET).sign("e1", moment, '{"a":1}'),
    }


def test_each_key_has_its_signature():
    found = headers([key_of(SECRET), key_of(OTHER)], "e1", 1, b"{}")["webhook-signature"]
    alone = [headers([key_of(s)], "e1", 1, b"{}")["webhook-signature"] for s in (SECRET, OTHER)]
    assert found == " ".join(alone)


def test_without_a_key_id_and_time_are_told_all_the_same():
    assert headers([], "e1", 1, b"{}") == {"webhook-id": "e1", "webhook-timestamp": "1"}


@pytest.mark.parametrize("secret", ["whsec_", "whsec_?", ""])
def test_what_is_no_key_is_refused(secret):
    with pytest.raises(BadSecret):
        key_of(secret)


def test_a_predecessor_signs_until_its_time_is_over_and_after_the_current_key():
    until = NOW + timedelta(hours=1)
    secrets = (Secret(value=OTHER, until=until), Secret(value=SECRET))
    endpoint = Endpoint(id="x", generation=1, spec=EndpointSpec(secrets=secrets))
    assert endpoint.keys(NOW) == [key_of(SECRET), key_of(OTHER)]
    assert endpoint.keys(until) == [key_of(SECRET)]
